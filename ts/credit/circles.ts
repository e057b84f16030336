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

/** The best circle through this node, by the best of each length to each node; arrays are kept between calls. */
export class CircleSeeker {
  readonly #options: CircleOptions;
  #reach: Float64Array[] = [];
  #by: Int32Array[] = [];
  /** Where `#reach` holds something, by length: what is cleared before the next search. */
  #reached: number[][] = [];

  constructor(options: Partial<CircleOptions> = {}) {
    this.#options = { ...CIRCLE_DEFAULTS, ...options };
  }

  /** `null` where none is worth it. */
  best(self: number, quotes: Quotes): Circle | null {
    const { hops, gain } = this.#options;
    this.#clear(quotes.nodes);
    let front = [self];
    (this.#reach[0] as Float64Array)[self] = 0;
    this.#reached[0] = front;
    let best = Math.log2(gain);
    let length = 0;
    for (let hop = 0; hop < hops; hop++) {
      const [reach, next, by] = [this.#reach[hop], this.#reach[hop + 1], this.#by[hop + 1]] as [
        Float64Array,
        Float64Array,
        Int32Array,
      ];
      const reached: number[] = [];
      for (const node of front) {
        const before = reach[node] as number;
        for (const other of quotes.neighbours(node)) {
          const sum = before + quotes.log2(node, other);
          const known = next[other] as number;
          if (sum <= known) continue;
          if (known === Number.NEGATIVE_INFINITY) reached.push(other);
          next[other] = sum;
          by[other] = node;
        }
      }
      this.#reached[hop + 1] = reached;
      const home = next[self] as number;
      if (home >= best) {
        best = home;
        length = hop + 1;
      }
      front = reached.filter((node) => node !== self);
    }
    if (length === 0) return null;
    const path = [self];
    for (let hop = length; hop > 0; hop--) path.push((this.#by[hop] as Int32Array)[path.at(-1) as number] as number);
    path.reverse();
    // A node twice on the way means a circle within: another node's to take.
    if (new Set(path).size !== length) return null;
    return { path, gain: 2 ** best };
  }

  #clear(nodes: number): void {
    const { hops } = this.#options;
    if (this.#reach.length === 0 || this.#reach[0]?.length !== nodes) {
      this.#reach = Array.from({ length: hops + 1 }, () => new Float64Array(nodes).fill(Number.NEGATIVE_INFINITY));
      this.#by = Array.from({ length: hops + 1 }, () => new Int32Array(nodes));
    } else {
      for (const [hop, reached] of this.#reached.entries())
        for (const node of reached) (this.#reach[hop] as Float64Array)[node] = Number.NEGATIVE_INFINITY;
    }
    this.#reached = [];
  }
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
