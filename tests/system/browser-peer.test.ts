/** A page as a node, in real Chromium: the example page downloads through three hops, the first of them over WebTransport. */
import { afterAll, expect, test } from 'vitest';
import { bundle } from '../../examples/browser/bundle.js';
import { startPageNetwork } from '../../examples/browser/network.js';
import type { BrowserNode } from '../../ts/platform/browser.js';
import { openBrowser } from '../harness/browser.js';
import { Cleanup } from '../harness/cleanup.js';
import { temporaryFolder } from '../harness/folder.js';
import { until } from '../harness/wait.js';

const BYTES = 8 * 2 ** 20;
/** What a page may take, compressed. */
const COMPRESSED_MAX = 1_200_000;

const cleanup = new Cleanup();
afterAll(() => cleanup.run());

interface PageResult {
  id: string;
  hops: { id: string; role: string }[];
  status: number;
  received: number;
  took_s: number;
  mbit_per_s: number;
  sha256: string;
}

/** Runs in the page, whose node is `globalThis.node`. */
async function askOfNode(url: string): Promise<Record<string, unknown>> {
  const { node } = globalThis as unknown as { node: BrowserNode };
  const codeOf = (promise: Promise<unknown>) =>
    promise.then(
      () => 'none',
      (error) => error.code ?? error.message,
    );
  const { url: download } = (await (await fetch(url)).json()) as { url: string };
  const abort = new AbortController();
  const response = await node.fetch(download, { signal: abort.signal });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  await reader.read();
  abort.abort(new Error('enough'));
  const rest = (async () => {
    while (!(await reader.read()).done);
  })();
  const aborted = await codeOf(rest);
  const head = await node.fetch(download, { method: 'HEAD', isolation: 'another' });
  return {
    refused: await codeOf(node.fetch('http://127.0.0.1:1/')),
    secure: await codeOf(node.fetch('https://127.0.0.1/')),
    proxy: await codeOf(node.listenSocks({ listen: '127.0.0.1:0' })),
    aborted,
    downloaded: head.headers.get('content-length'),
  };
}

test('a page fetches 8 MiB through three hops, and its bundle is small', async () => {
  const { folder, compressed } = await bundle(temporaryFolder(cleanup));
  const total = Object.values(compressed).reduce((sum, bytes) => sum + bytes, 0);
  expect(total).toBeLessThan(COMPRESSED_MAX);

  const network = await startPageNetwork(folder, BYTES);
  cleanup.add(() => network[Symbol.asyncDispose]());
  const page = await cleanup.keep(await openBrowser(temporaryFolder(cleanup))).newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(network.url);
  const result = (await page.evaluate('globalThis.done')) as PageResult;
  console.log(
    `the page: ${JSON.stringify(compressed)} bytes compressed, ${total} in all; ${BYTES} bytes through three hops in ` +
      `${result.took_s.toFixed(2)} s, ${result.mbit_per_s.toFixed(1)} Mbit/s`,
  );
  expect(errors).toEqual([]);
  expect(result).toMatchObject({ status: 200, received: BYTES, sha256: network.content.sha256 });
  expect(result.hops.map((hop) => hop.role)).toEqual(['relay', 'relay', 'exit']);
  expect(new Set(result.hops.map((hop) => hop.id)).size).toBe(3);
  expect(network.seen).toHaveLength(1);

  // Its first hop knows it as a browser, and every hop but the exit has forwarded all of it.
  const at = (id: string | undefined) => network.nodes.find((node) => node.id === id);
  const neighbours = (await at(result.hops[0]?.id)?.peers()) ?? [];
  expect(neighbours.find((peer) => peer.id === result.id)).toMatchObject({ transport: 'webtransport', incoming: true });
  for (const hop of result.hops.slice(0, 2))
    expect((await at(hop.id)?.status())?.host.relayed.bytes_backward).toBeGreaterThan(BYTES);

  // What else a program in the page meets.
  const met = await page.evaluate(askOfNode, `${network.url}network.json`);
  expect(met).toEqual({
    refused: 'exit_connect_failed',
    secure: 'unsupported',
    proxy: 'unsupported',
    aborted: 'enough',
    downloaded: JSON.stringify(network.content.bytes),
  });

  // A page that is closed leaves nothing behind.
  await page.close();
  await until('its links and circuits are gone', async () => {
    const all = await Promise.all(network.nodes.map((node) => node.status()));
    return all.every(
      ({ host }) =>
        host.circuits.relay + host.circuits.exit === 0 && host.links.every(({ peer }) => peer !== result.id),
    );
  });
});
