/** A flow as a Duplex, held against what Node's own socket does over the same connection. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { WayfareError } from '../base/errors.js';
import type { DialedConnection } from '../runtime/dial.js';
import { startNetwork, startOrigin, type TestNetwork } from '../testing/network.js';
import { FlowDuplex } from './duplex.js';

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const echo = (socket: Socket) => void socket.pipe(socket);

let network: TestNetwork;
beforeAll(async () => {
  network = await startNetwork(3, 1);
});
afterAll(async () => network?.[Symbol.asyncDispose]());

const dial = (port: number, options = {}) => network.client.dialNode({ host: '127.0.0.1', port }, options);

/** What a stream told, in order; resolves at `close`. */
async function story(stream: Duplex): Promise<string[]> {
  const told: string[] = [];
  for (const name of ['connect', 'ready', 'end', 'finish', 'error']) stream.on(name, () => told.push(name));
  await new Promise((resolve) => stream.once('close', resolve));
  return told;
}

/** What the destination does with a connection, and what the caller does. */
const SCENARIOS: Record<string, { serve(socket: Socket): void; use(stream: Duplex): void; halfOpen?: boolean }> = {
  'the destination ends first': {
    serve: (socket) => void socket.end('bye'),
    use: (stream) => void stream.resume(),
  },
  'the caller ends first, and the answer comes after': {
    serve: (socket) => void socket.resume().once('end', () => socket.end('answer')),
    use: (stream) => void stream.resume().end('question'),
  },
  'both sides stay half open until the caller has had enough': {
    serve: (socket) => void socket.end('bye'),
    use: (stream) => void stream.resume().once('end', () => stream.end('late')),
    halfOpen: true,
  },
  'the caller destroys it once connected': {
    serve: (socket) => void socket.resume(),
    use: (stream) => void stream.once('connect', () => stream.destroy()),
  },
  'the caller destroys it with an error of its own': {
    serve: (socket) => void socket.resume(),
    use: (stream) => void stream.once('connect', () => stream.destroy(new Error('enough'))),
  },
};

test.each(Object.keys(SCENARIOS))('%s: the same events as of net.Socket', async (name) => {
  const { serve, use, halfOpen = false } = SCENARIOS[name]!;
  await using origin = await startOrigin(serve);
  const tell = (stream: Duplex) => {
    const told = story(stream);
    use(stream);
    return told;
  };
  const socket = connect({ port: origin.port, host: '127.0.0.1', allowHalfOpen: halfOpen });
  const expected = await tell(socket);
  expect(expected).toContain('connect');
  expect(await tell(dial(origin.port, { allowHalfOpen: halfOpen }))).toEqual(expected);
});

test('bytes come back as they were, those written before `connect` too, and the origin sees the exit', async () => {
  await using origin = await startOrigin(echo);
  const sent = randomBytes(3_000_001);
  const stream = dial(origin.port);
  expect([stream.readyState, stream.pending, stream.exitAddress]).toEqual(['opening', true, undefined]);
  stream.write(sent.subarray(0, 1000));
  stream.end(sent.subarray(1000));
  expect(sha256(await buffer(stream))).toBe(sha256(sent));
  expect(origin.seen).toEqual([stream.exitAddress]);
  expect([stream.bytesRead, stream.bytesWritten]).toEqual([sent.length, sent.length]);
  if (!stream.destroyed) await once(stream, 'close');
  expect(stream.readyState).toBe('closed');
});

test('a reader that waits holds the origin back', async () => {
  let sent = 0;
  const piece = randomBytes(65_536);
  await using origin = await startOrigin((socket) => {
    const more = () => {
      while (socket.writable && sent < 256 * 1024 * 1024) {
        sent += piece.length;
        if (!socket.write(piece)) return;
      }
    };
    socket.on('drain', more);
    more();
  });
  const stream = dial(origin.port);
  await once(stream, 'connect');
  // Whatever buffers there are fill, since nobody reads; the origin stops long before it has sent all.
  let last = -1;
  await vi.waitFor(
    () => {
      const same = sent === last && sent > 0;
      last = sent;
      expect(same).toBe(true);
    },
    { interval: 500, timeout: 20_000 },
  );
  expect(sent).toBeLessThan(64 * 1024 * 1024);
  stream.destroy();
});

test('a refusal, an abort and a reset are WayfareErrors with their codes', async () => {
  const gone = await startOrigin(echo);
  await gone[Symbol.asyncDispose]();
  const failure = async (stream: FlowDuplex) => {
    const [error] = await once(stream.resume(), 'error').catch((caught) => [caught]);
    expect(error).toBeInstanceOf(WayfareError);
    expect(stream.destroyed).toBe(true);
    return (error as WayfareError).code;
  };
  expect(await failure(dial(gone.port))).toBe('exit_connect_failed');
  expect(await failure(dial(25))).toBe('exit_port_denied');
  expect(await failure(dial(gone.port, { signal: AbortSignal.abort() }))).toBe('aborted');

  await using origin = await startOrigin((socket) => socket.once('data', () => socket.resetAndDestroy()));
  const abort = new AbortController();
  const aborted = dial(origin.port, { signal: abort.signal });
  await once(aborted, 'connect');
  abort.abort();
  expect(await failure(aborted)).toBe('aborted');
  const reset = dial(origin.port);
  reset.write('x');
  expect(await failure(reset)).not.toBe('aborted');
});

test('destroying it breaks the origin’s connection off', async () => {
  let over!: () => void;
  const closed = new Promise<void>((resolve) => {
    over = resolve;
  });
  await using origin = await startOrigin((socket) => void socket.resume().once('close', over));
  const stream = dial(origin.port);
  await once(stream, 'connect');
  stream.destroy();
  await closed;
});

test('a closed node throws, and a node that closes ends its streams', async () => {
  await using other = await startNetwork(2, 1, { hops: 2 });
  await using origin = await startOrigin(echo);
  const stream = other.client.dialNode({ host: '127.0.0.1', port: origin.port });
  await once(stream, 'connect');
  const ended = once(stream, 'error').catch((error) => [error]);
  await other.client.close();
  expect((await ended)[0]).toMatchObject({ code: 'closed' });
  expect(() => other.client.dialNode({ host: '127.0.0.1', port: origin.port })).toThrow(/closed/);
});

describe('the timeout', () => {
  afterEach(() => void vi.useRealTimers());

  /** A connection whose other end is the test. */
  function made() {
    let arrive!: (bytes: Uint8Array) => void;
    const readable = new ReadableStream<Uint8Array>({
      start: (controller) => {
        arrive = (bytes) => controller.enqueue(bytes);
      },
    });
    let open!: () => void;
    const opened = new Promise<{ local: string }>((resolve) => {
      open = () => resolve({ local: '192.0.2.1:1' });
    });
    const close = async () => {};
    const connection: DialedConnection = {
      readable,
      writable: new WritableStream(),
      opened,
      closed: new Promise(() => {}),
      close,
      [Symbol.asyncDispose]: close,
    };
    const stream = new FlowDuplex(connection);
    let timeouts = 0;
    stream.on('timeout', () => {
      timeouts += 1;
    });
    stream.resume();
    return { stream, arrive, open, count: () => timeouts };
  }

  test('comes after that long without a byte, put off by every one, and leaves the stream open', async () => {
    vi.useFakeTimers();
    const { stream, arrive, open, count } = made();
    stream.setTimeout(1000);
    expect(stream.timeout).toBe(1000);
    await vi.advanceTimersByTimeAsync(900);
    open();
    await vi.advanceTimersByTimeAsync(900);
    arrive(new Uint8Array(1));
    await vi.advanceTimersByTimeAsync(900);
    stream.write('x');
    await vi.advanceTimersByTimeAsync(999);
    expect(count()).toBe(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(count()).toBe(1);
    // Once per silence, as of net.Socket: the next one begins with the next byte.
    await vi.advanceTimersByTimeAsync(5000);
    expect(count()).toBe(1);
    arrive(new Uint8Array(1));
    await vi.advanceTimersByTimeAsync(1000);
    expect(count()).toBe(2);
    expect(stream.destroyed).toBe(false);
  });

  test('is off at 0 and after destroy, its listener is called once, and what is no time is refused', async () => {
    vi.useFakeTimers();
    const { stream, arrive, count } = made();
    const listener = vi.fn();
    stream.setTimeout(100, listener);
    stream.setTimeout(0, listener);
    await vi.advanceTimersByTimeAsync(1000);
    expect([count(), listener.mock.calls.length]).toEqual([0, 0]);
    stream.setTimeout(100, listener);
    await vi.advanceTimersByTimeAsync(100);
    arrive(new Uint8Array(1));
    await vi.advanceTimersByTimeAsync(100);
    expect([count(), listener.mock.calls.length]).toEqual([2, 1]);
    for (const bad of [-1, Number.NaN]) expect(() => stream.setTimeout(bad)).toThrow(/milliseconds/);
    arrive(new Uint8Array(1));
    stream.destroy();
    await vi.advanceTimersByTimeAsync(1000);
    expect(count()).toBe(2);
  });
});
