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

/**
 * Calls for every two neighbours once, so that each node hears of its own in the order in which they came: edges are in that order at
 * both ends.
 */
export function joined({ neighbours }: Graph, each: (node: number, other: number) => void): void {
  const heard = new Uint32Array(neighbours.length);
  for (let left = true; left; ) {
    left = false;
    for (let node = 0; node < neighbours.length; node++) {
      for (;;) {
        const other = neighbours[node]?.[heard[node] as number];
        if (other === undefined || neighbours[other]?.[heard[other] as number] !== node) break;
        each(node, other);
        heard[node]! += 1;
        heard[other]! += 1;
        left = true;
      }
    }
  }
}

/** Edges in both directions, numbered: those of a node follow one another in the order of its neighbours. */
export interface Edges {
  /** By node: its first edge; one more at the end. */
  first: Int32Array;
  /** By edge: whom it leads to, and the edge back. */
  to: Int32Array;
  back: Int32Array;
}

export function edgesOf({ nodes, neighbours, place }: Graph): Edges {
  const first = new Int32Array(nodes + 1);
  for (let node = 0; node < nodes; node++)
    first[node + 1] = (first[node] as number) + (neighbours[node] as number[]).length;
  const to = Int32Array.from(neighbours.flat());
  const back = new Int32Array(to.length);
  for (let node = 0; node < nodes; node++)
    for (let edge = first[node] as number; edge < (first[node + 1] as number); edge++) {
      const other = to[edge] as number;
      back[edge] = (first[other] as number) + ((place[other] as Map<number, number>).get(node) as number);
    }
  return { first, to, back };
}

/** The edge from one to another, -1 where there is none, looked for among those of whoever has fewer: hubs have many, and they are whom most edges lead to. */
export function edgeOf({ first, to, back }: Edges, from: number, other: number): number {
  const [near, far] = [first[from] as number, first[other] as number];
  const [nearEnd, farEnd] = [first[from + 1] as number, first[other + 1] as number];
  if (nearEnd - near <= farEnd - far) {
    for (let edge = near; edge < nearEnd; edge++) if (to[edge] === other) return edge;
  } else {
    for (let edge = far; edge < farEnd; edge++) if (to[edge] === from) return back[edge] as number;
  }
  return -1;
}

/** Half of a search: what it costs to come to each node from one end. */
class Front {
  readonly cost: Float64Array;
  readonly by: Int32Array;
  readonly round: Int32Array;
  readonly #nodes: number[] = [];
  readonly #costs: number[] = [];

  constructor(nodes: number) {
    this.cost = new Float64Array(nodes);
    this.by = new Int32Array(nodes);
    this.round = new Int32Array(nodes);
  }

  begin(round: number, node: number): void {
    this.#nodes.length = 0;
    this.#costs.length = 0;
    this.reach(round, node, 0, -1);
  }

  reach(round: number, node: number, cost: number, by: number): void {
    if (this.round[node] === round && cost >= (this.cost[node] as number)) return;
    this.round[node] = round;
    this.cost[node] = cost;
    this.by[node] = by;
    const [nodes, costs] = [this.#nodes, this.#costs];
    let at = nodes.push(node) - 1;
    costs.push(cost);
    while (at > 0) {
      const up = (at - 1) >> 1;
      if ((costs[up] as number) <= cost) break;
      nodes[at] = nodes[up] as number;
      costs[at] = costs[up] as number;
      at = up;
    }
    nodes[at] = node;
    costs[at] = cost;
  }

  /** What the next one costs; infinite when there is none. */
  get least(): number {
    return this.#costs.length === 0 ? Number.POSITIVE_INFINITY : (this.#costs[0] as number);
  }

  pop(): number {
    const [nodes, costs] = [this.#nodes, this.#costs];
    const top = nodes[0] as number;
    const node = nodes.pop() as number;
    const cost = costs.pop() as number;
    const size = nodes.length;
    for (let at = 0; size > 0; ) {
      let down = 2 * at + 1;
      if (down + 1 < size && (costs[down + 1] as number) < (costs[down] as number)) down += 1;
      if (down >= size || (costs[down] as number) >= cost) {
        nodes[at] = node;
        costs[at] = cost;
        break;
      }
      nodes[at] = nodes[down] as number;
      costs[at] = costs[down] as number;
      at = down;
    }
    return top;
  }
}

/** Ways of least cost (Dijkstra's algorithm from both ends). What it needs is kept between calls: one at a time. */
export class Ways {
  readonly #edges: Edges;
  readonly #there: Front;
  readonly #back: Front;
  #round = 0;

  constructor(graph: Graph, edges = edgesOf(graph)) {
    this.#edges = edges;
    this.#there = new Front(graph.nodes);
    this.#back = new Front(graph.nodes);
  }

  /** Nodes from `from` to `to`, both included, where an edge costs `cost`, more than 0; null where there is no way. */
  path(from: number, to: number, cost: (edge: number) => number): number[] | null {
    if (from === to) return [from];
    const { to: ends, first, back } = this.#edges;
    const [there, home] = [this.#there, this.#back];
    this.#round += 1;
    const round = this.#round;
    there.begin(round, from);
    home.begin(round, to);
    let best = Number.POSITIVE_INFINITY;
    let meets = -1;
    while (there.least + home.least < best) {
      const forward = there.least <= home.least;
      const [front, other] = forward ? [there, home] : [home, there];
      const least = front.least;
      const node = front.pop();
      if (least > (front.cost[node] as number)) continue;
      for (let edge = first[node] as number; edge < (first[node + 1] as number); edge++) {
        const next = ends[edge] as number;
        const sum = least + cost(forward ? edge : (back[edge] as number));
        front.reach(round, next, sum, node);
        if (other.round[next] !== round || sum + (other.cost[next] as number) >= best) continue;
        best = sum + (other.cost[next] as number);
        meets = next;
      }
    }
    if (meets < 0) return null;
    const path = [meets];
    for (let node = there.by[meets] as number; node >= 0; node = there.by[node] as number) path.push(node);
    path.reverse();
    for (let node = home.by[meets] as number; node >= 0; node = home.by[node] as number) path.push(node);
    return path;
  }
}
