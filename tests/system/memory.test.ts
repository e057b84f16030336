/** Threat 6: whoever never reads holds at most 256 KiB of our buffers at any node of the path, and harms nobody else. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { sha256Of } from '../harness/content.js';
import { type Network, startNetwork } from '../harness/network.js';
import { type Origin, startOrigin } from '../harness/origin.js';
import { succeed } from '../harness/process.js';
import { listen, type Wire } from '../harness/sockets.js';
import { socksConnect } from '../harness/socks.js';
import { until } from '../harness/wait.js';

const HELD_MAX = 256 * 1024;

const cleanup = new Cleanup();
let network: Network;
let origin: Origin;

beforeAll(async () => {
  network = await startNetwork(cleanup);
  origin = cleanup.keep(await startOrigin());
});
afterAll(() => cleanup.run());

async function connect(port: number): Promise<Wire> {
  const { code, wire } = await socksConnect(network.socks, { host: '127.0.0.1', port });
  if (code !== 0) throw new Error(`SOCKS answered ${code}`);
  return cleanup.keep(wire);
}

/** What all nodes of the network hold for readers, and the most that one of them does. */
async function held(): Promise<{ most: number; sum: number }> {
  const all = await Promise.all(network.all.map(async (node) => (await node.status()).host.reader_bytes));
  return { most: Math.max(...all), sum: all.reduce((sum, bytes) => sum + bytes, 0) };
}

/** Resolves once `figure` has stayed the same for a while: whatever flowed has come to its stop. */
async function still(what: string, figure: () => number): Promise<number> {
  let last = Number.NaN;
  let same = 0;
  await until(
    `${what} at rest`,
    () => {
      same = figure() === last ? same + 1 : 0;
      last = figure();
      return same >= 40;
    },
    30_000,
  );
  return last;
}

test('a download that nobody reads stops, holds little, and goes on when it is read', async () => {
  const length = 60_000_000;
  const wire = await connect(origin.port);
  // Not one byte is asked of the socket until `rest` below.
  wire.socket.pause();
  wire.write(`GET /bytes/21/${length} HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n`);
  const served = await still('the origin', () => origin.served);
  expect(served).toBeGreaterThan(HELD_MAX);
  expect(served).toBeLessThan(length);
  const stalled = await held();
  expect(stalled.most).toBeGreaterThan(0);
  expect(stalled.most).toBeLessThanOrEqual(HELD_MAX);
  // Others on the same connection to the same exit are not held up.
  const other = await succeed('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '--socks5-hostname',
    network.socksText,
    `${origin.url}/bytes/22/20000000`,
  ]);
  expect(createHash('sha256').update(other.stdout).digest('hex')).toBe(sha256Of(22, 20_000_000));
  expect((await held()).most).toBeLessThanOrEqual(HELD_MAX);
  const whole = await wire.rest(40_000);
  const body = whole.subarray(whole.indexOf('\r\n\r\n') + 4);
  expect(createHash('sha256').update(body).digest('hex')).toBe(sha256Of(21, length));
});

test('an upload to a destination that never reads stops, and holds little at the exit', async () => {
  const mute = cleanup.keep(await listen('127.0.0.1'));
  const wire = await connect(mute.port);
  const chunk = Buffer.alloc(1 << 20, 7);
  let handed = 0;
  const push = () => {
    while (handed < 200 * chunk.length) {
      handed += chunk.length;
      if (!wire.socket.write(chunk)) {
        wire.socket.once('drain', push);
        return;
      }
    }
  };
  push();
  const stopped = await still('the upload', () => handed);
  expect(stopped).toBeLessThan(200 * chunk.length);
  const { most } = await held();
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThanOrEqual(HELD_MAX);
  wire.close();
  await mute.close();
});

test('thirty stalled readers hold no more than thirty times that, and a reader still gets its bytes', async () => {
  const before = origin.served;
  const wires = await Promise.all(Array.from({ length: 30 }, () => connect(origin.port)));
  for (const wire of wires) {
    wire.socket.pause();
    wire.write('GET /bytes/23/50000000 HTTP/1.1\r\nHost: origin\r\n\r\n');
  }
  await still('the origin', () => origin.served - before);
  const { most } = await held();
  expect(most).toBeGreaterThan(HELD_MAX);
  expect(most).toBeLessThanOrEqual(30 * HELD_MAX);
  const other = await succeed('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '--socks5-hostname',
    network.socksText,
    `${origin.url}/bytes/24/5000000`,
  ]);
  expect(createHash('sha256').update(other.stdout).digest('hex')).toBe(sha256Of(24, 5_000_000));
  for (const wire of wires) wire.close();
  await until('everything given back', async () => (await held()).sum === 0, 15_000);
});
