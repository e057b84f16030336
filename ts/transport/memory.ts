/**
 * Two sessions joined in memory, for tests of what runs over sessions. Same contract as the others (ts/testing/session.ts).
 */
import { WayfareError } from '../base/errors.js';
import type { BidirectionalStream, CloseInfo, DatagramDuplex, Session } from './session.js';

const STREAM_BYTES_MAX = 64 * 1024;
const DATAGRAMS_MAX = 64;
const DATAGRAM_BYTES_MAX = 1200;

export function memoryPair(): [MemorySession, MemorySession] {
  const a = new MemorySession();
  const b = new MemorySession();
  a.join(b);
  b.join(a);
  return [a, b];
}

export class MemorySession implements Session {
  readonly ready = Promise.resolve();
  readonly closed: Promise<CloseInfo>;
  readonly datagrams: DatagramDuplex;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  #peer: MemorySession | null = null;
  #resolveClosed!: (info: CloseInfo) => void;
  #rejectClosed!: (error: unknown) => void;
  #incoming!: ReadableStreamDefaultController<BidirectionalStream>;
  #datagramsIn!: ReadableStreamDefaultController<Uint8Array>;
  #open = true;
  readonly #pipes = new Set<(error: unknown) => void>();

  constructor() {
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.closed.catch(() => {});
    this.incomingBidirectionalStreams = new ReadableStream({
      start: (controller) => {
        this.#incoming = controller;
      },
    });
    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#datagramsIn = controller;
        },
      },
      { highWaterMark: DATAGRAMS_MAX },
    );
    const writable = new WritableStream<Uint8Array>({ write: (data) => this.#peer?.takeDatagram(data.slice()) });
    this.datagrams = { readable, writable, maxDatagramSize: DATAGRAM_BYTES_MAX };
  }

  join(peer: MemorySession): void {
    this.#peer = peer;
  }

  close(info: CloseInfo = {}): void {
    this.end(info, null);
    this.#peer?.end(info, null);
  }

  /** Loses the session at both sides, as when a link dies. */
  lose(): void {
    const error = new WayfareError('link_gone', 'the session was lost');
    this.end({}, error);
    this.#peer?.end({}, error);
  }

  async createBidirectionalStream(): Promise<BidirectionalStream> {
    if (!this.#open) throw new WayfareError('link_gone', 'the session is closed');
    const there = this.#pipe();
    const back = this.#pipe();
    this.#peer?.takeStream({ readable: there.readable, writable: back.writable });
    return { readable: back.readable, writable: there.writable };
  }

  takeStream(stream: BidirectionalStream): void {
    if (this.#open) this.#incoming.enqueue(stream);
  }

  takeDatagram(data: Uint8Array): void {
    if (!this.#open || data.length > DATAGRAM_BYTES_MAX) return;
    if ((this.#datagramsIn.desiredSize ?? 0) > 0) this.#datagramsIn.enqueue(data);
  }

  end(info: CloseInfo, error: unknown): void {
    if (!this.#open) return;
    this.#open = false;
    for (const abort of this.#pipes) abort(error ?? new WayfareError('link_gone', 'the session was closed'));
    this.#pipes.clear();
    if (error === null) {
      this.#incoming.close();
      this.#datagramsIn.close();
      this.#resolveClosed(info);
    } else {
      this.#incoming.error(error);
      this.#datagramsIn.error(error);
      this.#rejectClosed(error);
    }
  }

  #pipe(): { readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> } {
    const counted = new ByteLengthQueuingStrategy({ highWaterMark: STREAM_BYTES_MAX });
    let input: WritableStreamDefaultController | undefined;
    let output!: ReadableStreamDefaultController<Uint8Array>;
    let roomy: (() => void) | undefined;
    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          output = controller;
        },
        pull: () => roomy?.(),
        cancel: (reason) => input?.error(reason),
      },
      counted,
    );
    const writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        input = controller;
      },
      write: async (chunk) => {
        output.enqueue(chunk.slice());
        if ((output.desiredSize ?? 1) > 0) return;
        await new Promise<void>((resolve) => {
          roomy = resolve;
        });
      },
      close: () => output.close(),
      abort: (reason) => output.error(reason),
    });
    this.#pipes.add((error) => {
      input?.error(error);
      output.error(error);
      roomy?.();
    });
    return { readable, writable };
  }
}
