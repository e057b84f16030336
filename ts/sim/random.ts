/** Chance from a seed: one stream per purpose, so that a draw more in one place changes nothing in another. */
import { type Random, randomBelow } from '../base/ports.js';
import { Sfc32 } from '../base/sfc32.js';

/** Begun with a hash of the names. */
export class SeededRandom extends Sfc32 implements Random {
  readonly #name: string;

  constructor(name: string) {
    super(fnv(name, 0x811c9dc5), fnv(name, 0x01000193), fnv(name, 0x9e3779b9));
    this.#name = name;
  }

  /** A stream of its own. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#name}/${name}`);
  }

  /** In [0, 1). */
  unit(): number {
    return this.next() / 2 ** 32;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** Uniform in [from, to). */
  between(from: number, to: number): number {
    return from + this.unit() * (to - from);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.next() & 0xff;
  }

  below(bound: number): number {
    return randomBelow((bytes) => this.fill(bytes), bound);
  }
}

function fnv(text: string, basis: number): number {
  let hash = basis;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash | 0;
}
