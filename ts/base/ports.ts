/**
 * What the outside hands in: time, chance, storage, log. Nothing below the platform roots reaches for them itself, so the
 * same code runs on virtual time with a seed that replays it (ARCHITECTURE.md).
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Unix time in milliseconds. */
  now_ms(): number;
  /** For durations: never set back, with fractions. */
  monotonic_ms(): number;
  /** Calls once, after `delay_ms`. */
  setTimeout(run: () => void, delay_ms: number): Timer;
}

/** Unpredictable in a real node, seeded in a simulated one. */
export interface Random {
  /** Fills with uniform bytes. */
  fill(bytes: Uint8Array): void;
  /** A whole number in [0, bound), uniform; `bound` is rounded down. */
  below(bound: number): number;
}

/** A node's own small files: identity, onion keys, known peers. Names are plain (`[a-z0-9._-]+`), no folders. */
export interface Store {
  read(name: string): Promise<Uint8Array | null>;
  /** Whole or not at all; readable by the owner alone. */
  write(name: string, data: Uint8Array): Promise<void>;
  /** Overwrites before it unlinks; nothing happens where there is no such file. */
  remove(name: string): Promise<void>;
  list(): Promise<string[]>;
}

/** Fields never hold a destination's name or address; the sink drops such fields besides (ts/base/log.ts). */
export type LogFields = Record<string, string | number | boolean | null | undefined>;

/** Where a node writes what it does; pino and console fit with a few lines between. */
export interface Log {
  /** What helps to find a fault. */
  debug(message: string, fields?: LogFields): void;
  /** What an operator likes to know. */
  info(message: string, fields?: LogFields): void;
  /** What failed and is tried again, or was refused. */
  warn(message: string, fields?: LogFields): void;
  /** What should not happen. */
  error(message: string, fields?: LogFields): void;
  /** A log that adds these fields to each line. */
  child(fields: LogFields): Log;
}

/** `Random.below` out of `Random.fill`, without modulo bias. */
export function randomBelow(fill: (bytes: Uint8Array) => void, bound: number): number {
  const whole = Math.floor(bound);
  if (!(whole >= 1 && whole <= 2 ** 32)) throw new RangeError(`bound ${bound} is not in 1..2^32`);
  const limit = Math.floor(2 ** 32 / whole) * whole;
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  for (;;) {
    fill(bytes);
    const value = view.getUint32(0);
    if (value < limit) return value % whole;
  }
}
