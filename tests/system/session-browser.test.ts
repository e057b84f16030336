/** The suite of sessions in real Chromium: the browser's WebTransport against the native listener, its WebSocket against Node's. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { openBrowser } from '../harness/browser.js';
import { pinOf, selfSigned } from '../harness/certificate.js';
import { Cleanup } from '../harness/cleanup.js';
import { temporaryFolder } from '../harness/folder.js';
import { SessionPeers } from '../harness/session-peer.js';
import type { PageResult } from '../harness/vitest-in-page.js';

const CLAUSES = 12;
const NAMES = ['control.wayfare.test', 'subject.wayfare.test'] as const;

const cleanup = new Cleanup();
afterAll(() => cleanup.run());

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

test('sessions of a page do what every session must', async () => {
  const made = await build({
    entryPoints: [path('../harness/session-page.ts')],
    alias: { vitest: path('../harness/vitest-in-page.ts') },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
  });
  const certificate = selfSigned({ names: [...NAMES] });
  const peers = cleanup.keep(new SessionPeers());
  const [control, subject] = NAMES.map((host) => ({ host, chain: certificate.cert, key: certificate.key }));
  if (control === undefined || subject === undefined) throw new Error('two names');
  const places = await peers.start(control, subject);
  const server = createServer(({ url }, response) => {
    if (url === '/page.js') response.setHeader('content-type', 'text/javascript').end(made.outputFiles[0]?.text);
    else if (url === '/control') response.end(`${control.host}:443`);
    else if (url === '/turn') response.end();
    else response.setHeader('content-type', 'text/html').end('<script type="module" src="page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => {
    server.closeAllConnections();
    server.close();
  });
  const browser = await openBrowser(temporaryFolder(cleanup), [
    `--host-resolver-rules=${NAMES.map((name, i) => `MAP ${name}:443 ${places[i]}`).join(', ')}`,
    `--ignore-certificate-errors-spki-list=${pinOf(certificate)}`,
  ]);
  const page = await cleanup.keep(browser).newPage();
  page.on('console', (message) => console.log(message.text()));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  const result = (await page.evaluate(() => (globalThis as { suites?: unknown }).suites)) as PageResult;
  expect(result.failed).toEqual([]);
  expect(result.passed).toHaveLength(2 * CLAUSES);
}, 300_000);
