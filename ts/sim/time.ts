/**
 * Virtual time: a queue of what happens when, and the clocks of nodes on it.
 *
 * Invariant: time stands still while anything can run; what is due at one moment runs in the order in which it was scheduled. So
 * a run depends on nothing but its seed.
 */
import type { Clock, Timer } from '../base/ports.js';

/** When every simulation begins, unix milliseconds. */
const EPOCH_MS = 1_800_000_000_000;
/** Moments are this far apart: what comes at nearly the same time is handled together, as on a real machine. */
const GRAIN_US = 500;

interface Due {
  at_us: number;
  order: number;
  run: (() => void) | null;
}

export class VirtualTime {
  #now_us = 0;
  #order = 0;
  readonly #heap: Due[] = [];

  get now_us(): number {
    return this.#now_us;
  }

  /** Runs after `delay_us`, on the next moment. */
  schedule(delay_us: number, run: () => void): Timer {
    const at_us = Math.ceil((this.#now_us + Math.max(0, delay_us)) / GRAIN_US) * GRAIN_US;
    const due: Due = { at_us, order: this.#order++, run };
    push(this.#heap, due);
    return {
      cancel: () => {
        due.run = null;
      },
    };
  }

  /** Runs at this very moment, after what can run now has run. */
  defer(run: () => void): void {
    push(this.#heap, { at_us: this.#now_us, order: this.#order++, run });
  }

  /** Lets `duration_us` pass, or less where `done` says so. */
  async pass(duration_us: number, done: () => boolean = () => false): Promise<void> {
    const end_us = this.#now_us + duration_us;
    await settle();
    while (!done()) {
      const first = this.#heap[0];
      if (first === undefined || first.at_us > end_us) {
        this.#now_us = end_us;
        return;
      }
      this.#now_us = first.at_us;
      // What this brings for the same moment comes after what it wakes.
      const last = this.#order;
      for (let due = this.#heap[0]; due !== undefined; due = this.#heap[0]) {
        if (due.at_us > this.#now_us || due.order >= last) break;
        pop(this.#heap);
        due.run?.();
      }
      await settle();
    }
  }
}

/** A node's clock: wrong by `skew_ms`, and stopped when the node is. */
export class NodeClock implements Clock {
  readonly #time: VirtualTime;
  readonly #skew_ms: number;
  #stopped = false;

  constructor(time: VirtualTime, skew_ms: number) {
    this.#time = time;
    this.#skew_ms = skew_ms;
  }

  now_ms = () => EPOCH_MS + this.#skew_ms + this.#time.now_us / 1000;
  monotonic_ms = () => this.#time.now_us / 1000;

  setTimeout(run: () => void, delay_ms: number): Timer {
    return this.#time.schedule(delay_ms * 1000, () => {
      if (!this.#stopped) run();
    });
  }

  defer(run: () => void): void {
    this.#time.defer(() => {
      if (!this.#stopped) run();
    });
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** Everything that can run has run: promises are settled before the event loop goes on. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

const before = (a: Due, b: Due) => a.at_us < b.at_us || (a.at_us === b.at_us && a.order < b.order);

function push(heap: Due[], due: Due): void {
  let at = heap.length;
  heap.push(due);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as Due;
    if (!before(due, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = due;
}

function pop(heap: Due[]): void {
  const last = heap.pop() as Due;
  if (heap.length === 0) return;
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && before(heap[child + 1] as Due, heap[child] as Due)) child += 1;
    if (!before(heap[child] as Due, last)) break;
    heap[at] = heap[child] as Due;
    at = child;
  }
  heap[at] = last;
}
