/**
 * Circles that multiply credits, sought by a node that would profit (docs/decisions/0011-credits.md): it looks at the rates around it,
 * sends a flow round the best circle through itself, and keeps what comes home. Spending there lowers the gain, for everybody.
 */
import { CREDIT_CLASSES, creditRate } from '../core/credit.js';

/** What a node can see of rates: those of its own hops, and those that others quote. */
export interface Quotes {
  nodes: number;
  neighbours: (node: number) => readonly number[];
  /** log2 of what a credit of `from` is worth to `to` once it has passed there, after what the hop keeps. */
  log2: (from: number, to: number) => number;
}

export interface CircleOptions {
  /** At most so many hops. */
  hops: number;
  /** Worth running from here on: 1.01 is 1 % of profit. */
  gain: number;
}

export const CIRCLE_DEFAULTS: CircleOptions = { hops: 4, gain: 1.01 };

/** Parts of what a node has at a neighbour that a circle takes a second. */
const PART = 1 / 128;

export interface Circle {
  /** This node first, and once more at the end. */
  path: number[];
  gain: number;
}

/** From this node, or back to it: the best way of each length to each node. */
class Reach {
  readonly #sums: Float64Array[];
  readonly #by: Int32Array[];
  /** Where there is a way, by length. */
  readonly reached: number[][] = [];

  constructor(hops: number, nodes: number) {
    this.#sums = Array.from({ length: hops + 1 }, () => new Float64Array(nodes).fill(Number.NEGATIVE_INFINITY));
    this.#by = Array.from({ length: hops + 1 }, () => new Int32Array(nodes));
  }

  of(hops: number, node: number): number {
    return (this.#sums[hops] as Float64Array)[node] as number;
  }

  /** All ways of up to so many hops that do not pass `self` again; `hop` is what one between two neighbours adds. */
  begin(self: number, hops: number, { neighbours }: Quotes, hop: (near: number, far: number) => number): void {
    for (const [length, reached] of this.reached.entries())
      for (const node of reached) (this.#sums[length] as Float64Array)[node] = Number.NEGATIVE_INFINITY;
    this.reached.length = 0;
    this.reached.push([self]);
    (this.#sums[0] as Float64Array)[self] = 0;
    for (let length = 1; length <= hops; length++) {
      const [before, sums, by] = [this.#sums[length - 1], this.#sums[length], this.#by[length]] as [
        Float64Array,
        Float64Array,
        Int32Array,
      ];
      const reached: number[] = [];
      for (const near of this.reached[length - 1] as number[]) {
        const so = before[near] as number;
        for (const far of neighbours(near)) {
          if (far === self) continue;
          const sum = so + hop(near, far);
          const known = sums[far] as number;
          if (sum <= known) continue;
          if (known === Number.NEGATIVE_INFINITY) reached.push(far);
          sums[far] = sum;
          by[far] = near;
        }
      }
      this.reached.push(reached);
    }
  }

  /** The way to a node, that node left out, this one last. */
  way(hops: number, node: number): number[] {
    const way: number[] = [];
    for (let length = hops, at = node; length > 0; length--) {
      at = (this.#by[length] as Int32Array)[at] as number;
      way.push(at);
    }
    return way;
  }
}

/** The best circle through this node: the best ways out and home of half its length each, and where they meet. */
export class CircleSeeker {
  readonly #options: CircleOptions;
  #nodes = -1;
  #out = new Reach(0, 0);
  #home = new Reach(0, 0);

  constructor(options: Partial<CircleOptions> = {}) {
    this.#options = { ...CIRCLE_DEFAULTS, ...options };
  }

  /** `null` where none is worth it. */
  best(self: number, quotes: Quotes): Circle | null {
    const { hops, gain } = this.#options;
    const half = Math.ceil(hops / 2);
    if (quotes.nodes !== this.#nodes) {
      this.#nodes = quotes.nodes;
      [this.#out, this.#home] = [new Reach(half, quotes.nodes), new Reach(half, quotes.nodes)];
    }
    const [out, home] = [this.#out, this.#home];
    out.begin(self, half, quotes, (near, far) => quotes.log2(near, far));
    home.begin(self, Math.floor(hops / 2), quotes, (near, far) => quotes.log2(far, near));
    let best = Math.log2(gain);
    let [there, back, meets] = [0, 0, -1];
    for (let length = 2; length <= hops; length++) {
      const [first, rest] = [Math.ceil(length / 2), Math.floor(length / 2)];
      for (const node of out.reached[first] as number[]) {
        const sum = out.of(first, node) + home.of(rest, node);
        if (sum < best) continue;
        best = sum;
        [there, back, meets] = [first, rest, node];
      }
    }
    if (meets < 0) return null;
    const path = [...out.way(there, meets).reverse(), meets, ...home.way(back, meets)];
    // A node twice on the way means a circle within: another node's to take.
    if (new Set(path).size !== there + back) return null;
    return { path, gain: 2 ** best };
  }
}

/** What becomes of a credit on a way of nodes, by what is quoted. */
export function wayGain(path: readonly number[], { log2 }: Quotes): number {
  let sum = 0;
  for (let i = 1; i < path.length; i++) sum += log2(path[i - 1] as number, path[i] as number);
  return 2 ** sum;
}

/** The most that a circle takes: a small part of what there is at its first hop; 0 where that is too little for any class. */
export function circleMost(mirror: number): number {
  for (let which = CREDIT_CLASSES - 1; which > 0; which--) if (creditRate(which) <= mirror * PART) return which;
  return 0;
}

/** A running circle's class, by what it gains now: more while that is worth it, less before it costs; 0 ends it. */
export function circleClass(before: number, gain: number, most: number, worth = CIRCLE_DEFAULTS.gain): number {
  if (gain >= worth) return Math.min(before + 1, most);
  return gain >= 1 + (worth - 1) / 2 ? Math.min(before, most) : Math.max(0, Math.min(before - 1, most));
}
