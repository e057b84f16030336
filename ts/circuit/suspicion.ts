/**
 * Which nodes were on paths that failed lately. A failed circuit does not say who failed it, so every suspect is only
 * avoided for a while, and only where there are enough others.
 */
import type { Clock } from '../base/ports.js';

const FORGOTTEN_AFTER_MS = 60_000;
const SUSPECTS_MAX = 4096;

export class Suspicion {
  readonly #clock: Clock;
  readonly #suspects = new Map<string, { failures: number; until_ms: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** These were on a path that failed. */
  failed(ids: Iterable<string>): void {
    const now_ms = this.#clock.now_ms();
    for (const id of ids) {
      const failures = this.of(id) + 1;
      this.#suspects.delete(id);
      this.#suspects.set(id, { failures, until_ms: now_ms + FORGOTTEN_AFTER_MS });
    }
    for (const id of this.#suspects.keys()) {
      if (this.#suspects.size <= SUSPECTS_MAX) break;
      this.#suspects.delete(id);
    }
  }

  /** These were on a path over which packets came back; that a set-up was answered is not enough. */
  worked(ids: Iterable<string>): void {
    for (const id of ids) this.#suspects.delete(id);
  }

  /** How many failures are held against it now. */
  of(id: string): number {
    const suspect = this.#suspects.get(id);
    return suspect !== undefined && suspect.until_ms > this.#clock.now_ms() ? suspect.failures : 0;
  }
}
