/** Descriptors of nodes that exist only in tests. */
import type { Descriptor } from '../base/directory.js';

export const NOW_S = 1_800_000_000;

export function node(name: string, roles: Partial<Descriptor['roles']> = { relay: true }): Descriptor {
  return {
    id: Buffer.from(name.padEnd(32, '.')).toString('hex'),
    seq: 1,
    time_s: NOW_S,
    expires_s: NOW_S + 3600,
    addresses: ['192.0.2.1:4433'],
    roles: { client: false, relay: false, exit: false, ...roles },
    onionKeys: [{ key: new Uint8Array(1216), from_s: NOW_S - 10, until_s: NOW_S + 3600 }],
    suites: ['aes128gcm', 'chacha20poly1305'],
    versions: { min: 1, max: 1 },
    estimates: {},
  };
}
