import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Drops } from '../core/drops.js';
import { ManualClock, settle } from '../testing/clock.js';
import { seeded } from '../testing/seeded.js';
import { memoryPair } from '../transport/memory.js';
import type { Session } from '../transport/session.js';
import { answerPings, PING_PROTOCOL, ping } from './ping.js';
import { openProtocol, Protocols } from './protocols.js';

function served() {
  const drops = new Drops();
  const protocols = new Protocols(drops);
  protocols.handle(PING_PROTOCOL, (_, stream) => void answerPings(stream).catch(() => {}));
  const [here, there] = memoryPair();
  void protocols.serve('peer', there);
  return { drops, here };
}

async function raw(session: Session, bytes: Uint8Array) {
  const stream = await session.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  // The other side may refuse before we are done.
  writer.closed.catch(() => {});
  await writer
    .write(bytes)
    .then(() => writer.close())
    .catch(() => {});
  return stream.readable.getReader();
}

describe('session streams', () => {
  it('go to the protocol they name, whatever follows in the same bytes', async () => {
    const { here, drops } = served();
    const nonce = [1, 2, 3, 4, 5, 6, 7, 8];
    const reader = await raw(here, new Uint8Array([6, ...Buffer.from('ping/1'), ...nonce]));
    expect([...((await reader.read()).value ?? [])]).toEqual(nonce);
    expect((await reader.read()).done).toBe(true);
    expect(drops.get('control_malformed')).toBe(0);
  });

  it('of no known protocol are refused and counted, and the session lives on', async () => {
    const { here, drops } = served();
    const bad = [[0], [33, 1], [4, ...Buffer.from('what')], [6, ...Buffer.from('ping')]];
    for (const bytes of bad) await expect((await raw(here, new Uint8Array(bytes))).read()).rejects.toThrow();
    expect(drops.get('control_malformed')).toBe(bad.length);
    expect(await ping(here, new ManualClock(), seeded(1), 1)).toHaveLength(1);
  });

  it('survive any bytes', async () => {
    const { here } = served();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 64 }), async (bytes) => {
        const reader = await raw(here, bytes);
        await reader.read().catch(() => {});
      }),
    );
    expect(await ping(here, new ManualClock(), seeded(1), 1)).toHaveLength(1);
  });
});

describe('a ping', () => {
  it('takes the time that its bytes take there and back', async () => {
    const clock = new ManualClock();
    const [here, there] = memoryPair();
    const answering = (async () => {
      const incoming = await there.incomingBidirectionalStreams.getReader().read();
      const { readable, writable } = incoming.value as NonNullable<typeof incoming.value>;
      const reader = readable.getReader();
      const writer = writable.getWriter();
      await reader.read();
      for (let i = 1; i <= 2; i++) {
        const { value } = await reader.read();
        await clock.pass(i * 40);
        await writer.write(value as Uint8Array);
      }
    })();
    expect(await ping(here, clock, seeded(1), 2)).toEqual([40, 80]);
    await answering;
  });

  it('that is answered with something else is refused', async () => {
    const [here, there] = memoryPair();
    const pinging = ping(here, new ManualClock(), seeded(1), 1);
    const { value } = await there.incomingBidirectionalStreams.getReader().read();
    await value?.writable.getWriter().write(new Uint8Array(8));
    await expect(pinging).rejects.toMatchObject({ code: 'control_malformed' });
  });

  it('is answered only so often on one stream', async () => {
    const { here } = served();
    const stream = await openProtocol(here, PING_PROTOCOL);
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    void writer.write(new Uint8Array(8 * 100)).catch(() => {});
    let count = 0;
    for await (const chunk of stream.readable) count += chunk.length;
    await settle();
    expect(count).toBe(8 * 64);
  });
});
