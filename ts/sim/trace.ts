/** What happened and when, as one hash: two runs are the same if it is. */
import { createHash, type Hash } from 'node:crypto';
import type { VirtualTime } from './time.js';

export class Trace {
  readonly #time: VirtualTime;
  readonly #hash: Hash = createHash('sha256');
  readonly #sink: ((line: string) => void) | undefined;
  #lines = 0;
  #ended = false;

  constructor(time: VirtualTime, sink?: (line: string) => void) {
    this.#time = time;
    this.#sink = sink;
  }

  get lines(): number {
    return this.#lines;
  }

  record(what: string): void {
    // What hangs may come loose when its run is over.
    if (this.#ended) return;
    const line = `${this.#time.now_us} ${what}\n`;
    this.#lines += 1;
    this.#hash.update(line);
    this.#sink?.(line);
  }

  /** Ends the trace. */
  digest(): string {
    this.#ended = true;
    return this.#hash.digest('hex').slice(0, 32);
  }
}
