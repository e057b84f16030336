/**
 * Exits, intermediaries and destinations: where they lie, what they can move, what they swallow and when they are away.
 *
 * Invariant: everything follows from the seed alone, whoever asks and in whatever order, so that every policy meets the same world.
 * A (node, destination) pair's black holes are a stationary on-off process that is computed from the pair's hash when somebody
 * asks: nothing is stored per pair.
 */

import { Chance, hashed, mixed, unitOf } from '../base/chance.js';
import { UsageError } from '../base/errors.js';
import type { ExitInfo, NodeInfo } from '../egress/enumerate.js';
import { meanSize, type WorldOptions } from './options.js';

/** What connections ask for, as a part of what all exits or all intermediaries can move. */
const LOAD_MOST = 0.5;
const EXIT = 1;
const INTERMEDIARY = 2;
const AWAY = 3;
const VANISHES = 4;
const PLACE = 5;
const SAID = 102;
const NODES = 101;
const LANDMARKS = 8;
const ENTRIES = 3;

/** What an attempt that begins now will meet. */
export interface Fate {
  /** A black hole, or the exit is away. */
  silent: boolean;
  away: boolean;
  /** Else: when it will be one of the two, and whether it is the exit's going away. */
  until_us: number;
  untilAway: boolean;
}

export class World {
  readonly options: WorldOptions;
  readonly seed: number;
  /** Bytes per second. */
  readonly exitLimit: Float64Array;
  readonly intermediaryLimit: Float64Array;
  /** Exits, intermediaries, entries, landmarks, in this order. */
  readonly #x: Float64Array;
  readonly #y: Float64Array;
  readonly #access_us: Float64Array;
  readonly #landmarks: number;
  readonly #entries: number;
  readonly fate: Fate = { silent: false, away: false, until_us: 0, untilAway: false };
  #until_us = 0;

  constructor(options: WorldOptions, seed: number) {
    this.options = options;
    this.seed = seed;
    const chance = new Chance(seed, NODES);
    const limits = (count: number, { median, sigma }: { median: number; sigma: number }) =>
      Float64Array.from({ length: count }, () => median * Math.exp(sigma * chance.normal()));
    this.exitLimit = limits(options.exits, options.exitLimit);
    this.intermediaryLimit = limits(options.intermediaries, options.intermediaryLimit);
    const asked = (options.rate + options.firstRate) * meanSize(options.size);
    for (const [what, limit] of [
      ['exits', this.exitLimit],
      ['intermediaries', this.intermediaryLimit],
    ] as const) {
      const all = limit.reduce((sum, one) => sum + one, 0);
      if (asked <= LOAD_MOST * all) continue;
      const [wanted, had] = [asked, all].map((bytes) => `${(bytes / 1e6).toFixed(1)} MB/s`);
      throw new UsageError('argument_invalid', `connections ask for ${wanted}, and the ${what} can move ${had}`, {
        hint: `give more ${what}, or fewer connections a second: what overloads everything tells no policy from another`,
      });
    }
    if (options.liar !== null) this.exitLimit[options.liar.exit] = options.liar.limit;
    this.#entries = options.exits + options.intermediaries;
    this.#landmarks = this.#entries + ENTRIES;
    const length = this.#landmarks + LANDMARKS;
    this.#x = Float64Array.from({ length }, () => (chance.unit() - 0.5) * options.plane_us);
    this.#y = Float64Array.from({ length }, () => (chance.unit() - 0.5) * options.plane_us);
    this.#access_us = Float64Array.from({ length }, () => chance.exponential(options.access_us));
  }

  /** What the directory says. */
  exitInfos(): ExitInfo[] {
    const { exits, estimates } = this.options;
    const chance = new Chance(this.seed, SAID);
    return Array.from({ length: exits }, (_, i) => {
      const limit = this.exitLimit[i] as number;
      const speed = limit * Math.exp(estimates.sigma * chance.normal());
      const capacity = limit / (estimates.leastPart + (1 - estimates.leastPart) * chance.unit());
      return { id: `x${i}`, confirmed_us: 0, estimated_us: 0, speed, capacity, pings_us: this.#pings(i) };
    });
  }

  intermediaryInfos(): NodeInfo[] {
    return Array.from({ length: this.options.intermediaries }, (_, i) => ({
      id: `i${i}`,
      confirmed_us: 0,
      pings_us: this.#pings(this.options.exits + i),
    }));
  }

  entryIds(): string[] {
    return Array.from({ length: ENTRIES }, (_, i) => `e${i}`);
  }

  /** The round trip over entry and intermediary to an exit; the sender is in the plane's middle. */
  path_us(entry: number, intermediary: number, exit: number): number {
    const [first, second] = [this.#entries + entry, this.options.exits + intermediary];
    const toEntry = Math.hypot(this.#x[first] as number, this.#y[first] as number) + (this.#access_us[first] as number);
    return toEntry + this.#between_us(first, second) + this.#between_us(second, exit);
  }

  /** On from there to a destination. */
  beyond_us(exit: number, destination: number): number {
    const { plane_us } = this.options;
    if (plane_us === 0) return this.#access_us[exit] as number;
    const place = hashed(this.seed, PLACE, destination, 0);
    const x = (unitOf(place) - 0.5) * plane_us - (this.#x[exit] as number);
    const y = (unitOf(mixed(place)) - 0.5) * plane_us - (this.#y[exit] as number);
    return Math.sqrt(x * x + y * y) + (this.#access_us[exit] as number);
  }

  /** What an attempt meets that begins now; the same object each time. */
  meet(exit: number, intermediary: number, destination: number, now_us: number): Fate {
    const { fate } = this;
    fate.away = this.#isAway(exit, now_us);
    fate.until_us = this.#until_us;
    fate.untilAway = true;
    fate.silent = fate.away || this.swallows(exit, intermediary, destination, now_us);
    if (!fate.silent && this.#until_us < fate.until_us) {
      fate.until_us = this.#until_us;
      fate.untilAway = false;
    }
    return fate;
  }

  /** Whether a black hole lies on the way. */
  swallows(exit: number, intermediary: number, destination: number, now_us: number): boolean {
    const { badExits, block, intermediariesBlock, blockMean_us, liar } = this.options;
    this.#until_us = Number.POSITIVE_INFINITY;
    if (liar?.silent && exit === liar.exit) return true;
    if (badExits !== null) return exit < badExits;
    if (block === Number.POSITIVE_INFINITY) return false;
    const else_us = blockMean_us * (block - 1);
    if (this.#on(hashed(this.seed, EXIT, exit, destination), 1 / block, blockMean_us, else_us, now_us)) return true;
    if (!intermediariesBlock) return false;
    const until_us = this.#until_us;
    const also = hashed(this.seed, INTERMEDIARY, intermediary, destination);
    if (this.#on(also, 1 / block, blockMean_us, else_us, now_us)) return true;
    this.#until_us = Math.min(this.#until_us, until_us);
    return false;
  }

  isAway(exit: number, now_us: number): boolean {
    return this.#isAway(exit, now_us);
  }

  #isAway(exit: number, now_us: number): boolean {
    const { upMean_us, downMean_us, vanish } = this.options;
    let away = false;
    this.#until_us = Number.POSITIVE_INFINITY;
    if (upMean_us !== Number.POSITIVE_INFINITY) {
      const share = downMean_us / (upMean_us + downMean_us);
      away = this.#on(hashed(this.seed, AWAY, exit, 0), share, downMean_us, upMean_us, now_us);
    }
    if (vanish === null) return away;
    for (let time = 0; time < vanish.times; time++) {
      const from_us = vanish.at_us + time * vanish.every_us;
      if (now_us >= from_us + vanish.for_us) continue;
      if (unitOf(hashed(this.seed, VANISHES, exit, time)) >= vanish.share) continue;
      if (now_us >= from_us) return true;
      this.#until_us = Math.min(this.#until_us, from_us);
    }
    return away;
  }

  /** A process that is on for one mean time and off for another, begun in its stationary state; sets when this state ends. */
  #on(hash: number, share: number, on_us: number, off_us: number, now_us: number): boolean {
    let on = unitOf(hash) < share;
    let next = hash;
    let until_us = 0;
    for (;;) {
      next = mixed(next + 0x9e3779b9);
      until_us -= Math.log(unitOf(next)) * (on ? on_us : off_us);
      if (until_us > now_us) break;
      on = !on;
    }
    this.#until_us = until_us;
    return on;
  }

  #between_us(a: number, b: number): number {
    const x = (this.#x[a] as number) - (this.#x[b] as number);
    const y = (this.#y[a] as number) - (this.#y[b] as number);
    return Math.sqrt(x * x + y * y) + (this.#access_us[a] as number) + (this.#access_us[b] as number);
  }

  #pings(node: number): number[] {
    return Array.from({ length: LANDMARKS }, (_, i) => this.#between_us(node, this.#landmarks + i));
  }
}
