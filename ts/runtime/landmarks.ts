/**
 * A node's own round trips to the landmarks, for its descriptor: from them everybody else guesses how far it is from whom, without
 * a ping of theirs (ts/egress/landmarks).
 */
import type { Descriptor } from '../base/directory.js';
import type { Clock } from '../base/ports.js';
import { landmarksAmong } from '../egress/landmarks.js';

export interface LandmarkParts {
  self: string;
  clock: Pick<Clock, 'monotonic_ms'>;
  descriptors(): Descriptor[];
  /** The round trip to a node, microseconds; rejects where there is none. */
  rtt_us(id: string): Promise<number>;
  /** Each is asked again after this. */
  again_ms: number;
}

interface Asked {
  at_ms: number;
  rtt_us: number | null;
}

export class LandmarkPings {
  readonly #parts: LandmarkParts;
  readonly #asked = new Map<string, Asked>();
  #running = false;

  constructor(parts: LandmarkParts) {
    this.#parts = parts;
  }

  /** Those that answered, by id. */
  pings(): { id: string; rtt_us: number }[] {
    return [...this.#asked]
      .flatMap(([id, { rtt_us }]) => (rtt_us === null ? [] : [{ id, rtt_us }]))
      .sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** Asks those whose answer is old or missing, one after the other. True if there is news; never rejects. */
  async refresh(): Promise<boolean> {
    if (this.#running) return false;
    this.#running = true;
    try {
      return await this.#refresh();
    } finally {
      this.#running = false;
    }
  }

  async #refresh(): Promise<boolean> {
    const { clock, self, again_ms } = this.#parts;
    const landmarks = landmarksAmong(this.#parts.descriptors()).filter((id) => id !== self);
    let news = false;
    for (const [id, { rtt_us }] of this.#asked) {
      if (landmarks.includes(id)) continue;
      this.#asked.delete(id);
      news ||= rtt_us !== null;
    }
    for (const id of landmarks) {
      const before = this.#asked.get(id);
      if (before !== undefined && clock.monotonic_ms() - before.at_ms < again_ms) continue;
      const rtt_us = await this.#parts.rtt_us(id).catch(() => null);
      this.#asked.set(id, { at_ms: clock.monotonic_ms(), rtt_us });
      news ||= rtt_us !== null || (before?.rtt_us ?? null) !== null;
    }
    return news;
  }
}
