import { expect, test } from 'vitest';
import { Chance } from '../base/chance.js';
import { bounded, circle, type Rates } from './arbitrage.js';
import { Cheapest, graphOf, grown, Shortest } from './graph.js';
import { gini, jain } from './spread.js';

test('Gini’s coefficient and Jain’s index of known spreads', () => {
  expect(gini([3, 3, 3, 3])).toBeCloseTo(0, 12);
  expect(gini([0, 0, 0, 8])).toBeCloseTo(3 / 4, 12);
  // Of 1, 2, …, n it is (n − 1) / 3n … (n² − 1)/(3n(n + 1)).
  expect(gini(Array.from({ length: 100 }, (_, i) => i + 1))).toBeCloseTo(99 / 300, 12);
  expect([jain([2, 2]), jain([4, 0, 0, 0])]).toEqual([1, 0.25]);
});

test('a graph that grows is connected, and its ways are as short and as cheap as can be', () => {
  const graph = grown(300, 2, new Chance(1, 1));
  const shortest = new Shortest(graph);
  const cheapest = new Cheapest(graph);
  const one = new Float64Array(300).fill(1);
  for (let node = 1; node < 300; node++) {
    const path = shortest.path(0, node) as number[];
    expect([path[0], path.at(-1)]).toEqual([0, node]);
    for (let i = 1; i < path.length; i++) expect(graph.place[path[i - 1] as number]?.has(path[i] as number)).toBe(true);
    expect(cheapest.path(0, node, one)).toHaveLength(path.length);
  }
  // 0 – 1 – 2 and 0 – 3 – 4 – 2: the short way costs 5, the long one 2.
  const diamond = graphOf(5, [
    [0, 1],
    [1, 2],
    [0, 3],
    [3, 4],
    [4, 2],
  ]);
  expect(new Cheapest(diamond).path(0, 2, [0, 5, 0, 1, 1])).toEqual([0, 3, 4, 2]);
  expect(new Shortest(diamond).path(0, 2)).toEqual([0, 1, 2]);
  expect(new Shortest(graphOf(3, [[0, 1]])).path(0, 2)).toBeNull();
});

/** Rates that follow from a potential have no circle that gains; then some are changed. */
function rates(nodes: number, edges: readonly (readonly [number, number])[], potential: readonly number[]): Rates {
  const both = edges.flatMap(([a, b]) => [
    [a, b],
    [b, a],
  ]) as [number, number][];
  return {
    nodes,
    from: Int32Array.from(both, ([a]) => a),
    to: Int32Array.from(both, ([, b]) => b),
    log2: Float64Array.from(both, ([a, b]) => (potential[b] as number) - (potential[a] as number)),
  };
}

test('a circle that gains is found wherever it is put, and none where rates follow from a potential', () => {
  for (let seed = 0; seed < 20; seed++) {
    const chance = new Chance(seed, 2);
    const graph = grown(200, 2, chance);
    const edges = graph.neighbours.flatMap((all, a) => all.filter((b) => a < b).map((b) => [a, b] as const));
    const potential = Array.from({ length: 200 }, () => 5 * chance.normal());
    const all = rates(200, edges, potential);
    for (let i = 0; i < all.log2.length; i++) all.log2[i]! -= 0.001;
    expect(circle(all, 1.01)).toEqual({ circle: null, sure: true });
    // One edge gains 3 % more than its ends' potentials say: any circle over it of up to 12 hops gains more than 1 %.
    const lucky = chance.below(all.log2.length);
    all.log2[lucky]! += Math.log2(1.03);
    const found = circle(all, 1.01).circle;
    if (found !== null) {
      expect(found.gain).toBeGreaterThanOrEqual(1.01);
      expect(found.nodes).toContain(all.from[lucky]);
      expect(found.nodes).toContain(all.to[lucky]);
    }
    const best = bounded(all, all.from[lucky] as number, 12);
    expect(found === null).toBe((best?.gain ?? 1) < 1.01);
  }
});
