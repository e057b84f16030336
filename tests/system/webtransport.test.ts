/** A real browser at a real relay: the link of docs/decisions/0005 over WebTransport, and the certificates it must not accept. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { HostEvent, NodeHost, WebCertificate } from '../../ts/core/host.js';
import { createNativeHost, newCertificate } from '../../ts/platform/native.js';
import { createNode } from '../../ts/platform/node.js';
import { openBrowser } from '../harness/browser.js';
import { Cleanup } from '../harness/cleanup.js';
import { temporaryFolder } from '../harness/folder.js';
import { until } from '../harness/wait.js';
import { linkFromPage, reachFromPage } from '../harness/web-link.js';

const DAY_S = 24 * 3600;
const cleanup = new Cleanup();
let page: Page;

beforeAll(async () => {
  const server = createServer((_, response) =>
    response.setHeader('content-type', 'text/html').end('<title>page</title>'),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => server.close());
  const context: BrowserContext = cleanup.keep(await openBrowser(temporaryFolder(cleanup)));
  page = await context.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
});
afterAll(() => cleanup.run());

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const now_s = () => Math.floor(Date.now() / 1000);

/** A native node and nothing above it, that shows these certificates. */
async function host(
  certificates: WebCertificate[],
  onEvent: (event: HostEvent, node: NodeHost) => void = () => {},
): Promise<{ host: NodeHost; url: string }> {
  const node = createNativeHost(
    {
      identitySeed: new Uint8Array(32).fill(5),
      listen: ['127.0.0.1:0'],
      roles: { client: false, relay: true, exit: false },
      freshKeys: true,
    },
    (events) => {
      for (const event of events) onEvent(event, node);
    },
  );
  cleanup.keep(node);
  const [address] = await node.start();
  node.setCertificates?.(certificates);
  await node.stats();
  return { host: node, url: `https://${address}/wayfare` };
}

const reach = (url: string, hashes: Uint8Array[]) => page.evaluate(reachFromPage, { url, hashes: hashes.map(hex) });

test('a page links to a relay by the hashes in its descriptor, proves itself, and pings it', async () => {
  const relay = cleanup.keep(await createNode({ roles: ['relay'], listen: ['127.0.0.1:0'] }));
  const hashes = relay.descriptor()?.webtransport?.hashes.map(hex) ?? [];
  expect(hashes).toHaveLength(2);
  const linking = page.evaluate(linkFromPage, {
    url: `https://${relay.addresses[0]}/wayfare`,
    hashes,
    relay: relay.id,
    pings: 5,
    echoes: false,
  });
  await Promise.race([linking, page.waitForFunction('globalThis.linked === true')]);
  const [peer] = await relay.peers();
  expect(peer).toMatchObject({ transport: 'webtransport', incoming: true, version: 1 });
  const status = await relay.status();
  expect(status.host.links[0]).toMatchObject({ transport: 'webtransport', peer: peer?.id });
  await page.evaluate('globalThis.done()');
  const result = await linking;
  expect(result).toMatchObject({ id: peer?.id, version: [1, 1], pings: Array(5).fill(true), closed: 'closed' });
  expect(result.maxDatagramSize).toBeGreaterThan(1000);
  await until('the link is gone', async () => (await relay.peers()).length === 0);
  for (const [reason, count] of Object.entries((await relay.status()).host.drops))
    expect([reason, count]).toEqual([reason, 0]);
});

test('datagrams pass both ways, a relay opens streams, and closing from there says why', async () => {
  const certificate = newCertificate(now_s() - DAY_S, now_s() + 12 * DAY_S);
  let link = 0;
  const { host: node, url } = await host([certificate], (event, node) => {
    if (event.type === 'datagram') node.datagramSend(event.link, Buffer.from(event.data, 'base64'));
    if (event.type !== 'link_up') return;
    link = event.link;
    void node.streamOpen(link).then((stream) => node.streamWrite(stream, new TextEncoder().encode('welcome')));
  });
  const hashes = [hex(certificate.hash)];
  await page.evaluate('globalThis.linked = false');
  const linking = page.evaluate(linkFromPage, { url, hashes, relay: node.id, pings: 0, echoes: true });
  await Promise.race([linking, page.waitForFunction('globalThis.linked === true')]);
  node.linkClose(link, 'draining');
  await until('the link is gone', async () => (await node.stats()).links.length === 0);
  await page.evaluate('globalThis.done()');
  expect(await linking).toMatchObject({ echoed: 'datagram', heard: 'welcome', closed: 'closed' });
});

test('a browser refuses an expired certificate, one not valid yet, and one that was swapped', async () => {
  const good = newCertificate(now_s() - DAY_S, now_s() + 12 * DAY_S);
  const other = newCertificate(now_s() - DAY_S, now_s() + 12 * DAY_S);
  const expired = newCertificate(now_s() - 10 * DAY_S, now_s() - DAY_S);
  const early = newCertificate(now_s() + DAY_S, now_s() + 10 * DAY_S);
  const { host: node, url } = await host([good]);
  expect(await reach(url, [good.hash])).toBe('ready');
  for (const [what, shown, named] of [
    ['expired', expired, expired],
    ['not valid yet', early, early],
    ['swapped', other, good],
  ] as const) {
    node.setCertificates?.([shown]);
    await node.stats();
    expect([what, await reach(url, [named.hash])]).toEqual([what, expect.stringMatching(/WebTransportError/)]);
  }
  // The next one in turn is taken from whoever was told of both, without a restart.
  node.setCertificates?.([other, good]);
  await node.stats();
  expect(await reach(url, [good.hash, other.hash])).toBe('ready');
});

test('a page that asks for another path, or a node without certificates, gets nothing', async () => {
  const certificate = newCertificate(now_s() - DAY_S, now_s() + 12 * DAY_S);
  const { host: node, url } = await host([certificate]);
  expect(await reach(`${url}/more`, [certificate.hash])).toMatch(/WebTransportError/);
  expect((await node.stats()).drops.web_refused).toBe(1);
  const { url: closed } = await host([]);
  expect(await reach(closed, [certificate.hash])).toMatch(/WebTransportError/);
});
