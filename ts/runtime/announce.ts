/** What a node tells the network of itself: the content of its descriptor. */
import type { Descriptor, OnionKey } from '../base/directory.js';
import { UsageError } from '../base/errors.js';
import type { NodeRole } from './options.js';

/** The link protocol versions that this code speaks. */
export const LINK_VERSIONS = { min: 1, max: 1 };
/** A descriptor lives so long, and is signed again at a sixth of it. */
export const DESCRIPTOR_LIFE_S = 6 * 3600;

/** Whether others must be able to find it. A mere client tells nobody that it exists. */
export const serves = (roles: readonly NodeRole[]): boolean => roles.some((role) => role !== 'client');

export interface Announced {
  id: string;
  roles: readonly NodeRole[];
  /** Where it is reached, `ip:port`. */
  addresses: string[];
  now_ms: number;
  /** What it told last. */
  last: Descriptor | null;
  onionKeys: OnionKey[];
  certificateHashes: Uint8Array[] | null;
  /** Where it takes links over TCP. */
  reliable: string[];
  /** Its round trips to the landmarks that answered. */
  landmarks: { id: string; rtt_us: number }[];
  /** Where browsers reach these. */
  webHost?: string | undefined;
}

/** Throws `config_invalid` where nobody could reach it. */
export function announcement(of: Announced): Descriptor {
  const unspecified = of.addresses.find((address) => /^(0\.0\.0\.0|\[::\]):/.test(address));
  if (unspecified !== undefined) {
    const role = of.roles.find((name) => name !== 'client');
    throw new UsageError('config_invalid', `a ${role} that listens on ${unspecified} must say where it is reached`, {
      hint: 'set `advertise` to its public IP:PORT',
    });
  }
  const now_s = Math.floor(of.now_ms / 1000);
  return {
    id: of.id,
    // Milliseconds, so that a node that starts again at once is not taken for its former self.
    seq: Math.max(Math.floor(of.now_ms), (of.last?.seq ?? 0) + 1),
    time_s: now_s,
    expires_s: now_s + DESCRIPTOR_LIFE_S,
    addresses: of.addresses,
    roles: {
      client: false,
      relay: of.roles.includes('relay'),
      exit: of.roles.includes('exit'),
      ...(of.roles.includes('listener') && { listener: true }),
    },
    onionKeys: of.onionKeys,
    suites: ['aes128gcm', 'aes256gcm', 'chacha20poly1305'],
    versions: LINK_VERSIONS,
    ...(of.certificateHashes !== null && { webtransport: { hashes: of.certificateHashes } }),
    ...(of.reliable.length > 0 && {
      reliable: { addresses: of.reliable, ...(of.webHost !== undefined && { host: of.webHost }) },
    }),
    estimates: { ...(of.landmarks.length > 0 && { landmarks: of.landmarks }) },
  };
}
