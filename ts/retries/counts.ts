/** What a run is judged by. */

/** Where a connection went. */
export const FIRST = 0;
/** To a destination from which something came in the past K. */
export const WARM = 1;
/** To one that was asked before, but not lately. */
export const COLD = 2;

export interface ClassFigures {
  connections: number;
  /** Per connection. */
  retries: number;
  /** Attempts that went out, races included, per connection. */
  attempts: number;
  time_ms: number;
  useful_bytes: number;
  wasted_bytes: number;
  /** Standard error of `retries`. */
  retriesError: number;
}

export interface RunFigures {
  /** Asked for repeatedly: all connections but the first ones beside them. */
  all: ClassFigures;
  warm: ClassFigures;
  cold: ClassFigures;
  first: ClassFigures;
  /** Connections that were given up after so many tries. */
  abandoned: number;
  entropy: {
    /** Bits of the exits used in a slice of K, on average, and the lowest. */
    slice: number;
    sliceLeast: number;
    /** The same as parts of log2 of the window's size then. */
    ratio: number;
    ratioLeast: number;
    run: number;
  };
  /** The largest part of one exit: of connections, in the run and in a slice; of bytes. */
  largest: { run: number; slice: number; bytes: number };
  /** Its size; and by how much it was above N + (c / R) × S at least. */
  window: { least: number; mean: number; most: number; overFloor: number };
  /** Virtual seconds counted and simulated, connections simulated. */
  counted_s: number;
  simulated_s: number;
  connections: number;
}

class ClassCounts {
  connections = 0;
  retries = 0;
  squares = 0;
  attempts = 0;
  time_us = 0;
  useful = 0;
  wasted = 0;

  static figures(parts: ClassCounts[]): ClassFigures {
    const sum = (of: (part: ClassCounts) => number) => parts.reduce((all, part) => all + of(part), 0);
    const connections = sum((part) => part.connections);
    const per = (of: (part: ClassCounts) => number) => (connections === 0 ? 0 : sum(of) / connections);
    const retries = per((part) => part.retries);
    return {
      connections,
      retries,
      attempts: per((part) => part.attempts),
      time_ms: per((part) => part.time_us) / 1000,
      useful_bytes: per((part) => part.useful),
      wasted_bytes: per((part) => part.wasted),
      retriesError: connections === 0 ? 0 : Math.sqrt((per((part) => part.squares) - retries ** 2) / connections),
    };
  }
}

export class Counts {
  readonly #classes = [new ClassCounts(), new ClassCounts(), new ClassCounts()] as const;
  /** Connections that an exit served, in the slice and in the run; bytes of the run. */
  readonly #slice: Uint32Array;
  readonly #served: Uint32Array;
  readonly #bytes: Float64Array;
  #sliceServed = 0;
  readonly #entropies: number[] = [];
  readonly #ratios: number[] = [];
  #largestSlice = 0;
  readonly #windows: number[] = [];
  #overFloor = Number.POSITIVE_INFINITY;
  abandoned = 0;
  /** Of the latest slice; NaN before there is one. */
  ratio = Number.NaN;

  constructor(exits: number) {
    this.#slice = new Uint32Array(exits);
    this.#served = new Uint32Array(exits);
    this.#bytes = new Float64Array(exits);
  }

  done(of: number, tries: number, attempts: number, time_us: number, useful: number, wasted: number): void {
    const counts = this.#classes[of] as ClassCounts;
    counts.connections += 1;
    counts.retries += tries - 1;
    counts.squares += (tries - 1) ** 2;
    counts.attempts += attempts;
    counts.time_us += time_us;
    counts.useful += useful;
    counts.wasted += wasted;
  }

  served(exit: number): void {
    this.#slice[exit] = (this.#slice[exit] as number) + 1;
    this.#sliceServed += 1;
  }

  moved(exit: number, bytes: number): void {
    this.#bytes[exit] = (this.#bytes[exit] as number) + bytes;
  }

  window(size: number, floor: number): void {
    this.#windows.push(size);
    this.#overFloor = Math.min(this.#overFloor, size - floor);
  }

  /** K is over. */
  slice(windowSize: number, counted: boolean): void {
    const bits = entropy(this.#slice, this.#sliceServed);
    this.ratio = this.#sliceServed === 0 ? Number.NaN : bits / Math.max(Math.log2(windowSize), 1e-9);
    if (counted && this.#sliceServed > 0) {
      this.#entropies.push(bits);
      this.#ratios.push(this.ratio);
      this.#largestSlice = Math.max(this.#largestSlice, this.#slice.reduce(larger, 0) / this.#sliceServed);
      for (let exit = 0; exit < this.#slice.length; exit++)
        this.#served[exit] = (this.#served[exit] as number) + (this.#slice[exit] as number);
    }
    this.#slice.fill(0);
    this.#sliceServed = 0;
  }

  figures(counted_s: number, simulated_s: number, connections: number): RunFigures {
    const [first, warm, cold] = this.#classes;
    const served = this.#served.reduce(added, 0);
    const bytes = this.#bytes.reduce(added, 0);
    return {
      all: ClassCounts.figures([warm, cold]),
      warm: ClassCounts.figures([warm]),
      cold: ClassCounts.figures([cold]),
      first: ClassCounts.figures([first]),
      abandoned: this.abandoned,
      entropy: {
        slice: mean(this.#entropies),
        sliceLeast: this.#entropies.reduce(smaller, Number.POSITIVE_INFINITY),
        ratio: mean(this.#ratios),
        ratioLeast: this.#ratios.reduce(smaller, Number.POSITIVE_INFINITY),
        run: entropy(this.#served, served),
      },
      largest: {
        run: this.#served.reduce(larger, 0) / Math.max(served, 1),
        slice: this.#largestSlice,
        bytes: this.#bytes.reduce(larger, 0) / Math.max(bytes, 1),
      },
      window: {
        least: this.#windows.reduce(smaller, Number.POSITIVE_INFINITY),
        mean: mean(this.#windows),
        most: this.#windows.reduce(larger, 0),
        overFloor: this.#overFloor,
      },
      counted_s,
      simulated_s,
      connections,
    };
  }
}

const added = (a: number, b: number): number => a + b;
const larger = (a: number, b: number): number => (a > b ? a : b);
const smaller = (a: number, b: number): number => (a < b ? a : b);
const mean = (values: readonly number[]): number => values.reduce(added, 0) / Math.max(values.length, 1);

/** Shannon's, in bits, of counts with this sum. */
export function entropy(counts: ArrayLike<number>, sum: number): number {
  let bits = 0;
  for (let i = 0; i < counts.length; i++) {
    const count = counts[i] as number;
    if (count > 0) bits -= (count / sum) * Math.log2(count / sum);
  }
  return bits;
}
