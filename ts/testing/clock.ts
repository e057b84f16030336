/** Virtual time. */
import type { Clock } from '../base/ports.js';
import { NOW_S } from './descriptors.js';

/** Time that passes when told to. */
export class ManualClock implements Clock {
  #now_ms = NOW_S * 1000;
  #timers = new Set<{ at_ms: number; run: () => void }>();

  now_ms = () => this.#now_ms;
  monotonic_ms = () => this.#now_ms;

  setTimeout(run: () => void, delay_ms: number) {
    const timer = { at_ms: this.#now_ms + delay_ms, run };
    this.#timers.add(timer);
    return { cancel: () => void this.#timers.delete(timer) };
  }

  async pass(ms: number): Promise<void> {
    const end_ms = this.#now_ms + ms;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter((t) => t.at_ms <= end_ms).sort((a, b) => a.at_ms - b.at_ms)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now_ms = Math.max(this.#now_ms, due.at_ms);
      due.run();
    }
    this.#now_ms = end_ms;
  }
}

/** Lets what is ready run. */
export const settle = async () => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};
