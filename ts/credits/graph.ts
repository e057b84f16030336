/** Who is whose neighbour: random graphs from a seed, and shortest ways through them. */
import type { Chance } from '../base/chance.js';

export interface Graph {
  nodes: number;
  /** Neighbours of each node, in the order in which they came. */
  neighbours: number[][];
  /** By node, the position of a neighbour in the above. */
  place: Map<number, number>[];
}

function empty(nodes: number): Graph {
  return {
    nodes,
    neighbours: Array.from({ length: nodes }, () => []),
    place: Array.from({ length: nodes }, () => new Map()),
  };
}

function join(graph: Graph, a: number, b: number): boolean {
  const [ofA, ofB] = [graph.place[a] as Map<number, number>, graph.place[b] as Map<number, number>];
  if (a === b || ofA.has(b)) return false;
  ofA.set(b, (graph.neighbours[a] as number[]).push(b) - 1);
  ofB.set(a, (graph.neighbours[b] as number[]).push(a) - 1);
  return true;
}

export function graphOf(nodes: number, edges: readonly (readonly [number, number])[]): Graph {
  const graph = empty(nodes);
  for (const [a, b] of edges) join(graph, a, b);
  return graph;
}

/**
 * Nodes come one by one and join `each` others: half of the time whoever a random edge leads to (Barabási and Albert's preferential
 * attachment), else a random node. Degrees are spread as in networks that grow, and no single hub has everything.
 */
export function grown(nodes: number, each: number, chance: Chance): Graph {
  const graph = empty(nodes);
  const ends: number[] = [];
  for (let node = 1; node < nodes; node++) {
    for (let tries = 0, made = 0; made < Math.min(each, node) && tries < 20 * each; tries++) {
      const popular = ends.length > 0 && chance.below(2) === 0;
      const other = popular ? (ends[chance.below(ends.length)] as number) : chance.below(node);
      if (!join(graph, node, other)) continue;
      ends.push(node, other);
      made += 1;
    }
  }
  return graph;
}

/** Fewest hops, by breadth. Arrays are kept between calls: one at a time. */
export class Shortest {
  readonly #graph: Graph;
  readonly #before: Int32Array;
  readonly #seen: Int32Array;
  readonly #queue: Int32Array;
  #round = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#before = new Int32Array(graph.nodes);
    this.#seen = new Int32Array(graph.nodes);
    this.#queue = new Int32Array(graph.nodes);
  }

  /** Nodes from `from` to `to`, both included; neighbours are looked at from `turn` on, so that ties fall differently. */
  path(from: number, to: number, turn = 0): number[] | null {
    const { neighbours } = this.#graph;
    this.#round += 1;
    const round = this.#round;
    let [head, tail] = [0, 1];
    this.#queue[0] = from;
    this.#seen[from] = round;
    while (head < tail && this.#seen[to] !== round) {
      const node = this.#queue[head++] as number;
      const around = neighbours[node] as number[];
      for (let i = 0; i < around.length; i++) {
        const next = around[(i + turn) % around.length] as number;
        if (this.#seen[next] === round) continue;
        this.#seen[next] = round;
        this.#before[next] = node;
        this.#queue[tail++] = next;
      }
    }
    if (this.#seen[to] !== round) return null;
    const path = [to];
    for (let node = to; node !== from; ) path.push((node = this.#before[node] as number));
    return path.reverse();
  }
}

/** Least sum of what nodes on the way cost (Dijkstra's, on a binary heap); ends cost nothing. */
export class Cheapest {
  readonly #graph: Graph;
  readonly #before: Int32Array;
  readonly #cost: Float64Array;
  readonly #round: Int32Array;
  readonly #heap: number[] = [];
  readonly #heapCost: number[] = [];
  #rounds = 0;

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#before = new Int32Array(graph.nodes);
    this.#cost = new Float64Array(graph.nodes);
    this.#round = new Int32Array(graph.nodes);
  }

  /** `price` of passing through a node, more than 0. */
  path(from: number, to: number, price: ArrayLike<number>): number[] | null {
    this.#rounds += 1;
    const rounds = this.#rounds;
    this.#heap.length = 0;
    this.#heapCost.length = 0;
    this.#cost[from] = 0;
    this.#round[from] = rounds;
    this.#push(from, 0);
    while (this.#heap.length > 0) {
      const cost = this.#heapCost[0] as number;
      const node = this.#pop();
      if (node === to) {
        const path = [to];
        for (let at = to; at !== from; ) path.push((at = this.#before[at] as number));
        return path.reverse();
      }
      if (cost > (this.#cost[node] as number)) continue;
      const next = cost + (node === from ? 0 : (price[node] as number));
      for (const other of this.#graph.neighbours[node] as number[]) {
        if (this.#round[other] === rounds && next >= (this.#cost[other] as number)) continue;
        this.#round[other] = rounds;
        this.#cost[other] = next;
        this.#before[other] = node;
        this.#push(other, next);
      }
    }
    return null;
  }

  #push(node: number, cost: number): void {
    let at = this.#heap.push(node) - 1;
    this.#heapCost.push(cost);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if ((this.#heapCost[up] as number) <= cost) break;
      this.#heap[at] = this.#heap[up] as number;
      this.#heapCost[at] = this.#heapCost[up] as number;
      at = up;
    }
    this.#heap[at] = node;
    this.#heapCost[at] = cost;
  }

  #pop(): number {
    const top = this.#heap[0] as number;
    const node = this.#heap.pop() as number;
    const cost = this.#heapCost.pop() as number;
    const size = this.#heap.length;
    for (let at = 0; size > 0; ) {
      let down = 2 * at + 1;
      if (down + 1 < size && (this.#heapCost[down + 1] as number) < (this.#heapCost[down] as number)) down += 1;
      if (down >= size || (this.#heapCost[down] as number) >= cost) {
        this.#heap[at] = node;
        this.#heapCost[at] = cost;
        break;
      }
      this.#heap[at] = this.#heap[down] as number;
      this.#heapCost[at] = this.#heapCost[down] as number;
      at = down;
    }
    return top;
  }
}
