import { expect, test } from 'vitest';
import { CircleSeeker, circleClass, circleMost, type Quotes } from './circles.js';

/** Rates by 'from to', log2; what is not named is the inverse of what is. */
function quotes(rates: Record<string, number>): Quotes {
  const log2 = new Map<string, number>();
  const neighbours = new Map<number, number[]>();
  for (const [edge, rate] of Object.entries(rates)) {
    const [from, to] = edge.split(' ').map(Number) as [number, number];
    log2.set(`${from} ${to}`, rate);
    log2.set(`${to} ${from}`, -rate);
    neighbours.set(from, [...(neighbours.get(from) ?? []), to]);
    neighbours.set(to, [...(neighbours.get(to) ?? []), from]);
  }
  return {
    nodes: 8,
    neighbours: (node) => neighbours.get(node) ?? [],
    log2: (from, to) => log2.get(`${from} ${to}`) as number,
  };
}

test('the best circle through a node is found, up to its length, the way round that gains', () => {
  const all = quotes({ '0 1': 0.5, '1 2': 0.25, '2 0': -0.5, '0 3': 1, '3 4': 0, '4 5': 0, '5 6': 0, '6 0': 0 });
  const three = new CircleSeeker({ hops: 4 }).best(0, all);
  expect(three?.path).toEqual([0, 1, 2, 0]);
  expect(three?.gain).toBeCloseTo(2 ** 0.25, 12);
  expect(new CircleSeeker({ hops: 5 }).best(0, all)?.path).toEqual([0, 3, 4, 5, 6, 0]);
  expect(new CircleSeeker({ hops: 4 }).best(4, all)).toBeNull();
  expect(new CircleSeeker({ hops: 4, gain: 1.2 }).best(0, all)).toBeNull();
});

test('rates that follow from what nodes are worth have no circle, and there and back gains nothing', () => {
  const worth = [3, -1, 0.5, 2, 0];
  const edges = [
    [0, 1],
    [1, 2],
    [2, 0],
    [2, 3],
    [3, 4],
    [4, 0],
    [1, 3],
  ] as const; // prettier-ignore
  const all = quotes(
    Object.fromEntries(edges.map(([a, b]) => [`${a} ${b}`, (worth[b] as number) - (worth[a] as number)])),
  );
  for (let node = 0; node < 5; node++) expect(new CircleSeeker().best(node, all)).toBeNull();
});

test('a circle takes a small part of what there is, and more or less of it by what it gains', () => {
  expect([0, 127_999, 128_000, 2 ** 53].map(circleMost)).toEqual([0, 0, 1, 8]);
  expect([1.02, 1.006, 1.001, 0.5].map((gain) => circleClass(3, gain, 5))).toEqual([4, 3, 2, 2]);
  expect([circleClass(5, 2, 5), circleClass(1, 1, 5), circleClass(5, 2, 2)]).toEqual([5, 0, 2]);
});
