/**
 * What the outside hands in: time, chance, storage, log. Nothing below the platform roots reaches for them itself, so the
 * same code runs on virtual time with a seed that replays it (design/01, second rule).
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds, from any origin. */
  now(): number;
  /** Unix time in milliseconds. */
  wall(): number;
  /** Calls once, after `delay_ms`. */
  after(delay_ms: number, run: () => void): Timer;
}

export interface Random {
  /** Fills with uniform bytes; unpredictable in a real node, seeded in a simulated one. */
  bytes(length: number): Uint8Array;
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

export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  child(fields: LogFields): Log;
}

/** A whole number in [0, bound), uniform. */
export function randomBelow(random: Random, bound: number): number {
  if (!Number.isSafeInteger(bound) || bound < 1 || bound > 2 ** 32)
    throw new RangeError(`bound ${bound} is not in 1..2^32`);
  const limit = Math.floor(2 ** 32 / bound) * bound;
  for (;;) {
    const b = random.bytes(4);
    const value = new DataView(b.buffer, b.byteOffset, 4).getUint32(0);
    if (value < limit) return value % bound;
  }
}
