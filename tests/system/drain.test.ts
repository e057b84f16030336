/** Nodes that are told to end while traffic runs: what runs ends well, what is new goes elsewhere. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { sha256Of } from '../harness/content.js';
import { type Network, startNetwork } from '../harness/network.js';
import type { Node } from '../harness/node.js';
import { type Origin, startOrigin } from '../harness/origin.js';
import { Child, run } from '../harness/process.js';
import { until, within } from '../harness/wait.js';

const LENGTH = 24_000_000;

const cleanup = new Cleanup();
let network: Network;
let origin: Origin;

beforeEach(async () => {
  network = await startNetwork(cleanup);
  origin = cleanup.keep(await startOrigin());
});
afterEach(() => cleanup.run());

/** A download of about three seconds, and the path it takes once it runs. */
async function slowDownload(): Promise<{ curl: Child; hops: Node[] }> {
  const args = ['-q', '-sS', '--noproxy', '', '--limit-rate', '8M', '--socks5-hostname', network.socksText];
  const curl = cleanup.keep(new Child('curl', [...args, `${origin.url}/bytes/31/${LENGTH}`]));
  await until('the download under way', () => curl.stdout.length > 1_000_000);
  const hops = (await network.client.status()).path.map(({ id }) => network.byId(id));
  expect(hops).toHaveLength(3);
  return { curl, hops };
}

async function expectWhole(curl: Child): Promise<void> {
  const { code, stdout, stderr } = await within('the download', 20_000, curl.ended);
  expect([code, stderr]).toEqual([0, '']);
  expect(createHash('sha256').update(stdout).digest('hex')).toBe(sha256Of(31, LENGTH));
}

const ask = () =>
  run('curl', ['-q', '-sS', '--noproxy', '', '--socks5-hostname', network.socksText, `${origin.url}/bytes/1/1000`]);

test('a client that ends lets its download end first, takes no new one, and exits with 0', async () => {
  const { curl } = await slowDownload();
  const { client } = network;
  client.process.signal('SIGTERM');
  await until('the client draining', async () => (await client.status()).draining);
  expect((await client.admin('/readyz')).status).toBe(503);
  expect(curl.running).toBe(true);
  expect((await ask()).code).not.toBe(0);
  await expectWhole(curl);
  expect((await within('the client', 15_000, client.process.ended)).code).toBe(0);
});

test('an exit that ends lets its flows end first, and new ones go to another exit', async () => {
  const { curl, hops } = await slowDownload();
  const exit = hops[2] as Node;
  exit.process.signal('SIGTERM');
  await until('the exit draining', async () => (await exit.status()).draining);
  expect(curl.running).toBe(true);
  // Whoever asks an exit that drains learns it, and asks another.
  await until('a flow over another exit', async () => (await ask()).code === 0, 15_000);
  await expectWhole(curl);
  expect((await within('the exit', 15_000, exit.process.ended)).code).toBe(0);
});

test('a relay that ends on a path under traffic is replaced without an error', async () => {
  const { curl, hops } = await slowDownload();
  const relay = hops[1] as Node;
  expect((await relay.stop()).code).toBe(0);
  await expectWhole(curl);
  const path = (await network.client.status()).path.map(({ id }) => id);
  expect(path).not.toContain(relay.id);
  expect(path.at(-1)).toBe(hops[2]?.id);
});
