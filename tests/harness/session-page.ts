/**
 * Runs in a page: the suite of sessions, `a` the browser's own, `b` in Node. Each pair has a control session to Node, over WebSocket,
 * whose streams and datagrams are those of `b` (session-peer.ts); its first stream says where `a` is to go, and breaks `b`.
 */

import { type PairWanted, type SessionPair, sessionCompliance } from '../../ts/testing/session.js';
import { openBrowserSession } from '../../ts/transport/browser.js';
import { openSocketSession } from '../../ts/transport/browser-socket.js';
import type { DatagramDuplex, Session } from '../../ts/transport/session.js';
import { beginLink } from './session-link.js';
import { type PeerOffer, type PeerWanted, unhex } from './session-offer.js';
import { type PageResult, runCollected } from './vitest-in-page.js';

const never = new AbortController().signal;

// A turn is one round trip to Node and back: what was under way to there has come in it.
Object.assign(globalThis, { setImmediate: (run: () => void) => void fetch('turn').then(run, run) });

async function open(kind: PeerWanted['kind'], control: string, wanted?: PairWanted): Promise<SessionPair> {
  const b = await openSocketSession(control, never);
  const first = await b.createBidirectionalStream();
  const writer = first.writable.getWriter();
  const ask: PeerWanted = { kind, breakable: wanted?.breakable ?? false };
  await writer.write(new TextEncoder().encode(JSON.stringify(ask)));
  const { value } = await first.readable.getReader().read();
  const offer = JSON.parse(new TextDecoder().decode(value)) as PeerOffer;
  const a =
    kind === 'websocket'
      ? await openSocketSession(offer.address, never)
      : await linked(await openBrowserSession(offer.address, [unhex(offer.hash)], never), offer.id);
  return {
    a,
    b,
    saysWhy: kind === 'websocket',
    lose: () => writer.write(new Uint8Array([1])),
    async [Symbol.asyncDispose]() {
      a.close();
      b.close();
    },
  };
}

/** A session with a native host is one of a link: its control stream comes first, and a zero is before each datagram. */
async function linked(session: Session, peer: string): Promise<Session> {
  await beginLink(session, peer);
  const { datagrams } = session;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({
    transform: (data, controller) => controller.enqueue(new Uint8Array([0, ...data])),
  });
  readable.pipeTo(datagrams.writable).catch(() => {});
  const wrapped: DatagramDuplex = {
    readable: datagrams.readable,
    writable,
    maxDatagramSize: datagrams.maxDatagramSize - 1,
  };
  return new Proxy(session, {
    get(target, name) {
      if (name === 'datagrams') return wrapped;
      const value = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

async function suites(): Promise<PageResult> {
  const control = await (await fetch('control')).text();
  sessionCompliance('webtransport in a page', (wanted) => open('webtransport', control, wanted));
  // Streams over WebSocket are our own code, which does 10,000 under Node: here it is the carrier that is new.
  sessionCompliance('websocket in a page', () => open('websocket', control), { streams: 1_000 });
  return runCollected();
}

(globalThis as { suites?: Promise<PageResult> }).suites = suites();
