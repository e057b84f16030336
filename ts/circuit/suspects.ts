/** Nodes on paths that failed lately. Blame is statistical, so it is shared by the whole path, and it expires. */
import type { Clock } from '../base/ports.js';

export const SUSPECT_MS = 60_000;

export class Suspects {
  readonly #clock: Clock;
  readonly #until_ms = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  blame(ids: Iterable<string>): void {
    const until_ms = this.#clock.now_ms() + SUSPECT_MS;
    for (const id of ids) this.#until_ms.set(id, until_ms);
  }

  /** A circuit over them works. */
  clear(ids: Iterable<string>): void {
    for (const id of ids) this.#until_ms.delete(id);
  }

  current(): Set<string> {
    const now_ms = this.#clock.now_ms();
    for (const [id, until_ms] of this.#until_ms) if (until_ms <= now_ms) this.#until_ms.delete(id);
    return new Set(this.#until_ms.keys());
  }
}
