/**
 * Sessions over the browser's own WebTransport (https://www.w3.org/TR/webtransport/), pinned to the certificates that a relay's
 * descriptor names.
 */
import { asWayfareError, UsageError, WayfareError } from '../base/errors.js';
import type { BidirectionalStream, CloseInfo, DatagramDuplex, Session } from './session.js';

/** Where a relay offers its links. */
const PATH = '/wayfare';
/** Datagrams that wait for the page's turn: Chromium keeps one otherwise, and drops the rest. */
const INCOMING_DATAGRAMS = 8192;
const OUTGOING_DATAGRAMS = 2048;

/** What is used of the browser's class; TypeScript's own description needs all of the DOM. */
interface PageTransport {
  readonly ready: Promise<void>;
  readonly closed: Promise<CloseInfo>;
  readonly datagrams: {
    readonly maxDatagramSize: number;
    readonly readable: ReadableStream<Uint8Array>;
    /** Older browsers. */
    readonly writable?: WritableStream<Uint8Array>;
    createWritable?(): WritableStream<Uint8Array>;
    incomingHighWaterMark: number;
    outgoingHighWaterMark: number;
  };
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  createBidirectionalStream(): Promise<BidirectionalStream>;
  close(info?: CloseInfo): void;
}

type PageTransportClass = new (
  url: string,
  options: { requireUnreliable: boolean; serverCertificateHashes?: { algorithm: 'sha-256'; value: Uint8Array }[] },
) => PageTransport;

export class BrowserSession implements Session {
  readonly ready: Promise<void>;
  readonly closed: Promise<CloseInfo>;
  readonly datagrams: DatagramDuplex;
  readonly #transport: PageTransport;

  constructor(transport: PageTransport) {
    this.#transport = transport;
    this.ready = transport.ready;
    this.closed = transport.closed.catch((cause) => {
      throw new WayfareError('link_gone', 'the session was lost', { cause });
    });
    this.closed.catch(() => {});
    const { datagrams } = transport;
    datagrams.incomingHighWaterMark = INCOMING_DATAGRAMS;
    datagrams.outgoingHighWaterMark = OUTGOING_DATAGRAMS;
    const writable = datagrams.writable ?? datagrams.createWritable?.();
    if (writable === undefined) throw new WayfareError('link_failed', 'this browser sends no datagrams');
    this.datagrams = {
      readable: datagrams.readable,
      writable,
      get maxDatagramSize() {
        return datagrams.maxDatagramSize;
      },
    };
  }

  get incomingBidirectionalStreams(): ReadableStream<BidirectionalStream> {
    return this.#transport.incomingBidirectionalStreams;
  }

  createBidirectionalStream(): Promise<BidirectionalStream> {
    return this.#transport.createBidirectionalStream();
  }

  close(info: CloseInfo = {}): void {
    try {
      this.#transport.close({ closeCode: info.closeCode ?? 0, reason: info.reason ?? '' });
    } catch {
      // It has failed before.
    }
  }
}

function transportClass(): PageTransportClass {
  const { WebTransport } = globalThis as { WebTransport?: PageTransportClass };
  if (WebTransport !== undefined) return WebTransport;
  throw new UsageError('unsupported', 'there is no WebTransport here', {
    hint: 'load the page over https or from localhost, in a browser that has it',
  });
}

/** Throws where the browser, or the page's origin, has none. */
export function checkWebTransport(): void {
  transportClass();
}

/** Opens a session at `ip:port`. `hashes`: SHA-256 of the certificates to accept; without any, the web's authorities decide. */
export async function openBrowserSession(
  address: string,
  hashes: Uint8Array[],
  signal: AbortSignal,
): Promise<BrowserSession> {
  const WebTransport = transportClass();
  signal.throwIfAborted();
  const serverCertificateHashes = hashes.map((value) => ({ algorithm: 'sha-256' as const, value }));
  const transport = new WebTransport(`https://${address}${PATH}`, {
    requireUnreliable: true,
    ...(hashes.length > 0 && { serverCertificateHashes }),
  });
  transport.closed.catch(() => {});
  const stop = () => transport.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await transport.ready;
    return new BrowserSession(transport);
  } catch (error) {
    throw asWayfareError(error, 'link_failed');
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
