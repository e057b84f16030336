/** A page in real Chromium, on a network that swallows its UDP: its link goes over WebSocket, to a name whose certificate it trusts. */
import { createSocket } from 'node:dgram';
import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { bundle } from '../../examples/browser/bundle.js';
import { startPageNetwork } from '../../examples/browser/network.js';
import { openBrowser } from '../harness/browser.js';
import { pinOf, selfSigned } from '../harness/certificate.js';
import { Cleanup } from '../harness/cleanup.js';
import { temporaryFolder } from '../harness/folder.js';

const BYTES = 8 * 2 ** 20;

const cleanup = new Cleanup();
afterAll(() => cleanup.run());

/** A UDP address from which nothing ever comes back; `swallowed` counts what went there. */
async function hole(): Promise<{ address: string; swallowed: () => number }> {
  const socket = cleanup.keep(createSocket('udp4'));
  let swallowed = 0;
  socket.on('message', () => {
    swallowed += 1;
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return { address: `127.0.0.1:${(socket.address() as AddressInfo).port}`, swallowed: () => swallowed };
}

test('a page whose UDP is blocked fetches 8 MiB through three hops, its link over WebSocket', async () => {
  const folder = temporaryFolder(cleanup);
  const certificate = selfSigned({ names: ['*.wayfare.test'] });
  const [certificateFile, keyFile] = [join(folder, 'chain.pem'), join(folder, 'key.pem')];
  writeFileSync(certificateFile, certificate.cert);
  writeFileSync(keyFile, certificate.key);
  const name = (index: number) => `relay${index}.wayfare.test:443`;
  const { address, swallowed } = await hole();
  const page = await bundle(temporaryFolder(cleanup));
  const network = await startPageNetwork(page.folder, BYTES, (index) => ({
    advertise: [address],
    listenReliable: ['127.0.0.1:0'],
    web: { host: name(index), certificateFile, keyFile },
  }));
  cleanup.add(() => network[Symbol.asyncDispose]());
  // What a name server and a router do for a relay behind them.
  const places = network.nodes.map((node) => node.descriptor()?.reliable?.addresses[0] ?? '');
  const rules = places.map((place, index) => `MAP ${name(index)} ${place}`).join(', ');
  const context = await openBrowser(temporaryFolder(cleanup), [
    `--host-resolver-rules=${rules}`,
    `--ignore-certificate-errors-spki-list=${pinOf(certificate)}`,
  ]);
  const tab = await cleanup.keep(context).newPage();
  await tab.goto(network.url);
  const result = (await tab.evaluate('globalThis.done')) as {
    id: string;
    hops: { id: string }[];
    received: number;
    sha256: string;
    mbit_per_s: number;
  };
  console.log(`over WebSocket: ${BYTES} bytes through three hops, ${result.mbit_per_s.toFixed(1)} Mbit/s`);
  expect(result).toMatchObject({ received: BYTES, sha256: network.content.sha256 });
  expect(result.hops).toHaveLength(3);
  // It has tried WebTransport, and only WebSocket brought it anywhere.
  expect(swallowed()).toBeGreaterThan(0);
  const first = network.nodes.find((node) => node.id === result.hops[0]?.id);
  const links = ((await first?.peers()) ?? []).filter((peer) => peer.id === result.id);
  expect(links).toMatchObject([{ transport: 'websocket', incoming: true }]);
});
