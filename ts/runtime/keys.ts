/**
 * A node's keys: its identity for ever, its onion keys for a day.
 *
 * Set-ups are sealed to an onion key, so what was recorded stays closed only once the key is gone: each lives for
 * `ONION_LIFE_S`, overlaps with the next for `OVERLAP_S`, and is then overwritten on disk and dropped by the core.
 *
 * Invariant: at most two onion keys are held; a seed is in the store and in the core, and nowhere else for longer than a call.
 */
import type { OnionKey } from '../base/directory.js';
import { SystemError } from '../base/errors.js';
import { toHex } from '../base/hex.js';
import type { Clock, Random, Store } from '../base/ports.js';
import type { Core } from '../core/core.js';
import { SKEW_S_MAX } from '../directory/descriptor.js';

export const IDENTITY_FILE = 'identity.key';
const ONION_PREFIX = 'onion-';
const SEED_BYTES = 32;
export const ONION_LIFE_S = 24 * 3600;
/** Descriptors with the key before are still about for so long. */
export const OVERLAP_S = 3 * 3600;
/** A key counts from so long before it was made, so that a client whose clock runs behind takes a new node's at once. */
const EARLY_S = SKEW_S_MAX;

/** The identity in the store, made on first use. */
export async function loadIdentity(store: Store, random: Random): Promise<Uint8Array> {
  const held = await store.read(IDENTITY_FILE);
  if (held !== null && held.length !== SEED_BYTES) {
    throw new SystemError('store_failed', `${IDENTITY_FILE} has ${held.length} bytes, not ${SEED_BYTES}`, {
      hint: 'restore it from a copy, or remove it to become another node',
    });
  }
  if (held !== null) return held;
  const seed = new Uint8Array(SEED_BYTES);
  random.fill(seed);
  await store.write(IDENTITY_FILE, seed);
  return seed;
}

interface HeldKey {
  name: string;
  from_s: number;
  until_s: number;
}

/** Names say when a key begins, so that the store needs no index. */
function nameOf(from_s: number): string {
  return `${ONION_PREFIX}${from_s}.key`;
}

export class OnionKeys {
  readonly #store: Store;
  readonly #core: Core;
  readonly #clock: Clock;
  readonly #random: Random;
  #held: HeldKey[] = [];
  #found = 0;

  constructor(store: Store, core: Core, clock: Clock, random: Random) {
    this.#store = store;
    this.#core = core;
    this.#clock = clock;
    this.#random = random;
  }

  /** Makes the key that is due, removes those that are over. Whether anything changed. */
  async refresh(): Promise<boolean> {
    const now_s = Math.floor(this.#clock.now_ms() / 1000);
    const before = this.#held.map((key) => key.name).join();
    const held: HeldKey[] = [];
    for (const name of await this.#store.list()) {
      const from_s = Number(/^onion-(\d+)\.key$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(from_s)) continue;
      const until_s = from_s + ONION_LIFE_S + OVERLAP_S;
      // One from the future is of a clock that was wrong: nobody could know until when to keep it.
      if (now_s >= until_s || from_s > now_s + OVERLAP_S) await this.#store.remove(name);
      else held.push({ name, from_s, until_s });
    }
    this.#found = held.length;
    held.sort((a, b) => b.from_s - a.from_s);
    if (held[0] === undefined || now_s >= held[0].from_s + ONION_LIFE_S) {
      const seed = new Uint8Array(SEED_BYTES);
      this.#random.fill(seed);
      await this.#store.write(nameOf(now_s), seed);
      seed.fill(0);
      held.unshift({ name: nameOf(now_s), from_s: now_s, until_s: now_s + ONION_LIFE_S + OVERLAP_S });
    }
    for (const extra of held.splice(2)) await this.#store.remove(extra.name);
    this.#held = held;
    return before !== held.map((key) => key.name).join();
  }

  /** Whether the last `refresh` found no key that was made before it. */
  get fresh(): boolean {
    return this.#found === 0;
  }

  /** When `refresh` next has something to do. */
  nextChange_s(): number {
    const ends = this.#held.map((key) => key.until_s);
    const newest = this.#held[0];
    return Math.min(...ends, newest === undefined ? 0 : newest.from_s + ONION_LIFE_S);
  }

  /** The seeds, for the core; the caller wipes them. */
  async seeds(): Promise<Uint8Array[]> {
    const seeds: Uint8Array[] = [];
    for (const key of this.#held) {
      const seed = await this.#store.read(key.name);
      if (seed === null || seed.length !== SEED_BYTES) {
        throw new SystemError('store_failed', `${key.name} was removed or damaged while the node ran`, {
          hint: 'restart the node, which makes a new one',
        });
      }
      seeds.push(seed);
    }
    return seeds;
  }

  /** What the descriptor says of them. */
  async published(): Promise<OnionKey[]> {
    const seeds = await this.seeds();
    return this.#held.map(({ from_s, until_s }, i) => {
      const seed = seeds[i] as Uint8Array;
      const key = this.#core.onionPublic(seed);
      seed.fill(0);
      return { key, from_s: from_s - EARLY_S, until_s };
    });
  }
}

/** The node's id, as everybody writes it. */
export function idOf(core: Core, identitySeed: Uint8Array): string {
  return toHex(core.identityPublic(identitySeed));
}
