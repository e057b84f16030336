/** Reproducible chance for tests. */
import { type Random, randomBelow } from '../base/ports.js';

/** Words of 32 bits (Mulberry32). */
export function words(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (t ^ (t >>> 14)) >>> 0;
  };
}

export function seeded(seed: number): Random {
  const next = words(seed);
  const fill = (bytes: Uint8Array) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = next() & 0xff;
  };
  return { fill, below: (bound) => randomBelow(fill, bound) };
}
