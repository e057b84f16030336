/**
 * The signed descriptor: `signature 64 | body`, the body canonical CBOR (RFC 8949 §4.2), the signature Ed25519 over
 * `wayfare descriptor v1\0 | body`.
 *
 * Invariant: a `Descriptor` that `readDescriptor` returned was signed by the node it names. Unknown fields are kept out
 * of the value but under the signature, so that later versions may add some.
 */
import { encode } from 'cborg';
import { z } from 'zod';
import { parseCbor } from '../base/cbor.js';
import { isNamePort } from '../base/config/index.js';
import type { Descriptor } from '../base/directory.js';
import { fromHex, toHex } from '../base/hex.js';
import type { Core } from '../core/core.js';

export const DESCRIPTOR_BYTES_MAX = 8192;
/** A descriptor may live this long at most. */
export const LIFETIME_S_MAX = 7 * 24 * 3600;
/** How far a clock may run ahead of ours. */
export const SKEW_S_MAX = 300;

/** Landmarks that a descriptor may measure itself against. */
const LANDMARKS_MAX = 16;

const SIGNATURE_BYTES = 64;
const DOMAIN = new TextEncoder().encode('wayfare descriptor v1\0');
const ROLE_NAMES = ['client', 'relay', 'exit', 'listener'] as const;

export type DescriptorRefusal =
  | 'descriptor_forged'
  | 'descriptor_stale'
  | 'descriptor_oversized'
  | 'descriptor_malformed';

const bytes = (length: number) => z.instanceof(Uint8Array).refine((b) => b.length === length);
const time_s = z
  .int()
  .min(0)
  .max(2 ** 40);

const Body = z.object({
  id: bytes(32),
  seq: z.int().min(0),
  time: time_s,
  expires: time_s,
  addresses: z.array(z.string().min(3).max(64)).max(8),
  roles: z.array(z.enum(ROLE_NAMES)).max(ROLE_NAMES.length),
  onion_keys: z.array(z.object({ key: bytes(1216), from: time_s, until: time_s })).max(3),
  suites: z.array(z.string().min(1).max(32)).max(8),
  versions: z.tuple([z.int().min(0).max(65535), z.int().min(0).max(65535)]),
  webtransport: z.object({ hashes: z.array(bytes(32)).min(1).max(4) }).optional(),
  reliable: z
    .object({ addresses: z.array(z.string().min(3).max(64)).min(1).max(8), host: z.string().max(259).optional() })
    .optional(),
  estimates: z.object({
    rate_bytes_per_s: z.int().min(0).optional(),
    rtt_us: z.int().min(0).optional(),
    landmarks: z
      .array(z.object({ id: bytes(32), rtt_us: z.int().min(0).max(60_000_000) }))
      .max(LANDMARKS_MAX)
      .optional(),
  }),
});

/** Signs a descriptor. Throws `RangeError` if it is too large to be taken by anyone. */
export function signDescriptor(core: Core, seed: Uint8Array, descriptor: Descriptor): Uint8Array {
  const d = descriptor;
  const body = encode({
    id: fromHex(d.id),
    seq: d.seq,
    time: d.time_s,
    expires: d.expires_s,
    addresses: d.addresses,
    roles: ROLE_NAMES.filter((role) => d.roles[role]),
    onion_keys: d.onionKeys.map((k) => ({ key: k.key, from: k.from_s, until: k.until_s })),
    suites: d.suites,
    versions: [d.versions.min, d.versions.max],
    ...(d.webtransport !== undefined && { webtransport: { hashes: d.webtransport.hashes } }),
    ...(d.reliable !== undefined && { reliable: reliableOf(d.reliable) }),
    estimates: {
      ...Object.fromEntries(Object.entries(d.estimates).filter(([, v]) => v !== undefined)),
      ...(d.estimates.landmarks !== undefined && {
        landmarks: d.estimates.landmarks.map(({ id, rtt_us }) => ({ id: fromHex(id), rtt_us })),
      }),
    },
  });
  return seal(core, seed, body);
}

/** Signs any body; apart from `signDescriptor` only so that tests can sign bodies that no honest node would. */
export function seal(core: Core, seed: Uint8Array, body: Uint8Array): Uint8Array {
  const record = concat(core.sign(seed, concat(DOMAIN, body)), body);
  if (record.length > DESCRIPTOR_BYTES_MAX)
    throw new RangeError(`a descriptor of ${record.length} bytes, at most ${DESCRIPTOR_BYTES_MAX}`);
  return record;
}

/** Reads what came from outside: the descriptor, or why it is refused. Never throws. */
export function readDescriptor(core: Core, record: Uint8Array, now_s: number): Descriptor | DescriptorRefusal {
  if (record.length > DESCRIPTOR_BYTES_MAX) return 'descriptor_oversized';
  if (record.length <= SIGNATURE_BYTES) return 'descriptor_malformed';
  const body = record.subarray(SIGNATURE_BYTES);
  const parsed = parseBody(body);
  if (parsed === null) return 'descriptor_malformed';
  if (!core.verify(parsed.id, concat(DOMAIN, body), record.subarray(0, SIGNATURE_BYTES))) return 'descriptor_forged';
  if (parsed.time > now_s + SKEW_S_MAX || parsed.expires <= now_s) return 'descriptor_stale';
  return {
    id: toHex(parsed.id),
    seq: parsed.seq,
    time_s: parsed.time,
    expires_s: parsed.expires,
    addresses: parsed.addresses,
    roles: {
      client: parsed.roles.includes('client'),
      relay: parsed.roles.includes('relay'),
      exit: parsed.roles.includes('exit'),
      ...(parsed.roles.includes('listener') && { listener: true }),
    },
    onionKeys: parsed.onion_keys.map((k) => ({ key: k.key.slice(), from_s: k.from, until_s: k.until })),
    suites: parsed.suites,
    versions: { min: parsed.versions[0], max: parsed.versions[1] },
    ...(parsed.webtransport !== undefined && {
      webtransport: { hashes: parsed.webtransport.hashes.map((hash) => hash.slice()) },
    }),
    ...(parsed.reliable !== undefined && { reliable: reliableOf(parsed.reliable) }),
    estimates: {
      ...(parsed.estimates.rate_bytes_per_s !== undefined && { rate_bytes_per_s: parsed.estimates.rate_bytes_per_s }),
      ...(parsed.estimates.rtt_us !== undefined && { rtt_us: parsed.estimates.rtt_us }),
      ...(parsed.estimates.landmarks !== undefined && {
        landmarks: parsed.estimates.landmarks.map(({ id, rtt_us }) => ({ id: toHex(id), rtt_us })),
      }),
    },
  };
}

function reliableOf({ addresses, host }: { addresses: string[]; host?: string | undefined }) {
  return { addresses, ...(host !== undefined && { host }) };
}

function parseBody(body: Uint8Array): z.infer<typeof Body> | null {
  const b = parseCbor(body, Body);
  if (b === null) return null;
  const sane =
    b.expires > b.time &&
    b.expires - b.time <= LIFETIME_S_MAX &&
    b.versions[0] <= b.versions[1] &&
    b.onion_keys.every((k) => k.until > k.from) &&
    new Set(b.roles).size === b.roles.length &&
    new Set((b.estimates.landmarks ?? []).map(({ id }) => toHex(id))).size === (b.estimates.landmarks ?? []).length &&
    b.addresses.every(isSocketAddress) &&
    (b.reliable?.addresses ?? []).every(isSocketAddress) &&
    (b.reliable?.host === undefined || isNamePort(b.reliable.host));
  return sane ? b : null;
}

/** `1.2.3.4:5` or `[::1]:5`: names are not addresses, and would have to be asked of a resolver. */
export function isSocketAddress(text: string): boolean {
  const match = /^(?:(\d{1,3}(?:\.\d{1,3}){3})|\[([0-9a-fA-F:.]{2,45})\]):(\d{1,5})$/.exec(text);
  if (match === null) return false;
  const port = Number(match[3]);
  if (port < 1 || port > 65535) return false;
  return match[1] === undefined || match[1].split('.').every((part) => Number(part) <= 255);
}

function concat(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}
