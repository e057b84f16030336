/**
 * Sessions over the browser's own WebSocket, for pages whose network lets no UDP through: a carrier of whole messages, which
 * `ReliableSession` makes streams and datagrams of.
 *
 * A WebSocket message is a capsule of WebTransport over WebSocket as the relay's library speaks it (docs/decisions/0007):
 * `type varint | content`. Only datagrams are sent, and only they are taken; what else comes is the library's own bookkeeping.
 *
 * A browser lets a page pin no certificate here: the relay is reached by its name, and the web's authorities vouch for that.
 */
import { NetworkError, UsageError } from '../base/errors.js';
import { type Carrier, ReliableSession } from './reliable.js';

const PATH = '/wayfare';
const PROTOCOL = 'webtransport_kDraft2';
const DATAGRAM = 0;
/** What the relay's end takes at most, bytes. */
const MESSAGE_MAX = 16_384;

/** What is used of the browser's class; TypeScript's own description needs all of the DOM. */
interface PageSocket {
  binaryType: string;
  addEventListener(type: 'open' | 'close' | 'error', take: () => void): void;
  addEventListener(type: 'message', take: (event: { data: unknown }) => void): void;
  send(data: Uint8Array): void;
  close(): void;
}

type PageSocketClass = new (url: string, protocol: string) => PageSocket;

function socketClass(): PageSocketClass | undefined {
  return (globalThis as { WebSocket?: PageSocketClass }).WebSocket;
}

export const hasWebSocket = (): boolean => socketClass() !== undefined;

/**
 * Opens a session at `name:port`. Rejects with `link_failed` where nobody answers there or the browser does not trust its
 * certificate (it does not say which), or with the signal's reason.
 */
export async function openSocketSession(host: string, signal: AbortSignal): Promise<ReliableSession> {
  const WebSocket = socketClass();
  if (WebSocket === undefined) throw new UsageError('unsupported', 'there is no WebSocket here');
  signal.throwIfAborted();
  const socket = new WebSocket(`wss://${host}${PATH}`, PROTOCOL);
  socket.binaryType = 'arraybuffer';
  const stop = () => socket.close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.addEventListener('open', resolve);
      socket.addEventListener('close', () => reject(new NetworkError('link_failed', `no WebSocket to ${host}`)));
    });
    signal.throwIfAborted();
    return new ReliableSession(carrierOf(socket), true);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function carrierOf(socket: PageSocket): Carrier {
  return {
    messageMax: MESSAGE_MAX,
    start(take, ended) {
      socket.addEventListener('message', ({ data }) => {
        if (!(data instanceof ArrayBuffer)) return;
        const capsule = new Uint8Array(data);
        if (capsule[0] === DATAGRAM) take(capsule.subarray(1));
      });
      // An error is always followed by this.
      socket.addEventListener('close', ended);
    },
    send(message) {
      const capsule = new Uint8Array(1 + message.length);
      capsule[0] = DATAGRAM;
      capsule.set(message, 1);
      // One that is closing drops it, as the network would.
      socket.send(capsule);
    },
    close: () => socket.close(),
  };
}
