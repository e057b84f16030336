import { expect, test } from 'vitest';
import { Chance } from '../base/chance.js';
import { Arrivals } from './arrivals.js';
import { meanSize, WORLD_DEFAULTS } from './options.js';
import { EventQueue } from './queue.js';
import { type Transfer, Transfers } from './transfers.js';
import { World } from './world.js';

const S = 1_000_000;
const world = (choice = {}, seed = 1) => new World({ ...WORLD_DEFAULTS, ...choice }, seed);

test('one of P pairs is a black hole at any time, for the stated mean time', () => {
  const still = world({ upMean_us: Number.POSITIVE_INFINITY, intermediariesBlock: false });
  for (const at_us of [0, 300 * S, 7200 * S]) {
    let blocked = 0;
    for (let exit = 0; exit < 1000; exit++)
      for (let destination = 0; destination < 100; destination++)
        blocked += still.swallows(exit, 0, destination, at_us) ? 1 : 0;
    // 100,000 pairs: four standard errors are 0.0055.
    expect(blocked / 100_000).toBeCloseTo(1 / 4, 2);
  }
  // Of those blocked at 0, exp(-t / mean) have been so all the time until t.
  let [at, stayed] = [0, 0];
  for (let exit = 0; exit < 1000; exit++) {
    for (let destination = 0; destination < 100; destination++) {
      if (!still.swallows(exit, 0, destination, 0)) continue;
      at += 1;
      let all = true;
      for (let second = 0; second <= 300 && all; second += 10) all = still.swallows(exit, 0, destination, second * S);
      stayed += all ? 1 : 0;
    }
  }
  expect(stayed / at).toBeCloseTo(Math.exp(-300 / 600), 1);
});

test('an intermediary swallows too, and what is told of the end of a state is true', () => {
  const it = world({ upMean_us: 600 * S });
  let silent = 0;
  for (let i = 0; i < 20_000; i++) {
    const [exit, intermediary, destination] = [i % 1000, (i * 7) % 200, i % 199];
    const { silent: now, until_us, untilAway } = it.meet(exit, intermediary, destination, 50 * S);
    if (now) {
      silent += 1;
      continue;
    }
    expect(it.meet(exit, intermediary, destination, until_us - 1).silent).toBe(false);
    const then = it.meet(exit, intermediary, destination, until_us + 1);
    expect([then.silent, then.away]).toEqual([true, untilAway]);
  }
  // 1 - (3/4)² of those whose exit is there: 600 of 900 s.
  expect(silent / 20_000).toBeCloseTo(1 - (600 / 900) * (3 / 4) ** 2, 1);
});

test('the same seed is the same world, another seed another one', () => {
  const seen = (seed: number) => {
    const it = world({}, seed);
    return [...it.exitLimit.slice(0, 3), ...[1, 2, 3].map((x) => it.meet(x, x, x, S).until_us), it.path_us(0, 1, 2)];
  };
  expect(seen(5)).toEqual(seen(5));
  expect(seen(5)).not.toEqual(seen(6));
});

test('exits that vanish at once do so together, each time others, and come back', () => {
  const vanish = { share: 0.2, at_us: 100 * S, for_us: 60 * S, every_us: 200 * S, times: 2 };
  const it = world({ upMean_us: Number.POSITIVE_INFINITY, vanish });
  const away = (at_us: number) => Array.from({ length: 1000 }, (_, exit) => it.isAway(exit, at_us));
  const [first, again] = [away(100 * S), away(300 * S)];
  const count = (of: boolean[]) => of.filter(Boolean).length;
  expect([count(away(99 * S)), count(away(160 * S))]).toEqual([0, 0]);
  expect(count(first) / 1000).toBeCloseTo(0.2, 1);
  expect(count(again) / 1000).toBeCloseTo(0.2, 1);
  expect(first).not.toEqual(again);
});

test('destinations are asked for by Zipf’s law, sizes have the law’s own mean, times are exponential', () => {
  const arrivals = new Arrivals({ ...WORLD_DEFAULTS, size: { least: 8192, most: 2 ** 20, alpha: 1.2 } }, 3);
  const count = 400_000;
  const asked = new Map<number, number>();
  let [bytes, firsts] = [0, 0];
  for (let i = 0; i < count; i++, arrivals.next()) {
    bytes += arrivals.bytes;
    if (arrivals.first) firsts += 1;
    else asked.set(arrivals.destination, (asked.get(arrivals.destination) ?? 0) + 1);
  }
  const { rate, firstRate } = WORLD_DEFAULTS;
  expect(firsts / count).toBeCloseTo(firstRate / (rate + firstRate), 2);
  expect(arrivals.at_us / S / (count / (rate + firstRate))).toBeCloseTo(1, 2);
  const ratio = (asked.get(0) as number) / (asked.get(9) as number);
  expect(ratio / 10 ** 0.9).toBeCloseTo(1, 1);
  expect(bytes / count / meanSize({ least: 8192, most: 2 ** 20, alpha: 1.2 })).toBeCloseTo(1, 1);
});

test('transfers share their exit’s and their intermediary’s limit evenly, and what moved is kept', () => {
  const made = (exit: number, intermediary: number): Transfer => ({
    ...{ exit, intermediary, exitPlace: 0, intermediaryPlace: 0, rate: 0, moved: 0, moved_us: 0 },
  });
  const transfers = new Transfers<Transfer>(Float64Array.of(1000, 9000), Float64Array.of(4000), () => {});
  const [a, b, c] = [made(0, 0), made(0, 0), made(1, 0)];
  transfers.join(0, a);
  expect(a.rate * S).toBeCloseTo(1000, 6);
  transfers.join(S, b);
  expect([a.rate * S, b.rate * S, a.moved]).toEqual([500, 500, 1000]);
  transfers.join(2 * S, c);
  expect(c.rate * S).toBeCloseTo(4000 / 3, 6);
  expect(transfers.wouldGet(0, 0)).toBeCloseTo(1000 / 3, 6);
  transfers.leave(4 * S, a);
  expect([a.moved, b.moved]).toEqual([1000 + 500 * 3, 1500]);
  expect([b.rate * S, c.rate * S]).toEqual([1000, 2000]);
});

test('events come out in the order of their time, and of equal times in the order they went in', () => {
  const chance = new Chance(9, 9);
  const queue = new EventQueue<number>();
  const wanted: { at: number; item: number }[] = [];
  for (let item = 0; item < 5000; item++) {
    const at = chance.below(500);
    queue.push(at, item & 7, item);
    wanted.push({ at, item });
  }
  wanted.sort((a, b) => a.at - b.at || a.item - b.item);
  for (const { at, item } of wanted) {
    expect([queue.first_us, queue.firstKind]).toEqual([at, item & 7]);
    expect(queue.pop()).toBe(item);
  }
  expect([queue.size, queue.first_us]).toEqual([0, Number.POSITIVE_INFINITY]);
});
