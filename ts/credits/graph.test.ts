import { expect, test } from 'vitest';
import { Chance } from '../base/chance.js';
import { bounded, circle, type Rates } from './arbitrage.js';
import { edgeOf, edgesOf, type Graph, graphOf, grown, Ways } from './graph.js';
import { gini, jain } from './spread.js';

test('Gini’s coefficient and Jain’s index of known spreads', () => {
  expect(gini([3, 3, 3, 3])).toBeCloseTo(0, 12);
  expect(gini([0, 0, 0, 8])).toBeCloseTo(3 / 4, 12);
  // Of 1, 2, …, n it is (n − 1) / 3n … (n² − 1)/(3n(n + 1)).
  expect(gini(Array.from({ length: 100 }, (_, i) => i + 1))).toBeCloseTo(99 / 300, 12);
  expect([jain([2, 2]), jain([4, 0, 0, 0])]).toEqual([1, 0.25]);
});

/** By Floyd and Warshall's, of which nothing is shared with what is tested. */
function distances(graph: Graph, cost: (from: number, to: number) => number): number[][] {
  const far = Array.from({ length: graph.nodes }, (_, a) =>
    Array.from({ length: graph.nodes }, (_, b) =>
      a === b ? 0 : graph.place[a]?.has(b) ? cost(a, b) : Number.POSITIVE_INFINITY,
    ),
  );
  for (let k = 0; k < graph.nodes; k++)
    for (const of of far)
      for (let b = 0; b < graph.nodes; b++)
        of[b] = Math.min(of[b] as number, (of[k] as number) + (far[k]?.[b] as number));
  return far;
}

test('a graph that grows is connected, and its ways are as cheap as can be', () => {
  const chance = new Chance(1, 1);
  const graph = grown(80, 2, chance);
  const edges = edgesOf(graph);
  const costs = Float64Array.from(edges.to, () => 0.1 + chance.unit() ** 3);
  const edge = (a: number, b: number) => (edges.first[a] as number) + (graph.place[a]?.get(b) as number);
  const ways = new Ways(graph, edges);
  const far = distances(graph, (a, b) => costs[edge(a, b)] as number);
  for (let a = 0; a < 80; a++)
    for (let b = 0; b < 80; b++) {
      const path = ways.path(a, b, (which) => costs[which] as number) as number[];
      expect([path[0], path.at(-1)]).toEqual([a, b]);
      const sum = path.slice(1).reduce((all, node, i) => all + (costs[edge(path[i] as number, node)] as number), 0);
      expect(sum).toBeCloseTo(far[a]?.[b] as number, 9);
    }
  const apart = graphOf(3, [[0, 1]]);
  expect(new Ways(apart).path(0, 2, () => 1)).toBeNull();
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

test('going round one circle several times is that circle, and no better one', () => {
  // Three nodes around which each hop gains 0.2 %, and a way there and back of two more from the first that loses.
  const from = Int32Array.from([0, 1, 2, 0, 3]);
  const to = Int32Array.from([1, 2, 0, 3, 0]);
  const hop = Math.log2(1.002);
  const all = { nodes: 4, from, to, log2: Float64Array.from([hop, hop, hop, -0.1, 0.01]) };
  const best = bounded(all, 0, 12);
  expect(best?.gain).toBeCloseTo(1.002 ** 3, 12);
  expect(best?.nodes.length).toBe(3);
  expect(circle(all, 1.01).circle?.gain ?? 1).toBeLessThan(1.01);
  expect(circle(all, 1.006).circle?.gain).toBeCloseTo(1.002 ** 3, 12);
});

test('the edge between two neighbours is found from either end', () => {
  const graph = grown(300, 3, new Chance(3, 5));
  const edges = edgesOf(graph);
  for (let node = 0; node < 300; node++)
    for (const [place, other] of (graph.neighbours[node] as number[]).entries())
      expect(edgeOf(edges, node, other)).toBe((edges.first[node] as number) + place);
  const all = new Set(graph.neighbours[0]);
  for (let node = 1; node < 300; node++) if (!all.has(node)) expect(edgeOf(edges, 0, node)).toBe(-1);
});
