/** A client whose UDP is blocked, before it starts or in mid-run: its links change over to TCP, and what runs goes on. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { sha256Of } from '../harness/content.js';
import { temporaryFolder } from '../harness/folder.js';
import { Forwarder } from '../harness/forwarder.js';
import { Node, StartError } from '../harness/node.js';
import { type Origin, startOrigin } from '../harness/origin.js';
import { Child } from '../harness/process.js';
import { until, within } from '../harness/wait.js';

const LENGTH = 32_000_000;
const SEED = 77;

const cleanup = new Cleanup();
let folder: string;
let origin: Origin;
/** In front of every relay and exit: nobody knows another UDP address of theirs. */
let forwarders: Forwarder[];
let nodes: Node[];
let bootstrap: string[];

async function serve(name: string, role: 'relay' | 'exit'): Promise<void> {
  const node = cleanup.keep(new Node(name, folder));
  const forwarder = await startBehind(node, role);
  forwarder.target = node.up.addresses[0] as string;
  forwarders.push(forwarder);
  nodes.push(node);
  if (role === 'relay') bootstrap.push(`${node.id}@${forwarder.address}`);
}

/** The node listens for TCP on the number of the port that its forwarder has for UDP. Somebody may have that: then another forwarder. */
async function startBehind(node: Node, role: 'relay' | 'exit'): Promise<Forwarder> {
  for (;;) {
    const forwarder = cleanup.keep(await Forwarder.start());
    const config = {
      roles: [role],
      listen: ['127.0.0.1:0'],
      advertise: [forwarder.address],
      listen_reliable: [forwarder.address],
      bootstrap,
      exit: { allow_loopback: true },
    };
    try {
      await node.start(config);
      return forwarder;
    } catch (error) {
      if (!(error instanceof StartError && error.code === 'address_in_use')) throw error;
    }
  }
}

const known = (node: Node, count: number) =>
  until(`${node.name} knowing ${count} nodes`, async () => (await node.status()).descriptors >= count, 20_000);

async function startClient(listen = '127.0.0.1:0'): Promise<Node> {
  const client = cleanup.keep(new Node('client', folder));
  await client.start({ roles: ['client'], listen: [listen], bootstrap, proxy: { socks: '127.0.0.1:0' } });
  await client.ready();
  await known(client, nodes.length);
  return client;
}

function download(client: Node, limit: string): Child {
  const args = ['-q', '-sS', '--noproxy', '', '--limit-rate', limit, '--socks5-hostname', client.up.socks ?? ''];
  return cleanup.keep(new Child('curl', [...args, `${origin.url}/bytes/${SEED}/${LENGTH}`]));
}

async function expectWhole(curl: Child): Promise<void> {
  const { code, stdout, stderr } = await within('the download', 40_000, curl.ended);
  expect([code, stderr]).toEqual([0, '']);
  expect(createHash('sha256').update(stdout).digest('hex')).toBe(sha256Of(SEED, LENGTH));
}

const transports = async (client: Node) => (await client.status()).host.links.map((link) => link.transport);

beforeEach(async () => {
  folder = temporaryFolder(cleanup);
  origin = cleanup.keep(await startOrigin());
  [forwarders, nodes, bootstrap] = [[], [], []];
  for (const name of ['relay0', 'relay1', 'relay2']) await serve(name, 'relay');
  await serve('exit0', 'exit');
  await Promise.all(nodes.map((node) => known(node, nodes.length)));
});
afterEach(() => cleanup.run());

test('a download goes on over HTTP/2 when UDP is blocked under it', async () => {
  const client = await startClient();
  expect(new Set(await transports(client))).toEqual(new Set(['quic']));
  const curl = download(client, '4M');
  await until('the download under way', () => curl.stdout.length > 2_000_000);
  for (const forwarder of forwarders) forwarder.block(client.up.addresses[0] as string);
  await until('links over HTTP/2', async () => (await transports(client)).includes('http2'), 20_000);
  expect(curl.running).toBe(true);
  await expectWhole(curl);
  expect(new Set(await transports(client))).toEqual(new Set(['http2']));
  expect(forwarders.reduce((sum, forwarder) => sum + forwarder.dropped, 0)).toBeGreaterThan(0);
}, 120_000);

test('a client that never had UDP finds its way in and downloads', async () => {
  // A port that is free now: the client is blocked before it says a word.
  const probe = await Forwarder.start();
  const listen = probe.address;
  await probe.close();
  for (const forwarder of forwarders) forwarder.block(listen);
  const client = await startClient(listen);
  const curl = download(client, '100M');
  await expectWhole(curl);
  expect(new Set(await transports(client))).toEqual(new Set(['http2']));
}, 120_000);
