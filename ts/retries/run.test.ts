import { expect, test } from 'vitest';
import { createNativeEgress } from '../platform/native-egress.js';
import { compare } from './compare.js';
import { entropy } from './counts.js';
import { WORLD_DEFAULTS } from './options.js';
import { closedForms } from './validate.js';

const S = 1_000_000;
const short = (seed = 1) => ({ seed, world: { ...WORLD_DEFAULTS, exits: 1000 }, warm_us: 20 * S, counted_us: 20 * S });

test('uniform draws need as many tries as the closed forms say', () => {
  for (const [exits, bad] of [
    [8, 2],
    [12, 6],
  ] as const) {
    for (const { error, sigma } of closedForms(createNativeEgress, 7, { exits, bad, connections: 20_000 }))
      expect(Math.abs(error)).toBeLessThan(4 * sigma);
  }
});

test('the same seed gives the same figures, and every connection that is counted ends', () => {
  const once = compare(createNativeEgress, short(), ['uniform-with', 'dual-buckets']);
  expect(compare(createNativeEgress, short(), ['uniform-with', 'dual-buckets'])).toEqual(once);
  for (const { all, warm, cold } of [...Object.values(once.policies), once.oracle]) {
    expect(all.connections).toBe(warm.connections + cold.connections);
    // 100 a second for 20 s, four standard errors.
    expect(Math.abs(all.connections - 2000)).toBeLessThan(4 * Math.sqrt(2000));
  }
  // Whoever knows every black hole tries again only what one has met on the way.
  expect(once.oracle.all.retries).toBeLessThan(0.01);
});

test('entropy is Shannon’s', () => {
  expect(entropy([1, 1, 1, 1, 0], 4)).toBe(2);
  expect(entropy([1, 3], 4)).toBeCloseTo(0.8112781, 6);
  expect(entropy([7, 0], 7)).toBe(0);
});

test('where exits come and go to none at all, connections wait and end; what overloads everything is refused', () => {
  const world = { ...WORLD_DEFAULTS, exits: 2, rate: 1, firstRate: 1, upMean_us: 60 * S, downMean_us: 60 * S };
  const { policies } = compare(createNativeEgress, { ...short(2), world }, ['dual-buckets-race']);
  const figures = policies['dual-buckets-race'];
  expect(figures?.all.connections).toBeGreaterThan(0);
  expect(figures?.window.least).toBe(0);
  expect(() => compare(createNativeEgress, { ...short(), world: { ...world, rate: 10_000 } })).toThrow(
    /^connections ask for .* MB\/s, and the exits can move/,
  );
});

test('figures that need as much do not change with how many other exits there are to draw', () => {
  const at = (exits: number) => ({ ...short(3), world: { ...WORLD_DEFAULTS, exits } });
  const [few, many] = [1000, 50_000].map(
    (exits) => compare(createNativeEgress, at(exits), ['uniform-with']).policies['uniform-with']?.all.retries as number,
  );
  // Standard error of either about 0.02.
  expect(Math.abs((few as number) - (many as number))).toBeLessThan(0.12);
});
