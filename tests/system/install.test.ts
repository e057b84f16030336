/**
 * The package as others get it: packed, installed into an empty folder, and used from there by a program in JavaScript, one in
 * TypeScript and a page.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { npm } from '../../scripts/setup/exec.mjs';
import { openBrowser } from '../harness/browser.js';
import { Cleanup } from '../harness/cleanup.js';
import { ROOT } from '../harness/cli.js';
import { temporaryFolder } from '../harness/folder.js';
import { run, succeed } from '../harness/process.js';

const INSTALL_MS = 180_000;

const cleanup = new Cleanup();
afterAll(() => cleanup.run());

let folder: string;
let packed: string[];

const npmRun = (args: string[]) => {
  const [command, all] = npm(args) as [string, string[]];
  return { command, all };
};

beforeAll(async () => {
  folder = temporaryFolder(cleanup);
  const tarballs = join(folder, 'tarballs');
  const app = join(folder, 'app');
  for (const made of [tarballs, app]) mkdirSync(made);
  const pack = npmRun(['pack', '--json', '--ignore-scripts', '--pack-destination', tarballs]);
  const { stdout } = await succeed(pack.command, pack.all, { cwd: ROOT, deadline_ms: 60_000 });
  const [described] = JSON.parse(stdout.toString('utf8')) as [{ files: { path: string }[] }];
  packed = described.files.map((file) => file.path);
  const [tarball] = readdirSync(tarballs);
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, type: 'module' }));
  const install = npmRun(['install', '--prefer-offline', '--no-audit', '--no-fund', join(tarballs, tarball ?? '')]);
  await succeed(install.command, install.all, { cwd: app, deadline_ms: INSTALL_MS });
  folder = app;
}, INSTALL_MS + 70_000);

/** Two relays, an exit and a client; a page fetched from a server on loopback. */
const PROGRAM = `
import { createServer } from 'node:http';
import { createNode, WayfareError } from 'wayfare';

const server = createServer((request, response) => response.end('hello ' + request.url));
await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
const address = server.address();
if (address === null || typeof address === 'string') throw new Error('no port');

const nodes = [];
for (const role of ['relay', 'relay', 'exit', 'client']) {
  const bootstrap = nodes.slice(0, 1).map((node) => ({ id: node.id, address: node.addresses[0] ?? '' }));
  nodes.push(await createNode({ roles: [role], listen: ['127.0.0.1:0'], bootstrap, exit: { allow_loopback: true } }));
}
const client = nodes[3];
if (client === undefined) throw new Error('no client');
await client.ready(AbortSignal.timeout(20_000));
const response = await client.fetch('http://127.0.0.1:' + address.port + '/installed');
console.log(await response.text(), client.path().length);
const refused = client.dialNode({ host: '10.0.0.1', port: 80 });
refused.on('error', async (error) => {
  console.log(error instanceof WayfareError && error.code);
  for (const node of nodes) await node.close();
  server.close();
});
`;

test('the package holds what is needed, and nothing of how it was made', () => {
  for (const file of ['package.json', 'README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'dist/platform/node.js'])
    expect(packed).toContain(file);
  expect(packed).toContain('bindings/node/wayfare.node');
  expect(packed.filter((file) => /\.test\.|(?<!\.d)\.ts$|\.map$|tsbuildinfo|^(ts|crates|tests)\//.test(file))).toEqual(
    [],
  );
});

test('a program in JavaScript runs against it', async () => {
  writeFileSync(join(folder, 'program.js'), PROGRAM);
  const { stdout } = await succeed(process.execPath, ['program.js'], { cwd: folder });
  expect(stdout.toString('utf8')).toBe('hello /installed 3\nexit_address_denied\n');
});

test('a program in TypeScript is checked strictly, its mistakes named, and runs', async () => {
  const typed = PROGRAM.replace('const nodes = []', 'const nodes: WayfareNode[] = []')
    .replace('import { createNode,', 'import { createNode, type WayfareNode,')
    .replace("of ['relay', 'relay', 'exit', 'client']", "of ['relay', 'relay', 'exit', 'client'] as const");
  writeFileSync(join(folder, 'program.ts'), typed);
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'ES2023',
        module: 'NodeNext',
        strict: true,
        noUncheckedIndexedAccess: true,
        exactOptionalPropertyTypes: true,
        // The package's own declarations are checked too.
        skipLibCheck: false,
        outDir: 'out',
        // Node's types as this project has them; nothing else is taken from here.
        typeRoots: [join(ROOT, 'node_modules', '@types')],
        types: ['node'],
      },
      files: ['program.ts'],
    }),
  );
  const tsc = [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'];
  const checked = await run(process.execPath, tsc, { cwd: folder });
  expect(checked.stdout.toString('utf8')).toBe('');
  expect(checked.code).toBe(0);
  const { stdout } = await succeed(process.execPath, [join('out', 'program.js')], { cwd: folder });
  expect(stdout.toString('utf8')).toBe('hello /installed 3\nexit_address_denied\n');

  writeFileSync(join(folder, 'program.ts'), typed.replace('[role]', "['king']"));
  const wrong = await run(process.execPath, tsc, { cwd: folder });
  expect(wrong.code).not.toBe(0);
  expect(wrong.stdout.toString('utf8')).toMatch(/program\.ts\(\d+,\d+\): error TS2322: .*king/);
});

/** What a page would say of a node that knows nobody. */
const PAGE = `
import { createNode, WayfareError } from 'wayfare';

const node = await createNode({ wasm: '/core.wasm', bootstrap: [] });
const refused = await node.dial({ host: 'origin.example', port: 80 }).opened.catch((error: unknown) => error);
const code = refused instanceof WayfareError ? refused.code : 'none';
const { ready, reasons } = await node.status();
await node.close();
Object.assign(globalThis, { told: [node.id, code, ready, reasons.length] });
document.title = 'done';
`;

test('a page is checked against the browser’s types, bundled, and runs in Chromium', async () => {
  writeFileSync(join(folder, 'page.ts'), PAGE);
  writeFileSync(
    join(folder, 'tsconfig.page.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'ES2024',
        module: 'ESNext',
        moduleResolution: 'bundler',
        customConditions: ['browser'],
        lib: ['ES2024', 'ESNext.Disposable', 'DOM', 'DOM.Iterable', 'DOM.AsyncIterable'],
        strict: true,
        noEmit: true,
        skipLibCheck: false,
        // Nothing of Node's.
        types: [],
      },
      files: ['page.ts'],
    }),
  );
  const tsc = [join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.page.json'];
  const checked = await run(process.execPath, tsc, { cwd: folder });
  expect(checked.stdout.toString('utf8')).toBe('');
  const { outputFiles } = await build({
    entryPoints: [join(folder, 'page.ts')],
    bundle: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'silent',
  });
  const script = outputFiles[0]?.text ?? '';
  // Nothing of Node.js came along.
  expect(script).not.toMatch(/(?:from|import|require)\s*\(?\s*["'](?:node:|fs|net|tls|undici)/);
  const module = createRequire(join(folder, 'page.ts')).resolve('wayfare/wayfare_bg.wasm');
  const server = createServer((request, response) => {
    if (request.url === '/core.wasm') {
      response.setHeader('content-type', 'application/wasm').end(readFileSync(module));
    } else if (request.url === '/page.js') response.setHeader('content-type', 'text/javascript').end(script);
    else
      response
        .setHeader('content-type', 'text/html')
        .end('<!doctype html><script type="module" src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup.add(() => new Promise((resolve) => server.close(resolve)));
  cleanup.add(() => server.closeAllConnections());
  const page = await cleanup.keep(await openBrowser(temporaryFolder(cleanup))).newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  await page.waitForFunction("document.title === 'done'").catch(() => {});
  expect(errors).toEqual([]);
  expect(await page.evaluate('globalThis.told')).toEqual([
    expect.stringMatching(/^[0-9a-f]{64}$/),
    'no_path',
    false,
    1,
  ]);
});

test('its command runs', async () => {
  const { stdout } = await succeed(process.execPath, [join(folder, 'node_modules', '.bin', 'wayfare'), '--version'], {
    cwd: folder,
  });
  expect(stdout.toString('utf8')).toMatch(/^\d+\.\d+\.\d+\n$/);
});
