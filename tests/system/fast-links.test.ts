/** What an operator sees of fast links: which links are, to what size, and the reasons for which packets were dropped. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { type Network, startNetwork } from '../harness/network.js';
import type { Node } from '../harness/node.js';
import { type Origin, startOrigin } from '../harness/origin.js';
import { succeed } from '../harness/process.js';
import { until } from '../harness/wait.js';

/** A packet of class M on a fast link: header, four tag slots, payload. */
const SMALLEST_BYTES = 17 + 80 + 1202;

const cleanup = new Cleanup();
let network: Network;
let origin: Origin;

beforeAll(async () => {
  // One exit is set to take no fast packets; everything else is as it comes.
  network = await startNetwork(cleanup, { relays: 3, exits: 1, exit: { limits: { fast_links: false } } });
  origin = cleanup.keep(await startOrigin());
});
afterAll(() => cleanup.run());

interface Peer {
  id: string;
  fast_bytes: number;
}

async function peers(node: Node): Promise<Peer[]> {
  const { code, stdout } = await node.command('peers', '--json');
  expect(code).toBe(0);
  return JSON.parse(stdout).peers;
}

test('peers says to which size a link is fast, and 0 where either end does not do it', async () => {
  const [exit] = network.exits as [Node];
  await succeed('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '--socks5-hostname',
    network.socksText,
    `http://localhost:${origin.port}/bytes/1/1000000`,
  ]);
  const toExit = await until('a fast link and one to the exit', async () => {
    for (const relay of network.relays) {
      const all = await peers(relay);
      const fast = all.filter((peer) => peer.id !== exit.id);
      const slow = all.find((peer) => peer.id === exit.id);
      if (fast.length > 0 && fast.every((peer) => peer.fast_bytes >= SMALLEST_BYTES) && slow !== undefined) return slow;
    }
    return undefined;
  });
  expect(toExit.fast_bytes).toBe(0);
  for (const peer of await peers(exit)) expect(peer.fast_bytes).toBe(0);

  await until('a fast link of the client', async () => {
    const all = await peers(network.client);
    return all.some((peer) => peer.id !== exit.id && peer.fast_bytes >= SMALLEST_BYTES);
  });
  expect((await network.client.command('peers')).stdout).toMatch(/ quic, fast to \d+ B /);
  const told = (await exit.command('peers')).stdout;
  expect(told).toMatch(/ quic /);
  expect(told).not.toContain('fast to');
});

test('status counts what was dropped, by reason', async () => {
  const { code, stdout } = await network.client.command('status', '--json');
  expect(code).toBe(0);
  const { drops } = JSON.parse(stdout).host;
  for (const reason of ['fast_unknown', 'queue_delay', 'queue_full', 'packet_forged', 'packet_replayed']) {
    expect(drops[reason], reason).toEqual(expect.any(Number));
  }
});
