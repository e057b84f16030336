/**
 * An independent search for circles that multiply what runs in them: Bellman and Ford's on log gains. It knows every rate in the
 * network, which no node does.
 */

export interface Rates {
  nodes: number;
  from: Int32Array;
  to: Int32Array;
  /** log2 of what a credit becomes from one to the other, whatever the hop keeps included. */
  log2: Float64Array;
}

export interface Circle {
  nodes: number[];
  /** Of one round: 1.01 is 1 % of profit. */
  gain: number;
}

/**
 * A circle whose gain is `gain` or more, the best that was come by; or null. There is none if null is returned and the search was `sure`.
 * Every rate is lowered by log2(gain)/nodes: a circle of h ≤ nodes hops that gains enough still gains then, so that finding none
 * proves that there is none. What is found gains something, but perhaps too little: then circles of up to `hops` are searched
 * exactly from every node on one.
 */
export function circle(rates: Rates, gain: number, hops = 12): { circle: Circle | null; sure: boolean } {
  const wanted = Math.log2(gain);
  const seen = relaxed(rates, wanted / rates.nodes);
  if (seen === null) return { circle: null, sure: true };
  const found = measured(rates, seen);
  if (found.gain >= gain) return { circle: found, sure: true };
  let best: Circle = found;
  for (const start of new Set(around(rates))) {
    const one = bounded(rates, start, hops);
    if (one !== null && one.gain > best.gain) best = one;
    if (best.gain >= gain) return { circle: best, sure: true };
  }
  return { circle: null, sure: false };
}

const EPSILON = 1e-12;

/** Edges of a circle whose rates, each lowered by `less`, sum to more than 0; null where there is none. */
function relaxed({ nodes, from, to, log2 }: Rates, less: number): number[] | null {
  const best = new Float64Array(nodes);
  const by = new Int32Array(nodes).fill(-1);
  let last = -1;
  for (let round = 0; round <= nodes; round++) {
    last = -1;
    for (let edge = 0; edge < from.length; edge++) {
      const reached = (best[from[edge] as number] as number) + (log2[edge] as number) - less;
      const there = to[edge] as number;
      if (reached <= (best[there] as number) + EPSILON) continue;
      best[there] = reached;
      by[there] = edge;
      last = there;
    }
    if (last < 0) return null;
    // Whoever came to a circle of predecessors is found long before `nodes` rounds are over.
    if (round % 16 === 15) {
      const edges = closed(nodes, from, by);
      if (edges !== null) return edges;
    }
  }
  return closed(nodes, from, by);
}

/** A circle in the graph of predecessors. */
function closed(nodes: number, from: Int32Array, by: Int32Array): number[] | null {
  const mark = new Int32Array(nodes).fill(-1);
  for (let start = 0; start < nodes; start++) {
    let node = start;
    while (mark[node] === -1 && (by[node] as number) >= 0) {
      mark[node] = start;
      node = from[by[node] as number] as number;
    }
    if (mark[node] !== start || (by[node] as number) < 0) continue;
    const edges: number[] = [];
    const first = node;
    do {
      const edge = by[node] as number;
      edges.push(edge);
      node = from[edge] as number;
    } while (node !== first);
    return edges.reverse();
  }
  return null;
}

function measured({ from, log2 }: Rates, edges: number[]): Circle {
  const sum = edges.reduce((all, edge) => all + (log2[edge] as number), 0);
  return { nodes: edges.map((edge) => from[edge] as number), gain: 2 ** sum };
}

/** Nodes with an edge whose rate is above 1: every circle that gains has one. */
function* around({ from, log2 }: Rates): Generator<number> {
  for (let edge = 0; edge < from.length; edge++) if ((log2[edge] as number) > 0) yield from[edge] as number;
}

/**
 * The best circle among those that the best closed walks of up to `hops` from a node are made of. Where the best walk of a length gains
 * less than is wanted, no circle of that length gains it; a walk that gains by going round one circle several times is that circle.
 */
export function bounded({ nodes, from, to, log2 }: Rates, start: number, hops: number): Circle | null {
  let reach = new Float64Array(nodes).fill(Number.NEGATIVE_INFINITY);
  reach[start] = 0;
  const by: Int32Array[] = [];
  let best: { edges: number[]; sum: number } = { edges: [], sum: EPSILON };
  for (let hop = 1; hop <= hops; hop++) {
    const next = new Float64Array(nodes).fill(Number.NEGATIVE_INFINITY);
    const edges = new Int32Array(nodes).fill(-1);
    for (let edge = 0; edge < from.length; edge++) {
      const sum = (reach[from[edge] as number] as number) + (log2[edge] as number);
      const there = to[edge] as number;
      if (sum <= (next[there] as number)) continue;
      next[there] = sum;
      edges[there] = edge;
    }
    by.push(edges);
    reach = next;
    if ((reach[start] as number) <= best.sum) continue;
    const walk: number[] = [];
    for (let length = hop, node = start; length > 0; length--) {
      const edge = (by[length - 1] as Int32Array)[node] as number;
      walk.push(edge);
      node = from[edge] as number;
    }
    for (const one of circlesOf(from, walk.reverse())) {
      const sum = one.reduce((all, edge) => all + (log2[edge] as number), 0);
      if (sum > best.sum) best = { edges: one, sum };
    }
  }
  if (best.edges.length === 0) return null;
  return { nodes: best.edges.map((edge) => from[edge] as number), gain: 2 ** best.sum };
}

/** A closed walk's circles, each through no node twice. */
function* circlesOf(from: Int32Array, walk: readonly number[]): Generator<number[]> {
  const way: number[] = [];
  for (const edge of walk) {
    const again = way.findIndex((before) => from[before] === from[edge]);
    if (again >= 0) yield way.splice(again);
    way.push(edge);
  }
  yield way;
}
