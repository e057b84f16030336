/** Exponential back-off with jitter: each wait is drawn from the upper half of its step, so that nodes do not dial in step. */
import type { Random } from '../base/ports.js';

const FIRST_MS = 250;
const LAST_MS = 60_000;

export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  /** How long to wait after one more failure. */
  next_ms(): number {
    const step_ms = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return step_ms / 2 + this.#random.below(step_ms / 2 + 1);
  }

  reset(): void {
    this.#failures = 0;
  }
}
