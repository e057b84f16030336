/** The machine's clock and chance, as the ports want them. */
import { randomFillSync } from 'node:crypto';
import { type Clock, type Random, randomBelow, type Timer } from '../base/ports.js';

/** Timers do not keep the process alive: the node's socket does, until it is closed. */
export const systemClock: Clock = {
  now_ms: () => Date.now(),
  monotonic_ms: () => performance.now(),
  setTimeout(run: () => void, delay_ms: number): Timer {
    const timer = setTimeout(run, delay_ms);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};

export const systemRandom: Random = {
  fill: (bytes) => {
    randomFillSync(bytes);
  },
  below: (bound) => randomBelow((bytes) => randomFillSync(bytes), bound),
};
