/**
 * Nearness from ping times to a shared set of landmarks: nobody has to ping anybody, and nobody learns who asked.
 *
 * Between nodes with round trips a_i and b_i to landmark i, the triangle inequality puts theirs between max |a_i - b_i| and
 * min (a_i + b_i). The middle of the two is the estimate.
 *
 * Landmarks are the relays of the lowest ids, so that all nodes mean nearly the same few without being told. Whoever makes ids until
 * one is low becomes a landmark, and can at most seem nearer or farther than it is, to all alike.
 */
import type { Descriptor } from '../base/directory.js';

export const LANDMARKS = 8;

/** The shared set, as far as these nodes tell. */
export function landmarksAmong(nodes: readonly Pick<Descriptor, 'id' | 'roles'>[]): string[] {
  return nodes
    .filter(({ roles }) => roles.relay)
    .map(({ id }) => id)
    .sort()
    .slice(0, LANDMARKS);
}

/** Round trips to the landmarks in their agreed order, microseconds; NaN where there is none. */
export type Pings = readonly number[];

/** The estimated round trip, microseconds; NaN where the two share no landmark. */
export function roundTrip_us(a: Pings, b: Pings): number {
  let low = 0;
  let high = Number.POSITIVE_INFINITY;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    if (!(x >= 0 && y >= 0 && x + y < Number.POSITIVE_INFINITY)) continue;
    low = Math.max(low, Math.abs(x - y));
    high = Math.min(high, x + y);
  }
  // Times that were measured on different days may contradict each other; the upper bound is then the safer one.
  return high === Number.POSITIVE_INFINITY ? Number.NaN : (Math.min(low, high) + high) / 2;
}

/** The nearest first; those of which nothing is known last, in the order they came. */
export function byNearness<T extends { pings_us?: Pings | undefined }>(nodes: readonly T[], to: Pings): T[] {
  const known = nodes.map((node, order) => ({ node, order, us: roundTrip_us(node.pings_us ?? [], to) }));
  const far = (us: number) => (Number.isNaN(us) ? Number.MAX_VALUE : us);
  return known.sort((a, b) => far(a.us) - far(b.us) || a.order - b.order).map(({ node }) => node);
}
