/**
 * Waits that are nearly always called off: all that are equally long share one timer, which is set again only when it has
 * gone off.
 *
 * Invariant: waits of one length end in the order in which they began, none of them early.
 */
import type { Clock } from '../base/ports.js';
import { after } from '../core/timing.js';

interface Wait {
  due_ms: number;
  run(): void;
}

export class Staggers {
  readonly #clock: Clock;
  /** By length, in milliseconds; the oldest first. */
  readonly #waits = new Map<number, Set<Wait>>();
  readonly #armed = new Map<number, () => void>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `run` once after `ms`; returns the way to call it off. */
  after(ms: number, run: () => void): () => void {
    let waits = this.#waits.get(ms);
    if (waits === undefined) {
      waits = new Set();
      this.#waits.set(ms, waits);
    }
    const wait = { due_ms: this.#clock.monotonic_ms() + ms, run };
    waits.add(wait);
    if (!this.#armed.has(ms)) this.#arm(ms, waits, ms);
    return () => waits.delete(wait);
  }

  close(): void {
    for (const cancel of this.#armed.values()) cancel();
    this.#armed.clear();
    this.#waits.clear();
  }

  #arm(ms: number, waits: Set<Wait>, left_ms: number): void {
    const cancel = after(this.#clock, left_ms, () => {
      const now_ms = this.#clock.monotonic_ms();
      for (const wait of waits) {
        if (wait.due_ms > now_ms) break;
        waits.delete(wait);
        wait.run();
      }
      if (!this.#armed.delete(ms)) return;
      const [next] = waits;
      if (next !== undefined) this.#arm(ms, waits, next.due_ms - now_ms);
    });
    this.#armed.set(ms, cancel);
  }
}
