/**
 * Downgrade refusal. A link's handshake negotiates the highest version both sides claim; an attacker who makes one side claim
 * less is found out by the peer's signed descriptor, which says what it really speaks.
 */
import type { Descriptor } from '../base/directory.js';

/** The highest link protocol version this code speaks, and the lowest it still takes. */
export const LINK_VERSIONS = { min: 0, max: 1 } as const;

/** Whether a link of this version is below what both sides can do. */
export function isDowngrade(negotiated: number, peer: Descriptor | undefined, ours: { max: number } = LINK_VERSIONS): boolean {
  return peer !== undefined && negotiated < Math.min(peer.versions.max, ours.max);
}
