/** Which connections applications want: when, where to, and how much. The same for every policy of a seed. */
import { Chance } from '../base/chance.js';
import type { WorldOptions } from './options.js';

const WHEN = 201;

export class Arrivals {
  readonly #chance: Chance;
  readonly #options: WorldOptions;
  /** Cumulative popularity. */
  readonly #popularity: Float64Array;
  readonly #firstShare: number;
  readonly #mean_us: number;
  readonly #tail: number;
  #fresh: number;
  /** The next one. */
  at_us = 0;
  destination = 0;
  /** Nobody has asked for this destination before, and nobody will again. */
  first = false;
  bytes = 0;

  constructor(options: WorldOptions, seed: number) {
    this.#options = options;
    this.#chance = new Chance(seed, WHEN);
    const weights = Array.from({ length: options.destinations }, (_, i) => (i + 1) ** -options.zipf);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    let sum = 0;
    this.#popularity = Float64Array.from(weights, (weight) => {
      sum += weight / total;
      return sum;
    });
    this.#firstShare = options.firstRate / (options.rate + options.firstRate);
    this.#mean_us = 1e6 / (options.rate + options.firstRate);
    this.#tail = 1 - (options.size.least / options.size.most) ** options.size.alpha;
    this.#fresh = options.destinations;
    this.next();
  }

  next(): void {
    const chance = this.#chance;
    this.at_us = Math.ceil(this.at_us + chance.exponential(this.#mean_us));
    this.first = this.#firstShare > 0 && chance.unit() < this.#firstShare;
    this.destination = this.first ? this.#fresh++ : this.#popular(chance.unit());
    const { least, alpha } = this.#options.size;
    this.bytes = Math.round(least * (1 - chance.unit() * this.#tail) ** (-1 / alpha));
  }

  #popular(at: number): number {
    const popularity = this.#popularity;
    let [low, high] = [0, popularity.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((popularity[middle] as number) < at) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
