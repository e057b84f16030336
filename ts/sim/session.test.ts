/** Simulated sessions keep the contract of all others, whatever the weather; datagrams are lost as they would be, streams never. */
import { afterEach, expect, it } from 'vitest';
import { sessionCompliance } from '../testing/session.js';
import { Path, type Weather } from './path.js';
import { SeededRandom } from './random.js';
import { SimSession } from './session.js';
import { VirtualTime } from './time.js';
import { Trace } from './trace.js';

let running: Promise<void>[] = [];
const stops: (() => void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) stop();
  await Promise.all(running);
  running = [];
});

const CLEAR: Weather = { latency_ms: 5, jitter_ms: 0, loss: 0, duplicate: 0, reorder: 0 };
const HEAVY: Weather = { latency_ms: 20, jitter_ms: 10, loss: 0.3, duplicate: 0.1, reorder: 0.1 };

function pair(weather: Weather) {
  const time = new VirtualTime();
  const random = new SeededRandom('test');
  const path = (name: string) => new Path(name, time, random.fork(name), new Trace(time), { ...weather });
  const [there, back] = [path('there'), path('back')];
  const [a, b] = SimSession.pair(time, there, back, 1200);
  let stopped = false;
  stops.push(() => {
    stopped = true;
  });
  // Time passes as fast as it can, for as long as the test goes on.
  const passing = (async () => {
    while (!stopped) await time.pass(1_000_000, () => stopped);
  })();
  running.push(passing);
  return { time, there, back, a, b };
}

sessionCompliance('simulated', async () => {
  const { a, b } = pair(CLEAR);
  return { a, b, lose: () => a.lose(), [Symbol.asyncDispose]: async () => a.close() };
});

it('a stream comes whole and in order through loss, and through a path that is shut for a while', async () => {
  const { time, there, back, a, b } = pair(HEAVY);
  const sent = new Uint8Array(100_000).map((_, i) => (i * i) >> 3);
  const stream = await a.createBidirectionalStream();
  const writer = stream.writable.getWriter();
  const writing = (async () => {
    for (let at = 0; at < sent.length; at += 1_000) await writer.write(sent.subarray(at, at + 1_000));
    await writer.close();
  })();
  const { value } = await b.incomingBidirectionalStreams.getReader().read();
  for (const path of [there, back]) path.block();
  time.schedule(2_000_000, () => {
    for (const path of [there, back]) path.unblock();
  });
  const came: Uint8Array[] = [];
  for await (const part of value?.readable as ReadableStream<Uint8Array>) came.push(part);
  await writing;
  expect(Buffer.concat(came).equals(sent)).toBe(true);
});

it('datagrams are lost, doubled and late as often as said, and each is accounted for', async () => {
  const { time, there, a, b } = pair(HEAVY);
  const count = 5_000;
  const seen = new Map<number, number>();
  const order: number[] = [];
  void (async () => {
    for await (const data of b.datagrams.readable) {
      const number = new DataView(data.buffer, data.byteOffset).getUint32(0);
      seen.set(number, (seen.get(number) ?? 0) + 1);
      order.push(number);
    }
  })().catch(() => {});
  const writer = a.datagrams.writable.getWriter();
  for (let i = 0; i < count; i++) {
    const data = new Uint8Array(100);
    new DataView(data.buffer).setUint32(0, i);
    await writer.write(data);
    if (i % 50 === 49) await new Promise<void>((resolve) => void time.schedule(1_000, resolve));
  }
  await new Promise<void>((resolve) => void time.schedule(1_000_000, resolve));
  const { sent, lost, duplicated, delivered, blocked } = there.counts;
  expect([sent, blocked]).toEqual([count, 0]);
  expect(delivered).toBe(sent - lost + duplicated);
  expect(order).toHaveLength(delivered);
  // Five standard deviations of a binomial.
  const near = (share: number, of: number) => 5 * Math.sqrt(of * share * (1 - share));
  expect(Math.abs(lost - 0.3 * count)).toBeLessThan(near(0.3, count));
  expect(Math.abs(duplicated - 0.1 * (count - lost))).toBeLessThan(near(0.1, count - lost));
  expect(Math.max(...seen.values())).toBe(2);
  expect(order.some((number, i) => i > 0 && number < (order[i - 1] as number))).toBe(true);
});

it('a side that hears nothing for three seconds loses the session, and the other after it', async () => {
  const { time, there, a, b } = pair(CLEAR);
  there.block();
  for (const end of [a, b]) end.listen();
  const ends: [string, number][] = [];
  const note = (name: string) => () => ends.push([name, Math.round(time.now_us / 1e6)]);
  await Promise.all([a.closed.catch(note('a')), b.closed.catch(note('b'))]);
  expect(ends).toEqual([
    ['b', 3],
    ['a', 6],
  ]);
});
