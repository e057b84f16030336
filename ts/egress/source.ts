/**
 * The source half of a tuple. It stays in this node: it tells connections of one program from those of another, and a retry
 * from a first try.
 */
import { ipv6Words, splitHostPort } from '../base/config/address.js';
import { EGRESS_SOURCE_BYTES } from '../core/egress.js';

export type SourceProtocol = 'tcp' | 'udp';

const NUMBERS: Record<SourceProtocol, number> = { tcp: 6, udp: 17 };
const PORT = 16;
const PROTOCOL = 18;

function sourceBytes(address: Uint8Array, port: number, protocol: SourceProtocol): Uint8Array {
  const bytes = new Uint8Array(EGRESS_SOURCE_BYTES);
  bytes.set(address);
  bytes[PORT] = port >> 8;
  bytes[PORT + 1] = port & 255;
  bytes[PROTOCOL] = NUMBERS[protocol];
  return bytes;
}

/** Of a proxy's client at `ip:port`. What is no address counts as one that nobody has. */
export function sourceAt(text: string, protocol: SourceProtocol): Uint8Array {
  const address = new Uint8Array(16);
  const parts = splitHostPort(text);
  if (parts === null) return sourceBytes(address, 0, protocol);
  const words = parts.host.includes(':') ? ipv6Words(parts.host) : null;
  if (words === null) address.set([0xff, 0xff, ...parts.host.split('.').map(Number)], 10);
  else address.set(words.flatMap((word) => [word >> 8, word & 255]));
  return sourceBytes(address, parts.port, protocol);
}

/** Of flows that have no address, since the program is this one: one address per isolation key, and a port each. */
export class MadeSources {
  #port = 0;

  next(isolation: string, protocol: SourceProtocol = 'tcp'): Uint8Array {
    const address = new Uint8Array(16);
    // Discard-only (RFC 6666): no socket has such an address.
    address[0] = 1;
    let hash = 0x811c9dc5;
    for (let i = 0; i < isolation.length; i++) hash = Math.imul(hash ^ isolation.charCodeAt(i), 0x01000193);
    new DataView(address.buffer).setInt32(8, hash);
    this.#port = (this.#port + 1) % 65_536;
    return sourceBytes(address, this.#port, protocol);
  }
}
