/** What the engine wants sent: records in one buffer that is used again and again (ts/core/engine.ts). */
import { OUTPUT_HEADER_BYTES, OUTPUT_PACKET } from '../core/engine.js';

/** Many packets at a time: the crossing costs more than they do. */
export const OUTPUT_BYTES = 256 * 1024;

export interface OutputTaker {
  /** `bytes` are the taker's own. */
  packet(link: number, bytes: Uint8Array): void;
  control(link: number, bytes: Uint8Array): void;
}

/** Hands over the records in the first `length` bytes of `buffer`. */
export function takeRecords(buffer: Uint8Array, length: number, taker: OutputTaker): void {
  const view = new DataView(buffer.buffer, buffer.byteOffset, length);
  for (let at = 0; at < length; ) {
    const kind = view.getUint8(at);
    const link = view.getUint32(at + 1);
    const end = at + OUTPUT_HEADER_BYTES + view.getUint32(at + 5);
    const bytes = buffer.slice(at + OUTPUT_HEADER_BYTES, end);
    if (kind === OUTPUT_PACKET) taker.packet(link, bytes);
    else taker.control(link, bytes);
    at = end;
  }
}

/** Datagrams that came, each behind its length (u16), in a buffer that is used again and again. */
export class PacketBatch {
  #buffer = new Uint8Array(16 * 1024);
  #length = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(packet: Uint8Array): void {
    const end = this.#length + 2 + packet.length;
    if (end > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(end, 2 * this.#buffer.length));
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer[this.#length] = packet.length >> 8;
    this.#buffer[this.#length + 1] = packet.length & 0xff;
    this.#buffer.set(packet, this.#length + 2);
    this.#length = end;
    this.#count += 1;
  }

  /** What is held; valid until the next `push`. */
  take(): Uint8Array {
    const held = this.#buffer.subarray(0, this.#length);
    this.#length = 0;
    this.#count = 0;
    return held;
  }
}
