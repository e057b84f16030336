/** Chance from a seed: one stream per purpose, so that a draw more in one place changes nothing in another. */
import { type Random, randomBelow } from '../base/ports.js';

/** sfc32 (Chris Doty-Humphrey, PractRand), begun with a hash of the names. */
export class SeededRandom implements Random {
  readonly #name: string;
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(name: string) {
    this.#name = name;
    this.#a = fnv(name, 0x811c9dc5);
    this.#b = fnv(name, 0x01000193);
    this.#c = fnv(name, 0x9e3779b9);
    for (let i = 0; i < 15; i++) this.next();
  }

  /** A stream of its own. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#name}/${name}`);
  }

  /** 32 bits. */
  next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + t) | 0;
    return t >>> 0;
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
