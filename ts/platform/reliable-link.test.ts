/** Links of native hosts over TCP: proofs, bytes both ways, the end. */
import { afterEach, describe, expect, it } from 'vitest';
import type { HostEvent, NodeHost } from '../core/host.js';
import { AttachedLink, attaches } from '../session/attached.js';
import { RELIABLE_KINDS, type ReachedReliably, type ReliableKind } from '../transport/reliable-ports.js';
import { systemClock } from './clock.js';
import { createNativeHost, newCertificate } from './native.js';
import { reliableTransports } from './reliable.js';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function host(seed: number) {
  const events: HostEvent[] = [];
  const waiting: { type: HostEvent['type']; resolve: (event: HostEvent) => void }[] = [];
  const native: NodeHost = createNativeHost(
    {
      identitySeed: new Uint8Array(32).fill(seed),
      listen: ['127.0.0.1:0'],
      roles: { client: false, relay: true, exit: false },
      freshKeys: true,
    },
    (batch) => {
      for (const event of batch) {
        const at = waiting.findIndex(({ type }) => type === event.type);
        if (at < 0) events.push(event);
        else waiting.splice(at, 1)[0]?.resolve(event);
      }
    },
  );
  closing.push(() => native.close());
  const next = <T extends HostEvent['type']>(type: T): Promise<Extract<HostEvent, { type: T }>> => {
    const at = events.findIndex((event) => event.type === type);
    const found = at < 0 ? undefined : events.splice(at, 1)[0];
    const event = found ? Promise.resolve(found) : new Promise<HostEvent>((resolve) => waiting.push({ type, resolve }));
    return event as Promise<Extract<HostEvent, { type: T }>>;
  };
  return { native, next };
}

async function joined(kind: ReliableKind, expected?: string) {
  const now_s = Math.floor(Date.now() / 1000);
  const certificate = newCertificate(now_s - 3600, now_s + 3600);
  const came = Promise.withResolvers<ReachedReliably>();
  const listener = await reliableTransports.listen('127.0.0.1:0', certificate, came.resolve);
  closing.push(() => listener.close());
  const [here, there] = [host(1), host(2)];
  await Promise.all([here.native.start(), there.native.start()]);
  const parts = (of: NodeHost) => {
    const able = attaches(of);
    if (able === null) throw new Error('native hosts take such links');
    return { host: able, clock: systemClock, dropped: () => {} };
  };
  // No hash is known: whatever certificate was shown is what the proofs must be bound to.
  const reached = await reliableTransports.dial(kind, listener.address, [], new AbortController().signal);
  const [a, b] = await Promise.all([
    AttachedLink.begin(parts(here.native), reached, expected ?? there.native.id),
    came.promise.then((session) => AttachedLink.begin(parts(there.native), session)),
  ]);
  return { here, there, a, b };
}

describe.each(RELIABLE_KINDS)('a link over %s', (kind) => {
  it('comes up on both sides with both identities proven, carries streams and datagrams, and ends on both', async () => {
    const { here, there, a, b } = await joined(kind);
    const [up, came] = await Promise.all([here.next('link_up'), there.next('link_up')]);
    expect(up).toMatchObject({ peer: there.native.id, incoming: false, transport: kind, link: a.link });
    expect(came).toMatchObject({ peer: here.native.id, incoming: true, transport: kind, link: b.link });
    const stream = await a.createBidirectionalStream();
    const writer = stream.writable.getWriter();
    await writer.write(new Uint8Array([1, 2, 3]));
    const other = (await b.incomingBidirectionalStreams.getReader().read()).value;
    expect((await other?.readable.getReader().read())?.value).toEqual(new Uint8Array([1, 2, 3]));
    await b.datagrams.writable.getWriter().write(new Uint8Array([5]));
    expect((await a.datagrams.readable.getReader().read()).value).toEqual(new Uint8Array([5]));
    expect((await here.native.stats()).links).toMatchObject([{ peer: there.native.id, transport: kind, mtu: 1452 }]);
    a.close({ reason: 'unused' });
    await Promise.all([here.next('link_down'), there.next('link_down')]);
    expect((await there.native.stats()).links).toEqual([]);
  });

  it('does not come up with another peer than was meant', async () => {
    const { here, there, a } = await joined(kind, 'ab'.repeat(32));
    expect(await a.over).toBe('link_refused');
    expect((await here.native.stats()).links).toEqual([]);
    expect((await there.native.stats()).links).toEqual([]);
  });
});
