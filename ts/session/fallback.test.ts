import { describe, expect, it } from 'vitest';
import { WayfareError } from '../base/errors.js';
import { ManualClock, settle } from '../testing/clock.js';
import { memoryPair } from '../transport/memory.js';
import type { ReachedReliably, ReliableKind, ReliableTransports } from '../transport/reliable-ports.js';
import { dialEither, ReliableDials, UdpSilence } from './fallback.js';

const SIGNAL = new AbortController().signal;

/** When TCP was begun, and how both ends of the race turn out. */
function race(udp: { ms: number; fails?: boolean }, tcp: { ms: number; fails?: boolean }) {
  const clock = new ManualClock();
  const from_ms = clock.monotonic_ms();
  const silence = new UdpSilence(clock);
  const begun: number[] = [];
  let aborted = false;
  const wait = (ms: number, error?: string) =>
    new Promise<void>((resolve, reject) => {
      clock.setTimeout(() => (error === undefined ? resolve() : reject(new WayfareError(error, error))), ms);
    });
  const dial = () =>
    dialEither(
      clock,
      silence,
      () => wait(udp.ms, udp.fails ? 'timeout' : undefined),
      (signal) => {
        begun.push(clock.monotonic_ms() - from_ms);
        signal.addEventListener('abort', () => {
          aborted = true;
        });
        return wait(tcp.ms, tcp.fails ? 'link_failed' : undefined);
      },
    ).then(
      () => 'up',
      (error: WayfareError) => error.code,
    );
  return { clock, silence, begun, dial, aborted: () => aborted };
}

describe('a dial over UDP and TCP', () => {
  it('makes no TCP connection where QUIC answers in time', async () => {
    const { clock, begun, dial } = race({ ms: 400 }, { ms: 100 });
    const result = dial();
    await clock.pass(5_000);
    expect([await result, begun]).toEqual(['up', []]);
  });

  it('takes TCP where QUIC says nothing, and at once the next time', async () => {
    const { clock, silence, begun, dial } = race({ ms: 2_000, fails: true }, { ms: 100 });
    const first = dial();
    await clock.pass(1_000);
    expect(await first).toBe('up');
    expect(begun).toEqual([600]);
    await clock.pass(1_000);
    expect(silence.now).toBe(true);
    const second = dial();
    await clock.pass(200);
    expect(await second).toBe('up');
    expect(begun).toEqual([600, 2_000]);
  });

  it('gives TCP up when QUIC is faster after all', async () => {
    const { clock, dial, aborted } = race({ ms: 800 }, { ms: 5_000 });
    const result = dial();
    await clock.pass(1_000);
    expect([await result, aborted()]).toEqual(['up', true]);
  });

  it('begins TCP as soon as QUIC has failed, and says why QUIC did when both have', async () => {
    const { clock, begun, dial } = race({ ms: 50, fails: true }, { ms: 10, fails: true });
    const result = dial();
    await clock.pass(100);
    expect([await result, begun]).toEqual(['timeout', [50]]);
  });
});

describe('dials over TCP', () => {
  function transports(works: () => ReliableKind | null) {
    const tried: string[] = [];
    const dial = async (kind: ReliableKind, address: string): Promise<ReachedReliably> => {
      tried.push(`${kind} ${address}`);
      if (kind !== works()) throw new WayfareError('link_failed', 'no');
      return { kind, address, session: memoryPair()[0], bindings: [] };
    };
    return { tried, transports: { dial } as unknown as ReliableTransports };
  }

  it('try HTTP/2 everywhere, then WebSocket, and first the next time what worked', async () => {
    let works: ReliableKind | null = 'websocket';
    const { tried, transports: all } = transports(() => works);
    const dials = new ReliableDials(all, new ManualClock());
    const attached: string[] = [];
    const attach = async ({ kind }: ReachedReliably) => void attached.push(kind);
    await dials.dial('peer', ['a', 'b'], [], SIGNAL, attach);
    expect(tried.splice(0)).toEqual(['http2 a', 'http2 b', 'websocket a']);
    await dials.dial('peer', ['a', 'b'], [], SIGNAL, attach);
    expect(tried.splice(0)).toEqual(['websocket a']);
    expect(attached).toEqual(['websocket', 'websocket']);
    works = null;
    await expect(dials.dial('peer', ['a'], [], SIGNAL, attach)).rejects.toMatchObject({ code: 'link_failed' });
  });

  it('give up one that takes too long, and close what comes of it later', async () => {
    const clock = new ManualClock();
    const [late] = memoryPair();
    const waiting = Promise.withResolvers<ReachedReliably>();
    const aborted: boolean[] = [];
    const dial = (kind: ReliableKind, address: string, _: unknown, signal: AbortSignal) => {
      signal.addEventListener('abort', () => aborted.push(true));
      return kind === 'http2'
        ? waiting.promise
        : Promise.resolve({ kind, address, session: memoryPair()[0], bindings: [] });
    };
    const dials = new ReliableDials({ dial } as unknown as ReliableTransports, clock);
    const attached: string[] = [];
    const dialled = dials.dial('peer', ['a'], [], SIGNAL, async ({ kind }) => void attached.push(kind));
    await clock.pass(3_100);
    await dialled;
    expect([attached, aborted]).toEqual([['websocket'], [true]]);
    waiting.resolve({ kind: 'http2', address: 'a', session: late, bindings: [] });
    await settle();
    await expect(late.createBidirectionalStream()).rejects.toMatchObject({ code: 'link_gone' });
  });
});
