/** Bytes that say where they are: a stream of them cannot lose, double, swap or change any without its being seen. */

export class Pattern {
  readonly #key: number;

  constructor(key: number) {
    this.#key = Math.imul(key + 1, 0x9e3779b1) >>> 0;
  }

  /** Bytes `at` to `at + length` of the stream. */
  bytes(at: number, length: number): Uint8Array {
    const out = new Uint8Array(length);
    for (let i = 0; i < length; i++) out[i] = this.#byte(at + i);
    return out;
  }

  /** Where `data`, which should be the stream from `at` on, first differs; -1 where it does not. */
  firstDifference(at: number, data: Uint8Array): number {
    for (let i = 0; i < data.length; i++) if (data[i] !== this.#byte(at + i)) return at + i;
    return -1;
  }

  #byte(at: number): number {
    return Math.imul((at ^ this.#key) + (at >>> 8), 0x85ebca6b) >>> 24;
  }
}
