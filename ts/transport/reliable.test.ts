import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sessionCompliance } from '../testing/session.js';
import { type Carrier, ReliableSession } from './reliable.js';

/** Two ends of a carrier in memory; messages arrive in turns of their own. */
function carriers(): [Carrier & { end(): void }, Carrier & { end(): void }] {
  const make = () => {
    let take: (message: Uint8Array) => void = () => {};
    let ended: () => void = () => {};
    let open = true;
    const end = () => {
      if (!open) return;
      open = false;
      ended();
    };
    const receive = (message: Uint8Array) => setImmediate(() => open && take(message));
    const start = (onMessage: typeof take, onEnd: typeof ended) => {
      take = onMessage;
      ended = onEnd;
    };
    return { end, receive, start };
  };
  const [a, b] = [make(), make()];
  const carrier = (here: typeof a, there: typeof a) => ({
    messageMax: 16_384,
    start: here.start,
    send: (message: Uint8Array) => there.receive(message),
    close: () => setImmediate(() => there.end()),
    end: here.end,
  });
  return [carrier(a, b), carrier(b, a)];
}

sessionCompliance('reliable', async () => {
  const [a, b] = carriers();
  const here = new ReliableSession(a, true);
  const there = new ReliableSession(b, false);
  return {
    a: here,
    b: there,
    saysWhy: true,
    lose: () => there.lose(),
    [Symbol.asyncDispose]: async () => here.close(),
  };
});

function fed() {
  let take: (message: Uint8Array) => void = () => {};
  const sent: Uint8Array[] = [];
  const session = new ReliableSession(
    {
      messageMax: 16_384,
      start: (taker) => {
        take = taker;
      },
      send: (message) => void sent.push(message),
      close() {},
    },
    false,
  );
  return { session, sent, take: (message: Uint8Array) => take(message) };
}

function frame(kind: number, stream: number, bytes: Uint8Array = new Uint8Array()): Uint8Array {
  const all = new Uint8Array(7 + bytes.length);
  const view = new DataView(all.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, stream);
  view.setUint16(5, bytes.length);
  all.set(bytes, 7);
  return all;
}

describe('a reliable session', () => {
  it('takes whatever comes without throwing, and holds a bounded number of streams', () => {
    const frames = fc
      .record({ kind: fc.nat(10), stream: fc.nat(9), bytes: fc.uint8Array({ maxLength: 40 }) })
      .map(({ kind, stream, bytes }) => frame(kind, stream, bytes));
    const junk = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(fc.array(fc.oneof({ weight: 8, arbitrary: frames }, junk), { maxLength: 60 }), (messages) => {
        const { session, take } = fed();
        session.closed.catch(() => {});
        for (const message of messages) take(message);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a frame longer than its message', frame(1, 1, new Uint8Array(5)).subarray(0, 9)],
    ['a header that is cut', frame(6, 1).subarray(0, 6)],
    ['a stream out of its turn', frame(6, 3)],
    ['a stream of ours that it opens', frame(6, 2)],
    ['data for a stream that nobody opened', frame(1, 9, new Uint8Array(1))],
    ['a frame that there is not', Buffer.concat([frame(6, 1), frame(10, 1)])],
  ])('is closed by %s', async (_, message) => {
    const { session, take } = fed();
    take(message);
    expect((await session.closed).reason).toMatch(/^control_malformed/);
  });

  it('is closed by who sends more than there is room for', async () => {
    const { session, take } = fed();
    take(frame(6, 1));
    const chunk = new Uint8Array(16_000);
    let sent = 0;
    for (; sent <= 256 * 1024; sent += chunk.length) take(frame(1, 1, chunk));
    expect((await session.closed).reason).toMatch(/^control_malformed/);
  });

  it('is closed by who lets more wait than all streams together may hold', async () => {
    const { session, take } = fed();
    session.incomingBidirectionalStreams.pipeTo(new WritableStream()).catch(() => {});
    let sent = 0;
    for (let stream = 1; sent <= 8 << 20; stream += 2) {
      take(frame(6, stream));
      for (let i = 0; i < 16; i++, sent += 16_000) take(frame(1, stream, new Uint8Array(16_000)));
      await new Promise(setImmediate);
    }
    expect((await session.closed).reason).toMatch(/^control_malformed: more waits/);
  });

  it('refuses streams beyond those that may wait', async () => {
    const { session, sent, take } = fed();
    for (let stream = 1; stream <= 2 * 65; stream += 2) take(frame(6, stream));
    await new Promise(setImmediate);
    // STOP and RESET, for the 65th alone.
    expect(Buffer.concat(sent)).toEqual(
      Buffer.concat([frame(4, 129, new Uint8Array([0, 0, 0, 1])), frame(3, 129, new Uint8Array([0, 0, 0, 1]))]),
    );
    session.close();
  });
});
