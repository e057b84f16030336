/**
 * The directory as a supply of hops: who is there, how old what is known of them is, and where paths begin.
 *
 * Invariant: first hops are the sticky set's alone. It is filled up to its size as relays become known, and a member makes room
 * only when the directory has had no valid descriptor of it; no call takes a failure. Relays that take links over TCP as well are
 * preferred: a set that only UDP reaches would shut a client out wherever that is blocked.
 */
import { type Descriptor, type Directory, onionKeyAt } from '../base/directory.js';
import type { Clock, Random } from '../base/ports.js';
import { EntrySet } from './entries.js';
import type { HopPlan } from './enumerate.js';
import { Enumerator } from './enumerate.js';
import { landmarksAmong, type Pings } from './landmarks.js';
import type { HopSupply } from './window.js';

/** What is expired falls out of the directory without a word. */
const LOOK_AGAIN_US = 10_000_000;
/** Those kept from an earlier run have so long to become known. */
const KEPT_UNKNOWN_MS = 10_000;
/** An exit that says nothing of itself is taken for as good as those that were tried: the kernel bounds it to their average. */
const UNKNOWN = 2 ** 40;

export interface SupplyParts {
  directory: Pick<Directory, 'descriptors' | 'subscribe'>;
  clock: Clock;
  random: Random;
  /** This node. */
  self: string;
  /** Of a path, the exit included. */
  hops: number;
  /** First hops. */
  entries: number;
  /** First hops of an earlier run. */
  kept?: readonly string[];
  /** The set has changed: to be kept for the next run. */
  onEntries?(ids: readonly string[]): void;
}

export class DirectorySupply implements HopSupply {
  /** Whether there is no hop at all to choose from: then verdicts give way. */
  isEmpty: () => boolean = () => false;
  readonly #parts: SupplyParts;
  readonly #enumerator: Enumerator;
  readonly #started_ms: number;
  readonly #stop: () => void;
  #set: EntrySet;
  #exits = new Set<string>();
  /** Whether each takes links over TCP as well. */
  #relays = new Map<string, boolean>();
  #stale = true;
  #looked_us = Number.NEGATIVE_INFINITY;

  constructor(parts: SupplyParts) {
    this.#parts = parts;
    this.#started_ms = parts.clock.monotonic_ms();
    this.#set = new EntrySet([], parts.entries, parts.random, parts.kept);
    const draw: EntrySet['draw'] = (random, without) => this.#set.draw(random, without);
    const relays = Math.max(0, parts.hops - 2);
    this.#enumerator = new Enumerator(parts.random, parts.hops > 1 ? { draw } : null, { relays });
    this.#stop = parts.directory.subscribe(() => {
      this.#stale = true;
    });
  }

  close(): void {
    this.#stop();
  }

  /** Exits that the directory has. */
  get size(): number {
    return this.#enumerator.size;
  }

  /** Where paths begin, as far as it is known by now. */
  entries(): readonly string[] {
    this.#fill(this.#relays.size > 0 ? this.#relays : relaysOf(this.#usable()));
    return this.#set.ids;
  }

  hops(count: number, now_us: number): HopPlan[] {
    this.#look(now_us);
    const plans = this.#enumerator.hops(count, now_us);
    return plans.length > 0 || !this.isEmpty() ? plans : this.#enumerator.condemnedHops(count, now_us);
  }

  release(exit: string, until_us?: number): void {
    this.#enumerator.release(exit, until_us);
  }

  #usable(): Descriptor[] {
    const { directory, clock, self } = this.#parts;
    const now_s = clock.now_ms() / 1000;
    return directory.descriptors().filter((d) => d.id !== self && onionKeyAt(d, now_s) !== undefined);
  }

  #look(now_us: number): void {
    if (!this.#stale && now_us - this.#looked_us < LOOK_AGAIN_US) return;
    this.#stale = false;
    this.#looked_us = now_us;
    const usable = this.#usable();
    const relays = relaysOf(usable);
    const exits = new Set<string>();
    const now_s = this.#parts.clock.now_ms() / 1000;
    // Those alone: a descriptor may name whom it likes.
    const landmarks = landmarksAmong(usable);
    for (const { id, roles, time_s, estimates } of usable) {
      const confirmed_us = now_us - Math.max(0, now_s - time_s) * 1e6;
      const pings_us = inOrder(landmarks, id, estimates.landmarks ?? []);
      if (roles.relay) this.#enumerator.relayPut({ id, confirmed_us, pings_us });
      if (!roles.exit) continue;
      exits.add(id);
      const rate = estimates.rate_bytes_per_s ?? UNKNOWN;
      this.#enumerator.exitPut({ id, confirmed_us, pings_us, speed: rate, capacity: rate, estimated_us: confirmed_us });
    }
    for (const id of this.#exits) if (!exits.has(id)) this.#enumerator.exitDrop(id);
    for (const id of this.#relays.keys()) if (!relays.has(id)) this.#enumerator.relayDrop(id);
    [this.#exits, this.#relays] = [exits, relays];
    this.#fill(relays);
  }

  #fill(relays: ReadonlyMap<string, boolean>): void {
    const { clock, random, entries, onEntries } = this.#parts;
    const early = clock.monotonic_ms() - this.#started_ms < KEPT_UNKNOWN_MS;
    const kept = early ? this.#set.ids : this.#set.ids.filter((id) => relays.has(id));
    if (kept.length === this.#set.ids.length && kept.length >= entries) return;
    const ids = [...relays.keys()].sort();
    const both = ids.filter((id) => relays.get(id));
    const next = new EntrySet(ids, entries, random, new EntrySet(both, entries, random, kept).ids);
    if (next.ids.join() === this.#set.ids.join()) return;
    this.#set = next;
    onEntries?.(next.ids);
  }
}

const relaysOf = (nodes: readonly Descriptor[]): Map<string, boolean> =>
  new Map(nodes.filter(({ roles }) => roles.relay).map(({ id, reliable }) => [id, reliable !== undefined]));

/** As the estimates want them: one of each landmark, in one order. A landmark is as near to itself as can be. */
function inOrder(landmarks: readonly string[], self: string, pings: readonly { id: string; rtt_us: number }[]): Pings {
  const known = new Map(pings.map(({ id, rtt_us }) => [id, rtt_us]));
  known.set(self, 0);
  return landmarks.map((id) => known.get(id) ?? Number.NaN);
}
