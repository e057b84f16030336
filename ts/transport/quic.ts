/**
 * Native QUIC sessions: the W3C shape over `NodeHost`'s links.
 *
 * Invariant: nothing is read from the host before a reader asks for it, and a write resolves when the host took the bytes, so
 * backpressure is QUIC's own. Datagrams that nobody reads are dropped, the newest first, as the standard's queue does when full.
 */
import { WayfareError } from '../base/errors.js';
import type { LinkId, NodeHost, StreamId } from '../core/host.js';
import type { BidirectionalStream, CloseInfo, DatagramDuplex, Session } from './session.js';

const INCOMING_STREAMS_MAX = 64;
const INCOMING_DATAGRAMS_MAX = 256;
/** What every link of QUIC carries beside the headers (RFC 9221 in a 1,200-byte packet). */
const DATAGRAM_BYTES_MAX = 1150;
const RESET_CODE = 1;

export class QuicSession implements Session {
  readonly ready = Promise.resolve();
  readonly closed: Promise<CloseInfo>;
  readonly datagrams: DatagramDuplex;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  readonly #host: NodeHost;
  readonly #link: LinkId;
  #incoming!: ReadableStreamDefaultController<BidirectionalStream>;
  #datagramsIn!: ReadableStreamDefaultController<Uint8Array>;
  #resolveClosed!: (info: CloseInfo) => void;
  #rejectClosed!: (error: unknown) => void;
  #ended = false;
  #closing: CloseInfo | null = null;

  constructor(host: NodeHost, link: LinkId) {
    this.#host = host;
    this.#link = link;
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.closed.catch(() => {});
    this.incomingBidirectionalStreams = new ReadableStream<BidirectionalStream>(
      {
        start: (controller) => {
          this.#incoming = controller;
        },
      },
      { highWaterMark: INCOMING_STREAMS_MAX },
    );
    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#datagramsIn = controller;
        },
      },
      { highWaterMark: INCOMING_DATAGRAMS_MAX },
    );
    const writable = new WritableStream<Uint8Array>({ write: (data) => this.#sendDatagram(data) });
    this.datagrams = { readable, writable, maxDatagramSize: DATAGRAM_BYTES_MAX };
  }

  close(info: CloseInfo = {}): void {
    if (this.#ended || this.#closing !== null) return;
    this.#closing = info;
    this.#host.linkClose(this.#link, info.reason ?? '');
  }

  async createBidirectionalStream(): Promise<BidirectionalStream> {
    if (this.#ended || this.#closing !== null) throw new WayfareError('link_gone', 'the session is closed');
    return streamOf(this.#host, await this.#host.streamOpen(this.#link));
  }

  /** The peer opened a stream. Beyond what may wait unread it is reset. */
  takeStream(stream: StreamId): void {
    if (this.#ended || (this.#incoming.desiredSize ?? 0) <= 0) this.#host.streamReset(stream, RESET_CODE);
    else this.#incoming.enqueue(streamOf(this.#host, stream));
  }

  takeDatagram(data: Uint8Array): void {
    if (!this.#ended && (this.#datagramsIn.desiredSize ?? 0) > 0) this.#datagramsIn.enqueue(data);
  }

  /** The link is gone. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#closing !== null) {
      this.#incoming.close();
      this.#datagramsIn.close();
      this.#resolveClosed(this.#closing);
      return;
    }
    const error = new WayfareError('link_gone', `the link was lost: ${reason}`);
    this.#incoming.error(error);
    this.#datagramsIn.error(error);
    this.#rejectClosed(error);
  }

  #sendDatagram(data: Uint8Array): void {
    // The standard: a datagram above the maximum is dropped without a word.
    if (!this.#ended && this.#closing === null && data.length <= DATAGRAM_BYTES_MAX)
      this.#host.datagramSend(this.#link, data);
  }
}

function streamOf(host: NodeHost, stream: StreamId): BidirectionalStream {
  return byteStream({
    read: () => host.streamRead(stream),
    write: (data) => host.streamWrite(stream, data),
    finish: () => host.streamFinish(stream),
    reset: () => host.streamReset(stream, RESET_CODE),
  });
}

export interface ByteDuplex {
  /** `null` at the end. */
  read(): Promise<Uint8Array | null>;
  write(data: Uint8Array): Promise<void>;
  finish(): void;
  reset(): void;
}

/** Web streams over a duplex of bytes, each direction closing by itself. */
export function byteStream(duplex: ByteDuplex, onEnd?: (error: unknown) => void): BidirectionalStream {
  const readable = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        let chunk: Uint8Array | null;
        try {
          chunk = await duplex.read();
        } catch (error) {
          onEnd?.(error);
          throw error;
        }
        if (chunk !== null) return controller.enqueue(chunk);
        controller.close();
        onEnd?.(null);
      },
      cancel: () => duplex.reset(),
    },
    { highWaterMark: 0 },
  );
  const writable = new WritableStream<Uint8Array>(
    {
      write: (chunk) => duplex.write(chunk),
      close: () => duplex.finish(),
      abort: () => duplex.reset(),
    },
    { highWaterMark: 1 },
  );
  return { readable, writable };
}
