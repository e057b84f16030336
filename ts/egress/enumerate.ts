/**
 * "Give me N hops not seen before": random exits of the directory, each with a random path of low latency to it.
 *
 * Invariant: an exit is given once while any that may be had has not been given; one that is in use is never given again. A path
 * begins in the sticky set and has no node twice.
 */
import type { Random } from '../base/ports.js';
import type { EntrySet } from './entries.js';
import { type Pings, roundTrip_us } from './landmarks.js';

/** What the directory says of a node. */
export interface NodeInfo {
  id: string;
  /** When its descriptor was last confirmed: by a newer one, or by a circuit that was built. */
  confirmed_us: number;
  pings_us?: Pings | undefined;
}

export interface ExitInfo extends NodeInfo {
  /** Estimates, bytes per second, and when they were made. */
  speed: number;
  capacity: number;
  estimated_us: number;
}

/** A hop of the window to be: an exit and a path to it. */
export interface HopPlan {
  exit: string;
  /** First hop to exit. */
  path: readonly string[];
  /** What it weighs until it is tried, bytes per second. */
  estimate: number;
  /** By the landmarks; NaN where they say nothing. */
  latency_us: number;
  /** Since the descriptor was confirmed, and since the estimates were made. */
  confirmedAge_us: number;
  estimateAge_us: number;
}

export interface EnumerateOptions {
  /** Nodes between first hop and exit. */
  relays: number;
  /** Random paths, of which the one of the lowest latency is given. */
  candidates: number;
  /** Which estimate an untried hop weighs. */
  estimate: 'min' | 'speed' | 'capacity';
  /** Exits that were not confirmed for so long are left out until they are. */
  fresh_us: number;
}

export const ENUMERATE_DEFAULTS: EnumerateOptions = {
  relays: 1,
  candidates: 4,
  estimate: 'min',
  fresh_us: 24 * 3600 * 1_000_000,
};

interface Entry {
  info: ExitInfo;
  bag: Bag<Entry> | null;
  place: number;
  /** A verdict keeps it out until then. */
  until_us: number;
  /** The last path to it. */
  path: string;
}

/** Items in no order: put in, taken out and drawn in constant time. */
class Bag<T extends { bag: Bag<T> | null; place: number }> {
  readonly items: T[] = [];

  add(item: T): void {
    item.bag?.remove(item);
    item.bag = this;
    item.place = this.items.push(item) - 1;
  }

  remove(item: T): void {
    const last = this.items.pop() as T;
    if (last !== item) {
      this.items[item.place] = last;
      last.place = item.place;
    }
    item.bag = null;
  }
}

interface Relay {
  info: NodeInfo;
  bag: Bag<Relay> | null;
  place: number;
}

export class Enumerator {
  readonly #random: Random;
  readonly #entries: Pick<EntrySet, 'draw'> | null;
  readonly #options: EnumerateOptions;
  readonly #exits = new Map<string, Entry>();
  readonly #unseen = new Bag<Entry>();
  /** Seen, and not in use any more. */
  readonly #again = new Bag<Entry>();
  readonly #relays = new Map<string, Relay>();
  readonly #relayBag = new Bag<Relay>();

  /** `entries` null: paths are the exit alone. */
  constructor(random: Random, entries: Pick<EntrySet, 'draw'> | null, options: Partial<EnumerateOptions> = {}) {
    this.#random = random;
    this.#entries = entries;
    this.#options = { ...ENUMERATE_DEFAULTS, ...options };
  }

  /** Exits that the directory has. */
  get size(): number {
    return this.#exits.size;
  }

  get unseen(): number {
    return this.#unseen.items.length;
  }

  /** New or newer. */
  exitPut(info: ExitInfo): void {
    const entry = this.#exits.get(info.id);
    if (entry !== undefined) {
      entry.info = info;
      return;
    }
    const made: Entry = { info, bag: null, place: 0, until_us: 0, path: '' };
    this.#exits.set(info.id, made);
    this.#unseen.add(made);
  }

  /** The directory has it no more. One that comes back has not been seen before. */
  exitDrop(id: string): void {
    const entry = this.#exits.get(id);
    this.#exits.delete(id);
    entry?.bag?.remove(entry);
  }

  relayPut(info: NodeInfo): void {
    const relay = this.#relays.get(info.id);
    if (relay !== undefined) {
      relay.info = info;
      return;
    }
    const made: Relay = { info, bag: null, place: 0 };
    this.#relays.set(info.id, made);
    this.#relayBag.add(made);
  }

  relayDrop(id: string): void {
    const relay = this.#relays.get(id);
    this.#relays.delete(id);
    relay?.bag?.remove(relay);
  }

  /** Up to so many that were never given before. */
  unseenHops(count: number, now_us: number): HopPlan[] {
    return this.#take(this.#unseen, count, now_us);
  }

  /** The same, and where those are too few, such as were given before and are free again. */
  hops(count: number, now_us: number): HopPlan[] {
    const plans = this.unseenHops(count, now_us);
    return plans.length < count ? [...plans, ...this.#take(this.#again, count - plans.length, now_us)] : plans;
  }

  /** Where verdicts keep all others out: those whose verdict ends first. */
  condemnedHops(count: number, now_us: number): HopPlan[] {
    const held = [...this.#unseen.items, ...this.#again.items].filter((entry) => entry.until_us > now_us);
    held.sort((a, b) => a.until_us - b.until_us || (a.info.id < b.info.id ? -1 : 1));
    for (const entry of held.slice(0, count)) entry.until_us = 0;
    return held.length === 0 ? [] : this.hops(count, now_us);
  }

  /** It is not in use any more, and may be had again from `until_us` on. */
  release(exit: string, until_us = 0): void {
    const entry = this.#exits.get(exit);
    if (entry === undefined || entry.bag === this.#unseen) return;
    entry.until_us = Math.max(entry.until_us, until_us);
    if (entry.bag === null) this.#again.add(entry);
  }

  #take(from: Bag<Entry>, count: number, now_us: number): HopPlan[] {
    const plans: HopPlan[] = [];
    const aside: Entry[] = [];
    while (plans.length < count && from.items.length > 0) {
      const entry = from.items[this.#random.below(from.items.length)] as Entry;
      from.remove(entry);
      const fit = entry.until_us <= now_us && entry.info.confirmed_us + this.#options.fresh_us >= now_us;
      const plan = fit ? this.#plan(entry, now_us) : null;
      if (plan === null) aside.push(entry);
      else plans.push(plan);
    }
    for (const entry of aside) from.add(entry);
    return plans;
  }

  #plan(entry: Entry, now_us: number): HopPlan | null {
    const { info } = entry;
    let best: { path: string[]; us: number; again: boolean } | null = null;
    for (let i = 0; i < Math.max(1, this.#options.candidates); i++) {
      const path = this.#path(info.id);
      if (path === null) return null;
      const us = this.#latency_us(path, info);
      const again = path.join() === entry.path;
      // Another path than the last time is preferred, then the shorter one.
      const better =
        best === null || (again === best.again ? us < best.us || Number.isNaN(best.us) : !again && best.again);
      if (better) best = { path, us, again };
    }
    if (best === null) return null;
    entry.path = best.path.join();
    const { speed, capacity, confirmed_us, estimated_us } = info;
    const estimates = { speed, capacity, min: Math.min(speed, capacity) };
    return {
      exit: info.id,
      path: best.path,
      estimate: estimates[this.#options.estimate],
      latency_us: best.us,
      confirmedAge_us: now_us - confirmed_us,
      estimateAge_us: now_us - estimated_us,
    };
  }

  #path(exit: string): string[] | null {
    if (this.#entries === null) return [exit];
    const entry = this.#entries.draw(this.#random, [exit]);
    if (entry === null) return null;
    const path = [entry];
    const { items } = this.#relayBag;
    // A few draws find one that is not on the path yet; where they do not, the relays are looked through.
    for (let hop = 0; hop < this.#options.relays; hop++) {
      const fits = (id: string) => id !== exit && !path.includes(id);
      let found: string | undefined;
      for (let tries = 0; tries < 8 && items.length > 0 && found === undefined; tries++) {
        const { id } = (items[this.#random.below(items.length)] as Relay).info;
        if (fits(id)) found = id;
      }
      found ??= items.find(({ info }) => fits(info.id))?.info.id;
      if (found === undefined) return null;
      path.push(found);
    }
    return [...path, exit];
  }

  #latency_us(path: string[], exit: ExitInfo): number {
    let sum = 0;
    let last: Pings | undefined;
    for (const id of path) {
      const pings = id === exit.id ? exit.pings_us : this.#relays.get(id)?.info.pings_us;
      if (last !== undefined || id !== path[0]) sum += roundTrip_us(last ?? [], pings ?? []);
      last = pings;
    }
    return sum;
  }
}
