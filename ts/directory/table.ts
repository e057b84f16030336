/**
 * The table of descriptors a node holds.
 *
 * Invariant: bounded in entries, every entry verified, no entry older than one it replaced, none past its expiry handed
 * out. A node that signs new editions faster than `EDITION_REFILL_MS` (after a burst) is not followed, so that nobody can
 * make the whole network carry his noise.
 */
import type { Descriptor } from '../base/directory.js';
import type { Clock } from '../base/ports.js';
import type { Core } from '../core/core.js';
import type { Drops } from '../core/drops.js';
import { readDescriptor } from './descriptor.js';

export const TABLE_ENTRIES_MAX = 4096;
export const EDITION_BURST = 8;
export const EDITION_REFILL_MS = 30_000;

export interface Entry {
  descriptor: Descriptor;
  record: Uint8Array;
  /** When this edition came here, and from whom (`null`: our own). */
  received_ms: number;
  from: string | null;
}

/** `news`: it was taken, pass it on. `known`: nothing to do. `refused`: counted. */
export type Outcome = { outcome: 'known' | 'refused' } | { outcome: 'news'; descriptor: Descriptor };

export class DescriptorTable {
  readonly #core: Core;
  readonly #clock: Clock;
  readonly #drops: Drops;
  readonly #entriesMax: number;
  readonly #entries = new Map<string, Entry>();
  #newest: Descriptor | undefined;
  readonly #budgets = new Map<string, { left: number; at_ms: number }>();

  constructor(core: Core, clock: Clock, drops: Drops, entriesMax = TABLE_ENTRIES_MAX) {
    this.#core = core;
    this.#clock = clock;
    this.#drops = drops;
    this.#entriesMax = entriesMax;
  }

  accept(record: Uint8Array, from: string | null): Outcome {
    const now_ms = this.#clock.now_ms();
    const read = readDescriptor(this.#core, record, now_ms / 1000);
    if (typeof read === 'string') {
      this.#drops.count(read);
      return { outcome: 'refused' };
    }
    const held = this.#entries.get(read.id);
    if (held !== undefined && held.descriptor.seq === read.seq) return { outcome: 'known' };
    if (held !== undefined && held.descriptor.seq > read.seq) {
      this.#drops.count('descriptor_stale');
      return { outcome: 'refused' };
    }
    if (held === undefined && this.#entries.size >= this.#entriesMax) this.expire();
    if (held === undefined && this.#entries.size >= this.#entriesMax) {
      this.#drops.count('descriptor_table_full');
      return { outcome: 'refused' };
    }
    if (from !== null && !this.#spend(read.id, now_ms)) {
      this.#drops.count('descriptor_rate');
      return { outcome: 'refused' };
    }
    this.#entries.set(read.id, { descriptor: read, record: record.slice(), received_ms: now_ms, from });
    this.#newest = read;
    return { outcome: 'news', descriptor: read };
  }

  /** What was taken last. */
  newest(): Descriptor | undefined {
    return this.#newest;
  }

  /** The entry, unless it has expired. */
  get(id: string): Entry | undefined {
    const entry = this.#entries.get(id);
    return entry !== undefined && entry.descriptor.expires_s > this.#clock.now_ms() / 1000 ? entry : undefined;
  }

  entries(): Entry[] {
    const now_s = this.#clock.now_ms() / 1000;
    return [...this.#entries.values()].filter((entry) => entry.descriptor.expires_s > now_s);
  }

  /** Forgets what has expired. */
  expire(): void {
    const now_s = this.#clock.now_ms() / 1000;
    for (const [id, entry] of this.#entries) {
      if (entry.descriptor.expires_s > now_s) continue;
      this.#entries.delete(id);
      this.#budgets.delete(id);
    }
  }

  #spend(id: string, now_ms: number): boolean {
    const budget = this.#budgets.get(id) ?? { left: EDITION_BURST, at_ms: now_ms };
    const left = Math.min(EDITION_BURST, budget.left + (now_ms - budget.at_ms) / EDITION_REFILL_MS);
    this.#budgets.set(id, { left: left >= 1 ? left - 1 : left, at_ms: now_ms });
    return left >= 1;
  }
}
