/**
 * The certificates by which browsers know a relay: they pin its hash, which the descriptor names.
 *
 * A browser accepts 14 days of validity at most. Each certificate is shown for `SHOWN_S` and valid for longer, and the next one
 * is made before it is needed: a descriptor in circulation names both, so that it never names only one that is gone.
 *
 * Invariant: two are held, the one that is shown and the next; keys are in the store and the host, and in memory while one of
 * them is written.
 */
import { decode, encode } from 'cborg';
import { z } from 'zod';
import type { Clock, Store } from '../base/ports.js';
import type { NewCertificate, WebCertificate } from '../core/host.js';

const DAY_S = 24 * 3600;
/** How long each is shown. */
export const SHOWN_S = 6 * DAY_S;
/** Valid before it is shown: clocks of browsers run late. */
const EARLY_S = DAY_S;
/** Valid from when it is shown. Both together are 13 days. */
const VALID_S = 12 * DAY_S;

const File = z.object({
  certificate: z.instanceof(Uint8Array),
  key: z.instanceof(Uint8Array),
  hash: z.instanceof(Uint8Array).refine((hash) => hash.length === 32),
});

interface Held extends WebCertificate {
  hash: Uint8Array;
  /** From when on it is shown. */
  from_s: number;
}

/** Names say from when on one is shown, so that the store needs no index. */
const nameOf = (from_s: number) => `web-${from_s}.cert`;

export class Certificates {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #make: NewCertificate;
  #held: Held[] = [];

  constructor(store: Store, clock: Clock, make: NewCertificate) {
    this.#store = store;
    this.#clock = clock;
    this.#make = make;
  }

  /** Makes what is missing and removes what is over. Whether anything changed. */
  async refresh(): Promise<boolean> {
    const now_s = Math.floor(this.#clock.now_ms() / 1000);
    const first = this.#held[0];
    // What was found once is held; the store is read again only when something is due.
    if (first !== undefined && now_s >= first.from_s && now_s < first.from_s + SHOWN_S) return false;
    const found = await this.#find(now_s);
    const shown = found.findLast((held) => held.from_s <= now_s && now_s < held.from_s + SHOWN_S);
    const current = shown ?? (await this.#add(now_s));
    const next = found.find((held) => held.from_s > now_s) ?? (await this.#add(current.from_s + SHOWN_S));
    for (const held of found) if (held !== current && held !== next) await this.#store.remove(nameOf(held.from_s));
    this.#held = [current, next];
    return true;
  }

  /** For the host: the one that is shown, then the next. */
  held(): WebCertificate[] {
    return this.#held.map(({ certificate, key }) => ({ certificate, key }));
  }

  /** For the descriptor, in the same order. */
  hashes(): Uint8Array[] {
    return this.#held.map((held) => held.hash);
  }

  /** What the store has of use, the earliest first; the rest is removed. */
  async #find(now_s: number): Promise<Held[]> {
    const found: Held[] = [];
    for (const name of await this.#store.list()) {
      const from_s = Number(/^web-(\d+)\.cert$/.exec(name)?.[1] ?? Number.NaN);
      if (Number.isNaN(from_s)) continue;
      const file = read(await this.#store.read(name));
      // One from further ahead is of a clock that was wrong; one that is damaged is replaced, since nobody depends on it alone.
      const useful = file !== null && now_s < from_s + SHOWN_S && from_s <= now_s + SHOWN_S;
      if (useful) found.push({ ...file, from_s });
      else await this.#store.remove(name);
    }
    return found.sort((a, b) => a.from_s - b.from_s);
  }

  async #add(from_s: number): Promise<Held> {
    const made = this.#make(from_s - EARLY_S, from_s + VALID_S);
    await this.#store.write(nameOf(from_s), encode({ certificate: made.certificate, key: made.key, hash: made.hash }));
    return { ...made, from_s };
  }
}

function read(bytes: Uint8Array | null): z.infer<typeof File> | null {
  if (bytes === null) return null;
  try {
    const file = File.safeParse(decode(bytes));
    return file.success ? file.data : null;
  } catch {
    return null;
  }
}
