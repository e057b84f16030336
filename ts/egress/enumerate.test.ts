import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seeded } from '../testing/seeded.js';
import { EntrySet } from './entries.js';
import { Enumerator } from './enumerate.js';
import { isolationKey } from './isolation.js';
import { byNearness, roundTrip_us } from './landmarks.js';

const exit = (id: string, more: object = {}) => ({
  id,
  confirmed_us: 0,
  speed: 100,
  capacity: 50,
  estimated_us: 0,
  ...more,
});

function directory(exits: number, options = {}) {
  const random = seeded(7);
  const hops = new Enumerator(random, new EntrySet(['e1', 'e2', 'e3', 'e4'], 3, random), options);
  for (let i = 0; i < 5; i++) hops.relayPut({ id: `r${i}`, confirmed_us: 0 });
  for (let i = 0; i < exits; i++) hops.exitPut(exit(`x${i}`));
  return hops;
}

describe('hops not seen before', () => {
  test('every exit once, whatever the portions, then no more', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 30 }),
        (n, asked) => {
          const hops = directory(n);
          const given = asked.flatMap((count) => hops.unseenHops(count, 0).map((plan) => plan.exit));
          expect(new Set(given).size).toBe(given.length);
          const sum = asked.reduce((a, b) => a + b, 0);
          expect(given.length).toBe(Math.min(n, sum));
          expect(hops.unseen).toBe(n - given.length);
        },
      ),
    );
  });

  test('paths begin in the sticky set, have no node twice, and end at the exit', () => {
    const random = seeded(3);
    const entries = new EntrySet(['a', 'b', 'c', 'x1'], 4, random);
    const hops = new Enumerator(random, entries, { relays: 2 });
    for (const id of ['a', 'r', 's', 'x1', 'x2']) hops.relayPut({ id, confirmed_us: 0 });
    for (const id of ['x1', 'x2']) hops.exitPut(exit(id));
    for (let round = 0; round < 50; round++) {
      for (const plan of hops.hops(2, 0)) {
        expect(plan.path).toHaveLength(4);
        expect(new Set(plan.path).size).toBe(4);
        expect(entries.ids).toContain(plan.path[0]);
        expect(plan.path.at(-1)).toBe(plan.exit);
        hops.release(plan.exit);
      }
    }
  });

  test('a stale descriptor waits for its confirmation, and what is known tells its age', () => {
    const hops = directory(0, { fresh_us: 100 });
    hops.exitPut(exit('old'));
    expect(hops.unseenHops(1, 101)).toEqual([]);
    hops.exitPut(exit('old', { confirmed_us: 90, estimated_us: 40 }));
    expect(hops.unseenHops(1, 101)).toMatchObject([
      { exit: 'old', estimate: 50, confirmedAge_us: 11, estimateAge_us: 61 },
    ]);
  });

  test('in use: never again; released: again, after those not seen, not before its verdict ends, and another way', () => {
    const hops = directory(3);
    const first = hops.hops(2, 0);
    expect(hops.hops(9, 0).map((plan) => plan.exit)).not.toContain(first[0]?.exit);
    expect(hops.hops(9, 0)).toEqual([]);
    const { exit: back, path } = first[0] as { exit: string; path: readonly string[] };
    hops.release(back, 50);
    expect(hops.hops(9, 49)).toEqual([]);
    expect(hops.unseenHops(9, 50)).toEqual([]);
    const again = hops.hops(9, 50);
    expect(again.map((plan) => plan.exit)).toEqual([back]);
    expect(again[0]?.path).not.toEqual(path);
    hops.exitDrop(back);
    hops.release(back);
    expect(hops.size).toBe(2);
    hops.exitPut(exit(back));
    expect(hops.unseenHops(9, 60).map((plan) => plan.exit)).toEqual([back]);
  });

  test('without first hops or relays there is no path, and nothing is used up', () => {
    const random = seeded(1);
    const hops = new Enumerator(random, new EntrySet([], 3, random));
    hops.exitPut(exit('x'));
    expect(hops.hops(1, 0)).toEqual([]);
    expect(hops.unseen).toBe(1);
  });

  test('of random paths the one of low latency is given', () => {
    const random = seeded(5);
    const hops = new Enumerator(random, new EntrySet(['e'], 1, random), { candidates: 32 });
    hops.relayPut({ id: 'e', confirmed_us: 0, pings_us: [10, 100] });
    hops.relayPut({ id: 'near', confirmed_us: 0, pings_us: [10, 100] });
    hops.relayPut({ id: 'far', confirmed_us: 0, pings_us: [900, 900] });
    for (let i = 0; i < 20; i++) hops.exitPut(exit(`x${i}`, { pings_us: [20, 90] }));
    const plans = hops.hops(20, 0);
    expect(plans.every((plan) => plan.path[1] === 'near' && plan.latency_us > 0)).toBe(true);
  });
});

describe('nearness by landmarks', () => {
  test('the estimate lies within what the triangle inequality allows', () => {
    const point = fc.tuple(fc.integer({ min: 0, max: 9999 }), fc.integer({ min: 0, max: 9999 }));
    fc.assert(
      fc.property(point, point, fc.array(point, { minLength: 1, maxLength: 8 }), (a, b, landmarks) => {
        const far = (p: number[], q: number[]) => Math.hypot((p[0] ?? 0) - (q[0] ?? 0), (p[1] ?? 0) - (q[1] ?? 0));
        const [x, y] = [a, b].map((p) => landmarks.map((l) => far(p, l))) as [number[], number[]];
        const us = roundTrip_us(x, y);
        const low = Math.max(...x.map((v, i) => Math.abs(v - (y[i] ?? 0))));
        const high = Math.min(...x.map((v, i) => v + (y[i] ?? 0)));
        expect(us).toBeGreaterThanOrEqual(low - 1e-6);
        expect(us).toBeLessThanOrEqual(high + 1e-6);
        expect(Math.abs(us - far(a, b))).toBeLessThanOrEqual((high - low) / 2 + 1e-6);
      }),
    );
  });

  test('absurd times count as none, and who is unknown comes last', () => {
    expect(roundTrip_us([Number.NaN, -1, Number.POSITIVE_INFINITY], [1, 1, 1])).toBeNaN();
    expect(roundTrip_us([], [5])).toBeNaN();
    const exits = [{ id: 'unknown' }, { id: 'far', pings_us: [500, 500] }, { id: 'near', pings_us: [12, 50] }];
    expect(byNearness(exits, [10, 52]).map(({ id }) => id)).toEqual(['near', 'far', 'unknown']);
  });
});

describe('first hops and isolation', () => {
  test('the set is drawn once, keeps what an earlier run had, and cannot be changed', () => {
    const random = seeded(2);
    const entries = new EntrySet(['a', 'b', 'c', 'd', 'a'], 3, random, ['z', 'b']);
    expect(entries.ids).toHaveLength(3);
    expect(entries.ids.slice(0, 2)).toEqual(['z', 'b']);
    expect(() => (entries.ids as string[]).push('evil')).toThrow(TypeError);
    for (let i = 0; i < 200; i++) expect(entries.ids).toContain(entries.draw(random));
    expect(entries.draw(random, entries.ids)).toBeNull();
    expect(new EntrySet([], 3, random).draw(random)).toBeNull();
  });

  test('flows may share circuits exactly where inlet, user and password are the same', () => {
    const text = fc.option(fc.string({ maxLength: 4, unit: fc.constantFrom('a', ',', '"', '\u0000', ']') }), {
      nil: undefined,
    });
    const origin = fc.record({ inlet: fc.constantFrom('socks', 'http'), user: text, password: text });
    fc.assert(
      fc.property(origin, origin, (a, b) => {
        const same = a.inlet === b.inlet && a.user === b.user && a.password === b.password;
        expect(isolationKey(a) === isolationKey(b)).toBe(same);
      }),
    );
  });
});
