/**
 * A session between two neighbours, in the shape of W3C WebTransport (https://www.w3.org/TR/webtransport/), so that native
 * QUIC, WebTransport in a browser and others fit behind one interface.
 *
 * Left out of that shape: unidirectional streams, statistics and priorities, which nothing here uses.
 */

export interface BidirectionalStream {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
}

export interface DatagramDuplex {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly maxDatagramSize: number;
}

export interface CloseInfo {
  closeCode?: number;
  reason?: string;
}

export interface Session {
  readonly ready: Promise<void>;
  /** Resolves when either side closed it, rejects when it was lost. */
  readonly closed: Promise<CloseInfo>;
  close(info?: CloseInfo): void;
  readonly datagrams: DatagramDuplex;
  createBidirectionalStream(): Promise<BidirectionalStream>;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
}
