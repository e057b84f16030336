/**
 * Messages on a byte stream: `length u32 | message`, big-endian.
 *
 * Invariant: a reader holds at most one message and what arrived with its end; a length above the bound is refused
 * before anything is kept for it.
 */
import { WayfareError } from '../base/errors.js';

export class FrameReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #bytesMax: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(readable: ReadableStream<Uint8Array>, bytesMax: number) {
    this.#reader = readable.getReader();
    this.#bytesMax = bytesMax;
  }

  /** The next message; `null` at an end between messages. Throws `control_malformed` on a length out of bounds or an end within. */
  async next(): Promise<Uint8Array | null> {
    const header = await this.take(4, true);
    if (header === null) return null;
    const length = new DataView(header.buffer, header.byteOffset).getUint32(0);
    if (length > this.#bytesMax) {
      throw new WayfareError('control_malformed', `a message of ${length} bytes, at most ${this.#bytesMax}`);
    }
    return this.take(length, false);
  }

  /** Exactly `count` bytes; `null` if the stream ends before the first and `endAllowed`. */
  async take(count: number, endAllowed: true): Promise<Uint8Array | null>;
  async take(count: number, endAllowed: false): Promise<Uint8Array>;
  async take(count: number, endAllowed: boolean): Promise<Uint8Array | null> {
    while (this.#heldBytes < count) {
      const { value, done } = await this.#reader.read();
      if (done) {
        if (this.#heldBytes === 0 && endAllowed) return null;
        throw new WayfareError('control_malformed', 'the stream ended inside a message');
      }
      this.#held.push(value);
      this.#heldBytes += value.length;
    }
    return this.#cut(count);
  }

  cancel(reason?: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }

  #cut(count: number): Uint8Array {
    const taken = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      const chunk = this.#held[0] as Uint8Array;
      const part = chunk.subarray(0, count - filled);
      taken.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) this.#held.shift();
      else this.#held[0] = chunk.subarray(part.length);
    }
    this.#heldBytes -= count;
    return taken;
  }
}

export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(4 + message.length);
  new DataView(framed.buffer).setUint32(0, message.length);
  framed.set(message, 4);
  return framed;
}
