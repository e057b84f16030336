/**
 * The messages of gossip, CBOR behind a length: `["digest", last, [[id, seq], …]]` and `["records", [record, …]]`.
 *
 * Invariant: every message fits `MESSAGE_BYTES_MAX`; whatever does not parse is refused as a whole.
 */
import { encode } from 'cborg';
import { z } from 'zod';
import { parseCbor } from '../base/cbor.js';
import { fromHex, toHex } from '../base/hex.js';
import { DESCRIPTOR_BYTES_MAX } from './descriptor.js';

export const MESSAGE_BYTES_MAX = 64 * 1024;
export const DIGEST_PAGE_MAX = 1024;
/** Records of one message, in bytes. A larger descriptor than allowed still travels, so that its refusal is counted. */
export const RECORDS_BYTES_MAX = MESSAGE_BYTES_MAX - 2 * DESCRIPTOR_BYTES_MAX;

export type Message =
  | { type: 'digest'; last: boolean; held: { id: string; seq: number }[] }
  | { type: 'records'; records: Uint8Array[] };

const bytes = z.instanceof(Uint8Array);
const Wire = z.union([
  z.tuple([
    z.literal('digest'),
    z.boolean(),
    z.array(z.tuple([bytes.refine((b) => b.length === 32), z.int().min(0)])).max(DIGEST_PAGE_MAX),
  ]),
  z.tuple([z.literal('records'), z.array(bytes).max(DIGEST_PAGE_MAX)]),
]);

export function encodeMessage(message: Message): Uint8Array {
  return message.type === 'digest'
    ? encode(['digest', message.last, message.held.map(({ id, seq }) => [fromHex(id), seq])])
    : encode(['records', message.records]);
}

/** `null`: it does not parse. */
export function decodeMessage(data: Uint8Array): Message | null {
  if (data.length > MESSAGE_BYTES_MAX) return null;
  const wire = parseCbor(data, Wire);
  if (wire === null) return null;
  return wire[0] === 'digest'
    ? { type: 'digest', last: wire[1], held: wire[2].map(([id, seq]) => ({ id: toHex(id), seq })) }
    : { type: 'records', records: wire[1] };
}
