import type { HostEvent, NodeHost } from '../core/host.js';
import { createNativeHost } from '../platform/native.js';
import { type SessionPair, sessionCompliance } from '../testing/session.js';
import { memoryPair } from './memory.js';
import { QuicSession } from './quic.js';

sessionCompliance('memory', async () => {
  const [a, b] = memoryPair();
  return { a, b, saysWhy: true, lose: () => a.lose(), [Symbol.asyncDispose]: async () => a.close() };
});

/** A native host whose one link becomes a session. */
function host(seed: number) {
  let up!: (session: QuicSession) => void;
  const session = new Promise<QuicSession>((resolve) => {
    up = resolve;
  });
  let current: QuicSession | undefined;
  const take = (events: HostEvent[]) => {
    for (const event of events) {
      if (event.type === 'link_up') {
        current = new QuicSession(native, event.link);
        up(current);
      }
      if (event.type === 'link_down') current?.end(event.reason);
      if (event.type === 'stream_opened') current?.takeStream(event.stream);
      if (event.type === 'datagram') current?.takeDatagram(Buffer.from(event.data, 'base64'));
    }
  };
  const native: NodeHost = createNativeHost(
    {
      identitySeed: new Uint8Array(32).fill(seed),
      listen: ['127.0.0.1:0'],
      roles: { client: false, relay: true, exit: false },
      freshKeys: true,
    },
    take,
  );
  return { native, session };
}

sessionCompliance('native QUIC', async (): Promise<SessionPair> => {
  const [here, there] = [host(1), host(2)];
  const [, addresses] = await Promise.all([here.native.start(), there.native.start()]);
  await here.native.linkOpen(there.native.id, addresses);
  return {
    a: await here.session,
    b: await there.session,
    lose: () => there.native.close(),
    [Symbol.asyncDispose]: async () => void (await Promise.all([here.native.close(), there.native.close()])),
  };
});
