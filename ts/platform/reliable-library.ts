/**
 * @fails-components/webtransport, as far as we use it: it makes the connections of WebTransport over HTTP/2 and WebSocket, and its
 * datagrams carry our messages, whole and in order (ts/transport/reliable.ts).
 *
 * Its own streams are not used. They stall: a server announces the initial session window and then counts with another, larger
 * one, whose half must be consumed before it gives more; and a stream that ends normally is never counted as closed, so that the
 * hundredth is the last. Its datagrams have no window of their own and no such end.
 *
 * Invariant: whatever comes, nothing is thrown out of its parsers into the process, and they hold a bounded number of bytes.
 */
import type { Socket } from 'node:net';
import type { SecureContextOptions } from 'node:tls';
import type { Carrier } from '../transport/reliable.js';

const PACKAGE = '@fails-components/webtransport';
/** The library's own limit of a datagram. */
const MESSAGE_MAX = 16_384;
/** A parser that holds more of one frame is being fed one that never ends. */
const FRAME_HELD_MAX = 256 * 1024;
/** How long a peer has to end a connection that was closed. */
const LEAVE_WITHIN_MS = 1_000;

/** The library's session, at either end. */
export interface LibrarySession {
  ready: Promise<unknown>;
  closed: Promise<unknown>;
  datagrams: { readable: ReadableStream<Uint8Array>; createWritable(): WritableStream<Uint8Array> };
  close(info: { closeCode: number; reason: string }): void;
  peerAddress?: string;
  objint?: { capsParser?: Parser; stream?: LibraryStream };
}

/** What a server's session is on: a stream of HTTP/2, or the very socket of a WebSocket. */
export interface LibraryStream {
  session?: { socket: Named; destroy(): void };
  /** Of a socket. */
  servername?: Named['servername'];
  destroy(): void;
}

/** The name that a TLS client asked for, if it did. */
interface Named {
  servername?: string | false;
}

interface Parser {
  parseData(data: Uint8Array): void;
  saveddata?: Uint8Array;
  /** Of a message in several frames, which we never send. */
  contframes?: Uint8Array[];
}

/** What a client dials with: its connection below the session. */
export interface LibraryClient extends LibrarySession {
  sessionint: LibrarySession & { parentobj: { transportInt?: { clientInt?: ClientConnection } } };
}

export interface ClientConnection {
  /** Of HTTP/2. */
  destroy?(): void;
  socket?: Socket;
  /** Of WebSocket. */
  close(): void;
}

export interface LibraryServer {
  ready: Promise<unknown>;
  startServer(): void;
  stopServer(): void;
  sessionStream(path: string): ReadableStream<LibrarySession>;
  address(): { host: string; port: number } | null;
  updateCert(certificate: string, key: string): void;
  transportInt?: {
    serverInt: {
      on(event: string, take: (socket: Socket) => void): void;
      addContext(name: string, context: SecureContextOptions): void;
      maxConnections: number;
    };
  };
}

type NewClient = new (url: string, options: Record<string, unknown>) => LibraryClient;

export interface Library {
  Http2Server: new (options: Record<string, unknown>) => LibraryServer;
  WebTransport: NewClient;
  /** Over WebSocket; Node has such a thing as well. */
  WebTransportPonyfill: NewClient;
}

let loading: Promise<Library> | undefined;

/** Loads it when it is first needed. */
export function library(): Promise<Library> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Library> {
  // It tells the console, three times, that its HTTP/3 add-on is absent, as it should be here. Everything else is let through.
  const { log, error } = console;
  const unless = (print: (...said: unknown[]) => void) => {
    return (...said: unknown[]) => {
      if (!/^(http3 loader:|Problem loading http3|Did you install @fails)/.test(String(said[0]))) print(...said);
    };
  };
  console.log = unless(log);
  console.error = unless(error);
  try {
    const node = await import(PACKAGE);
    await node.quicheLoaded;
    await new Promise(setImmediate);
    // Node's conditions lead to HTTP/2 alone; the file for WebSocket is beside it.
    const browser = await import(new URL('./index.browser.js', import.meta.resolve(PACKAGE)).href);
    return {
      Http2Server: node.Http2Server,
      WebTransport: node.WebTransport,
      WebTransportPonyfill: browser.WebTransportPonyfill,
    };
  } finally {
    console.log = log;
    console.error = error;
  }
}

/** Its session as a carrier of messages. `destroy` ends the connection below, at once. */
export function carrierOf(session: LibrarySession, inner: LibrarySession, destroy: () => void): Carrier {
  guard(inner, destroy);
  const writer = session.datagrams.createWritable().getWriter();
  writer.closed.catch(() => {});
  session.closed.catch(() => {});
  return {
    messageMax: MESSAGE_MAX,
    start(take, ended) {
      const read = async () => {
        const reader = session.datagrams.readable.getReader();
        for (;;) {
          const { value, done } = await reader.read();
          if (done) return;
          take(value);
        }
      };
      read().then(ended, ended);
      session.closed.then(ended, ended);
    },
    send: (message) => void writer.write(message).catch(() => {}),
    close() {
      try {
        session.close({ closeCode: 0, reason: '' });
      } catch {
        // It is closed already.
      }
      setTimeout(destroy, LEAVE_WITHIN_MS).unref();
    },
  };
}

function guard(session: LibrarySession, destroy: () => void): void {
  const parser = session.objint?.capsParser;
  if (parser === undefined) return;
  const parse = parser.parseData.bind(parser);
  parser.parseData = (data) => {
    try {
      parse(data);
    } catch {
      destroy();
    }
    if ((parser.saveddata?.length ?? 0) > FRAME_HELD_MAX || parser.contframes !== undefined) destroy();
  };
}
