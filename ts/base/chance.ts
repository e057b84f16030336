/** Chance from a seed: streams that are drawn from in order, and hashes for what must not depend on any order. */
import type { Random } from './ports.js';
import { Sfc32 } from './sfc32.js';

const TO_UNIT = 1 / 2 ** 32;

/** Murmur3's finalizer: every bit of the input reaches every bit of the result. */
export function mixed(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 32 bits of four numbers. */
export const hashed = (seed: number, kind: number, a: number, b: number): number =>
  mixed(mixed(mixed(mixed(seed + 0x9e3779b9) ^ Math.imul(kind + 1, 0x85ebca77)) + a) ^ Math.imul(b + 1, 0xc2b2ae3d));

/** In (0, 1): never an end. */
export const unitOf = (hash: number): number => (hash + 0.5) * TO_UNIT;

/** A stream of its own per seed and purpose. */
export class Chance extends Sfc32 implements Random {
  constructor(seed: number, purpose: number) {
    super(hashed(seed, purpose, 1, 0), hashed(seed, purpose, 2, 0), hashed(seed, purpose, 3, 0));
  }

  /** In (0, 1). */
  unit(): number {
    return unitOf(this.next());
  }

  /** Of this mean. */
  exponential(mean: number): number {
    return -Math.log(this.unit()) * mean;
  }

  /** Of mean 0 and variance 1 (Box and Muller). */
  normal(): number {
    return Math.sqrt(-2 * Math.log(this.unit())) * Math.cos(2 * Math.PI * this.unit());
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.next() & 0xff;
  }

  below(bound: number): number {
    return Math.floor(this.next() * TO_UNIT * Math.floor(bound));
  }
}
