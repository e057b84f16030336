/**
 * The choice of exits in a network that runs: exits that hear nothing of some destinations, curl that knows nothing of it, and what
 * the client learns.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Listening } from '../../ts/platform/node.js';
import { startNetwork, type TestNetwork } from '../../ts/testing/network.js';
import { Cleanup } from '../harness/cleanup.js';
import { run } from '../harness/process.js';
import { inverted, startUdpEcho } from '../harness/sockets.js';
import { endpoint, SocksUdp } from '../harness/socks.js';
import { until } from '../harness/wait.js';

const EXITS = 6;
const DESTINATIONS = 24;
/** Each exit hears nothing of one destination in so many. */
const P = 3;
const ROUNDS = 5;
/** On a machine that does much else an honest exit may be silent for half a second; what is learnt here has to be true. */
const STAGGER_MS = 1500;
/** No exit hears anything of it. */
const DOWN = '127.0.2.1';

const address = (destination: number) => `127.0.1.${destination + 1}`;
/** Fixed, and no destination is lost to all. */
const swallows = (exit: number, destination: number) => exit % P === destination % P;

const cleanup = new Cleanup();
let network: TestNetwork;
let socks: Listening;
let port: number;

beforeAll(async () => {
  const server = createServer((request, response) => response.end(`${request.headers.host} is here`));
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve));
  cleanup.keep({ close: () => new Promise<void>((resolve) => void server.close(() => resolve())) });
  ({ port } = server.address() as AddressInfo);
  network = await startNetwork(3, EXITS, { egress: { stagger_ms: STAGGER_MS } }, (exit) => ({
    exit: {
      allow_loopback: true,
      drop: [
        `${DOWN}/32`,
        ...Array.from({ length: DESTINATIONS }, (_, i) => i)
          .filter((i) => swallows(exit, i))
          .map((i) => `${address(i)}/32`),
      ],
    },
  }));
  socks = await network.client.listenSocks({ listen: '127.0.0.1:0' });
});
afterAll(async () => {
  await network?.[Symbol.asyncDispose]();
  await cleanup.run();
});

const curl = (host: string, ...more: string[]) =>
  run('curl', [
    ...['-q', '--silent', '--show-error', '--fail', '--noproxy', '', '--max-time', '20'],
    ...['--socks5-hostname', socks.address, ...more, `http://${host}:${port}/`],
  ]);

const exitNumber = (id: string) => network.exits.findIndex((exit) => exit.id === id);

test('curl gets through although every exit swallows some destinations, and the client learns which', async () => {
  const asked: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const before = network.client.paths().counts;
    for (let i = 0; i < DESTINATIONS; i++) {
      const { code, stdout, stderr } = await curl(address(i));
      expect([code, stderr, stdout.toString()]).toEqual([0, '', `${address(i)}:${port} is here`]);
    }
    const { counts } = network.client.paths();
    asked.push(counts.attempts - before.attempts - (counts.connections - before.connections));
  }
  const { verdicts, counts, window } = network.client.paths();
  const rounds = asked.map((tries, round) => `round ${round + 1}: ${tries}`).join(', ');
  const pairs = Array.from({ length: EXITS * DESTINATIONS }, (_, i) => swallows(i % EXITS, Math.floor(i / EXITS)));
  const share = pairs.filter(Boolean).length / pairs.length;
  console.info(
    `${DESTINATIONS} connections a round, one exit in ${(1 / share).toFixed(1)} swallows one: ` +
      `further exits asked, ${rounds} (drawn blindly: ${((DESTINATIONS * share) / (1 - share)).toFixed(1)}); ` +
      `${verdicts.length} verdicts`,
  );
  expect(window.size).toBe(EXITS);
  expect(counts.answered).toBe(ROUNDS * DESTINATIONS);
  const later = asked.slice(-3).reduce((a, b) => a + b);
  expect(later).toBeLessThan(DESTINATIONS);
  // Only what is so.
  for (const { kind, exit, destination } of verdicts) {
    expect(kind).toBe('blocked');
    const found = /^127\.0\.1\.(\d+):/.exec(destination ?? '');
    expect(swallows(exitNumber(exit), Number(found?.[1]) - 1), `${exitNumber(exit)} ${destination}`).toBe(true);
  }
  expect(verdicts.length).toBeGreaterThan(0);
}, 180_000);

test('datagrams to two destinations are two choices; one that an exit swallows gets through by another', async () => {
  const hosts = [0, 2, 5].map(address);
  const echoes = await Promise.all(hosts.map(async (host) => cleanup.keep(await startUdpEcho(host))));
  const udp = await SocksUdp.open(endpoint(socks.address));
  try {
    const missing = new Map(
      echoes.map((echo, i) => [`${echo.host}:${echo.port}`, { echo, payload: Buffer.alloc(40, i) }]),
    );
    const deadline = performance.now() + 60_000;
    // As programs do that speak UDP: asked again until there is an answer.
    while (missing.size > 0 && performance.now() < deadline) {
      for (const { echo, payload } of missing.values()) udp.send(echo, payload);
      const came = await udp.receive(500).catch(() => null);
      if (came === null) continue;
      const of = missing.get(`${came.from.host}:${came.from.port}`);
      if (of === undefined) continue;
      expect(came.payload.equals(inverted(of.payload))).toBe(true);
      missing.delete(`${came.from.host}:${came.from.port}`);
    }
    expect([...missing.keys()]).toEqual([]);
    await until('three flows being known', () => udpFlows().length === 3, 5_000);
    for (const { exit, destination } of udpFlows()) {
      const [, last] = /^127\.0\.1\.(\d+):/.exec(destination) ?? [];
      expect(swallows(exitNumber(exit), Number(last) - 1)).toBe(false);
    }
  } finally {
    await udp.close();
  }
  await until('no flow being left', () => udpFlows().length === 0, 5_000);
}, 120_000);

const udpFlows = () => network.client.paths().flows.filter(({ protocol }) => protocol === 'udp');

test('a destination that is down everywhere fails, and changes nothing for the others', async () => {
  const before = network.client.paths();
  const failed = await Promise.all(Array.from({ length: 4 }, () => curl(DOWN, '--max-time', '4')));
  expect(failed.map(({ code }) => code)).toEqual([28, 28, 28, 28]);
  const after = network.client.paths();
  expect(after.hops.map(({ exit }) => exit).sort()).toEqual(before.hops.map(({ exit }) => exit).sort());
  expect(after.verdicts.filter(({ destination }) => destination?.startsWith(DOWN))).toEqual([]);
  expect((await curl(address(1))).code).toBe(0);
}, 60_000);
