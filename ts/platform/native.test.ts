/** The binding: kernels against published vectors, and a node as JavaScript drives it. */
import { createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import type { HostEvent, HostOptions, NodeHost } from '../core/host.js';
import { coreSuite } from '../testing/core.js';
import { VECTORS } from '../testing/vectors.js';
import { createNativeHost, native, nativeCore } from './native.js';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const CLIENT = { client: true, relay: false, exit: false };
const EXIT = { client: false, relay: false, exit: true };

const open: NodeHost[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((host) => host.close()));
});

function make(seed: number, options: Partial<HostOptions> = {}) {
  const events: HostEvent[] = [];
  const waiting: (() => void)[] = [];
  const host = createNativeHost(
    {
      identitySeed: new Uint8Array(32).fill(seed),
      listen: ['127.0.0.1:0'],
      roles: CLIENT,
      freshKeys: true,
      ...options,
    },
    (batch) => {
      events.push(...batch);
      for (const wake of waiting.splice(0)) wake();
    },
  );
  open.push(host);
  /** The first event of a type, past or to come. */
  const event = async <T extends HostEvent['type']>(type: T) => {
    for (;;) {
      const found = events.find((e) => e.type === type);
      if (found !== undefined) return found as Extract<HostEvent, { type: T }>;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
  };
  return { host, event };
}

coreSuite('native', nativeCore(), VECTORS);

test('options, use before the start and use after the end fail with a sentence', async () => {
  expect(() => make(1, { listen: ['localhost'] })).toThrow(expect.objectContaining({ code: 'argument_invalid' }));
  const { host } = make(1);
  expect(host.id).toBe(text(nativeCore().identityPublic(new Uint8Array(32).fill(1))));
  expect(() => host.drain()).toThrow(expect.objectContaining({ code: 'not_started' }));
  const [address] = await host.start();
  expect(() => host.linkOpen('ab', ['127.0.0.1:1'])).toThrow(/64 hex digits/);
  await expect(host.linkOpen('00'.repeat(32), ['[::1]:1'])).rejects.toMatchObject({ code: 'argument_invalid' });
  const taken = make(2, { listen: [address as string] });
  await expect(taken.host.start()).rejects.toMatchObject({ code: 'address_in_use' });
  await host.close();
  await host.close();
  await expect(host.connectionOpen(1)).rejects.toMatchObject({ code: 'closed' });
});

test('bytes are copied in: a buffer may change or go as soon as the call has returned', async () => {
  const a = make(1);
  const b = make(2, { roles: EXIT });
  await a.host.start();
  const link = await a.host.linkOpen(b.host.id, await b.host.start());
  const stream = await a.host.streamOpen(link);
  const bytes = new Uint8Array(100_000).fill(7);
  const written = a.host.streamWrite(stream, bytes);
  bytes.fill(9);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  await written;
  a.host.streamFinish(stream);
  const there = (await b.event('stream_opened')).stream;
  let sum = 0;
  for (let part = await b.host.streamRead(there); part !== null; part = await b.host.streamRead(there))
    sum += part.reduce((s, byte) => s + byte, 0);
  expect(sum).toBe(700_000);
});

test('a flow over one hop reaches an origin, and figures and events say so', async () => {
  const a = make(1);
  const b = make(2, { roles: EXIT });
  await a.host.start();
  const addresses = await b.host.start();
  const seed = new Uint8Array(32).fill(3);
  b.host.setOnionKeys([{ seed }]);
  b.host.setExitRules({ allowLoopback: true });
  // Commands are taken in order: once one is answered, those before it hold.
  await b.host.stats();
  await a.host.linkOpen(b.host.id, addresses);
  const circuit = await a.host.circuitOpen({ hops: [{ id: b.host.id, onionKey: nativeCore().onionPublic(seed) }] });
  const connection = await a.host.connectionOpen(circuit);
  const origin = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
  try {
    await new Promise((resolve) => origin.once('listening', resolve));
    const { port } = origin.address() as { port: number };
    const { flow, local } = await a.host.flowOpen(connection, '127.0.0.1', port);
    expect(local).toMatch(/^127\.0\.0\.1:\d+$/);
    await a.host.flowWrite(flow, Buffer.from('hello'));
    expect(Buffer.from((await a.host.flowRead(flow)) ?? []).toString()).toBe('hello');
    a.host.flowFinish(flow);
    expect(await a.host.flowRead(flow)).toBeNull();
    expect(await a.event('flow_closed')).toMatchObject({ flow, reason: 'done', received: 5, sent: 5 });
    await expect(a.host.flowOpen(connection, '192.168.1.1', port)).rejects.toMatchObject({
      code: 'exit_address_denied',
    });
  } finally {
    origin.close();
  }
  const stats = await b.host.stats();
  expect(stats.exit).toMatchObject({ flows_total: 1, bytes_in: 5, bytes_out: 5 });
  expect(stats.drops.exit_address_denied).toBe(1);
  expect(Object.keys(stats.drops).sort()).toEqual([...nativeCore().reasons()].sort());
  expect(a.host.circuitStats(circuit)).toMatchObject({ circuit, role: 'client' });
  expect(a.host.circuitStats(circuit + 1)).toBeNull();
  a.host.linkClose(1, 'circuit_closed');
  expect(await a.event('circuit_down')).toMatchObject({ circuit });
});

test('the benchmark peels each packet once', () => {
  const bench = new (native().PeelBench)(10, 1200);
  const packets = bench.packets(64);
  const results = new Uint32Array(64);
  expect(packets.length).toBe(64 * bench.stride);
  expect(bench.peel(packets, bench.stride, results)).toBe(64);
  expect(bench.peel(packets, bench.stride, results)).toBe(0);
  expect(nativeCore().reasons()[(results[0] as number) - 1]).toBe('packet_replayed');
});
