/** The suites of all bindings in real Chromium, on the core in WebAssembly. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, expect, test } from 'vitest';
import { WASM_FILE } from '../../ts/platform/wasm-node.js';
import { openBrowser } from '../harness/browser.js';
import { Cleanup } from '../harness/cleanup.js';
import { temporaryFolder } from '../harness/folder.js';
import type { PageResult } from '../harness/vitest-in-page.js';

const cleanup = new Cleanup();
afterAll(() => cleanup.run());

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));

test('kernels and engine do in a page what they do under Node', async () => {
  const made = await build({
    entryPoints: [path('../harness/wasm-page.ts')],
    alias: { vitest: path('../harness/vitest-in-page.ts') },
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'warning',
  });
  const files: Record<string, { contentType: string; body: string | Buffer }> = {
    '/': { contentType: 'text/html', body: '<!doctype html><script type="module" src="page.js"></script>' },
    '/page.js': { contentType: 'text/javascript', body: made.outputFiles[0]?.text ?? '' },
    '/wayfare_bg.wasm': { contentType: 'application/wasm', body: await readFile(WASM_FILE) },
    '/vectors.json': {
      contentType: 'application/json',
      body: await readFile(path('../../crates/onion/tests/vectors/packet_42.json')),
    },
  };
  const browser = await openBrowser(temporaryFolder(cleanup));
  cleanup.add(() => browser.close());
  const page = await browser.newPage();
  await page.route('http://wayfare.test/**', (route) => {
    const file = files[new URL(route.request().url()).pathname];
    return file === undefined ? route.fulfill({ status: 404 }) : route.fulfill(file);
  });
  await page.goto('http://wayfare.test/');
  const result = (await page.evaluate(() => (globalThis as { suites?: unknown }).suites)) as PageResult;
  expect(result.failed).toEqual([]);
  expect(result.passed.length).toBeGreaterThanOrEqual(9);
});
