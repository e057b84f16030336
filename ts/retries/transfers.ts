/**
 * Who moves how fast: a transfer gets its even share of its exit's limit or of its intermediary's, whichever is less.
 *
 * Invariant: whenever a transfer joins or leaves, those beside it have moved what they moved so far before their speed changes.
 */

/** A transfer that runs; the caller reads `rate` and `moved`. */
export interface Transfer {
  exit: number;
  intermediary: number;
  exitPlace: number;
  intermediaryPlace: number;
  /** Bytes per microsecond. */
  rate: number;
  moved: number;
  moved_us: number;
}

export class Transfers<T extends Transfer> {
  readonly #exitRate: Float64Array;
  readonly #intermediaryRate: Float64Array;
  readonly #exits: T[][];
  readonly #intermediaries: T[][];
  readonly #changed: (now_us: number, transfer: T) => void;

  /** Limits in bytes per second; `changed` is called for each transfer whose rate is another now. */
  constructor(exits: Float64Array, intermediaries: Float64Array, changed: (now_us: number, transfer: T) => void) {
    this.#exitRate = exits.map((limit) => limit / 1e6);
    this.#intermediaryRate = intermediaries.map((limit) => limit / 1e6);
    this.#exits = Array.from(exits, () => []);
    this.#intermediaries = Array.from(intermediaries, () => []);
    this.#changed = changed;
  }

  join(now_us: number, transfer: T): void {
    const exit = this.#exits[transfer.exit] as T[];
    const intermediary = this.#intermediaries[transfer.intermediary] as T[];
    transfer.exitPlace = exit.push(transfer) - 1;
    transfer.intermediaryPlace = intermediary.push(transfer) - 1;
    transfer.rate = 0;
    transfer.moved_us = now_us;
    this.#share(now_us, exit, intermediary);
  }

  leave(now_us: number, transfer: T): void {
    this.catchUp(now_us, transfer);
    const exit = this.#exits[transfer.exit] as T[];
    const intermediary = this.#intermediaries[transfer.intermediary] as T[];
    const [lastOfExit, lastOfIntermediary] = [exit.pop() as T, intermediary.pop() as T];
    if (lastOfExit !== transfer) {
      exit[transfer.exitPlace] = lastOfExit;
      lastOfExit.exitPlace = transfer.exitPlace;
    }
    if (lastOfIntermediary !== transfer) {
      intermediary[transfer.intermediaryPlace] = lastOfIntermediary;
      lastOfIntermediary.intermediaryPlace = transfer.intermediaryPlace;
    }
    transfer.rate = 0;
    this.#share(now_us, exit, intermediary);
  }

  catchUp(now_us: number, transfer: T): void {
    transfer.moved += transfer.rate * (now_us - transfer.moved_us);
    transfer.moved_us = now_us;
  }

  /** Bytes per second that one more transfer would get. */
  wouldGet(exit: number, intermediary: number): number {
    const ofExit = (this.#exitRate[exit] as number) / ((this.#exits[exit] as T[]).length + 1);
    const beside = (this.#intermediaries[intermediary] as T[]).length + 1;
    return 1e6 * Math.min(ofExit, (this.#intermediaryRate[intermediary] as number) / beside);
  }

  #share(now_us: number, exit: T[], intermediary: T[]): void {
    for (let i = 0; i < exit.length; i++) this.#adjust(now_us, exit[i] as T);
    for (let i = 0; i < intermediary.length; i++) this.#adjust(now_us, intermediary[i] as T);
  }

  #adjust(now_us: number, transfer: T): void {
    const ofExit = (this.#exitRate[transfer.exit] as number) / (this.#exits[transfer.exit] as T[]).length;
    const ofIntermediary =
      (this.#intermediaryRate[transfer.intermediary] as number) /
      (this.#intermediaries[transfer.intermediary] as T[]).length;
    const rate = Math.min(ofExit, ofIntermediary);
    if (rate === transfer.rate) return;
    this.catchUp(now_us, transfer);
    transfer.rate = rate;
    this.#changed(now_us, transfer);
  }
}
