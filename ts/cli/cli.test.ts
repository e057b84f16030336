import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Io, Stop } from './io.js';
import { runProgram } from './program.js';

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wayfare-cli-'));
});
afterAll(() => rm(folder, { recursive: true }));

interface Ran {
  code: number;
  out: string;
  err: string;
}

function capture(env: Record<string, string> = {}) {
  const text = { out: '', err: '' };
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const waiting: (() => void)[] = [];
  stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text.out += chunk;
    for (const wake of waiting.splice(0)) wake();
  });
  stderr.setEncoding('utf8').on('data', (chunk: string) => {
    text.err += chunk;
  });
  const controller = new AbortController();
  const stop: Stop = {
    signal: controller.signal,
    asked: new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve('SIGTERM'))),
    dispose() {},
  };
  const io: Io = { stdout, stderr: stderr as unknown as NodeJS.WriteStream, env, cwd: folder, stop: () => stop };
  return {
    io,
    text,
    end: () => controller.abort(),
    output: () => new Promise<void>((resolve) => waiting.push(resolve)),
  };
}

async function run(args: string[], env: Record<string, string> = {}): Promise<Ran> {
  const { io, text } = capture(env);
  const code = await runProgram(args, io);
  await new Promise((done) => setImmediate(done));
  return { code, ...text };
}

test.each(['start', 'up', 'keygen', 'status', 'peers', 'ping', 'bench', 'config', 'sim'])(
  '%s --help shows an example and ends with 0',
  async (command) => {
    const { code, out, err } = await run([command, '--help']);
    expect(code).toBe(0);
    expect(err).toBe('');
    expect(out).toMatch(new RegExp(`Examples?:\\n(.*\\n)*.*(wayfare|npm) .*${command}`));
  },
);

test('the help names every command and the exit codes', async () => {
  const { code, out } = await run(['--help']);
  expect(code).toBe(0);
  for (const command of ['start', 'up', 'keygen', 'status', 'peers', 'ping', 'bench', 'config', 'sim'])
    expect(out).toMatch(new RegExp(`^  ${command}\\b`, 'm'));
  expect(out).toContain('Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.');
});

test('the packet kernels are measured beside bare passes, and printed as one object', async () => {
  const { code, out } = await run(['bench', 'kernel', '--duration', '1', '--circuits', '10', '--size', '64', '--json']);
  expect(code).toBe(0);
  const { schema, payload_bytes, kernels } = JSON.parse(out);
  expect([schema, payload_bytes]).toEqual(['wayfare.bench-kernel', 64]);
  const peel = kernels.find((k: { name: string }) => k.name === 'peel_forward_aes128gcm_64');
  expect(peel.ratio).toBeGreaterThan(0);
});

test('a measurement of a path names the proxy that does not answer', async () => {
  const port = await new Promise<number>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
  const { code, err } = await run(['bench', 'path', '--socks', `127.0.0.1:${port}`]);
  expect(code).toBe(1);
  expect(err).toContain(`the proxy at 127.0.0.1:${port} failed: is the node up?`);
});

test.each([
  [['strat'], /unknown command 'strat'\n\(Did you mean start\?\)/],
  [['start', '--relay', '3'], /unknown option '--relay'\n\(Did you mean --relays\?\)/],
  [['bench', 'relay', '--size', 'Q'], /^wayfare: --size cannot be "Q": a relay carries packets of the size classes/],
  [
    ['bench', 'path'],
    /^wayfare: the node has no SOCKS proxy at a port of its own: set proxy\.socks = .* --socks HOST:PORT\n$/,
  ],
  [['start', '--relays', 'many'], /^wayfare: --relays cannot be "many": give a number from 2 to 64\n$/],
  [
    ['start', '--socks', 'here'],
    /wayfare: --socks cannot be "here": give an address and a port such as 127\.0\.0\.1:1080\n$/,
  ],
  [['start', '--fetch', 'ftp://x/'], /^wayfare: "ftp:\/\/x\/" is no URL to fetch: give http:/],
  [['ping'], /missing required argument 'NODE'/],
  [
    ['up', '--config', 'none.toml'],
    /^wayfare: none\.toml cannot be read: `wayfare config init` writes one with comments\n$/,
  ],
])('%j is wrong usage: one sentence, code 2, nothing on standard output', async (args, message) => {
  const { code, out, err } = await run(args);
  expect(err).toMatch(message);
  expect(code).toBe(2);
  expect(out).toBe('');
});

test('wrong usage is JSON too where that was asked for', async () => {
  const { code, out } = await run(['status', '--jsno', '--json']);
  expect(code).toBe(2);
  expect(JSON.parse(out)).toMatchObject({
    schema: 'wayfare.error',
    version: 1,
    code: 'argument_invalid',
    message: "unknown option '--jsno'",
  });
});

test('config init, check and show work on each other; a mistake is named with its line', async () => {
  expect(await run(['config', 'init', 'a.toml'])).toMatchObject({ code: 0, err: '' });
  expect((await stat(join(folder, 'a.toml'))).mode & 0o777).toBe(0o600);
  expect(await run(['config', 'init', 'a.toml'])).toMatchObject({ code: 1, out: '' });
  expect((await run(['config', 'check', '--config', 'a.toml'])).code).toBe(0);
  const text = await readFile(join(folder, 'a.toml'), 'utf8');
  await writeFile(join(folder, 'b.toml'), text.replace('# hops = 3', 'hpos = 2'));
  const line = text.split('\n').indexOf('# hops = 3') + 1;
  const wrong = await run(['config', 'check', '--config', 'b.toml', '--json']);
  expect(wrong.code).toBe(2);
  expect(wrong.err).toBe(`wayfare: b.toml:${line}: unknown key "hpos" in [path]; did you mean "hops"? valid: hops\n`);
  expect(JSON.parse(wrong.out)).toMatchObject({ schema: 'wayfare.error', version: 1, code: 'config_invalid' });
  const shown = await run(['config', 'show', '--config', 'a.toml', '--json'], { WAYFARE_PATH_HOPS: '2' });
  const { schema, version, keys } = JSON.parse(shown.out);
  expect({ schema, version }).toEqual({ schema: 'wayfare.config', version: 1 });
  expect(keys).toContainEqual({ key: 'path.hops', value: 2, origin: 'WAYFARE_PATH_HOPS' });
  expect(keys).toContainEqual({ key: 'exit.allow_loopback', value: false, origin: 'default' });
});

test('keygen makes one identity, keeps it, and closes it to others', async () => {
  const first = JSON.parse((await run(['keygen', '--data-dir', 'keys', '--json'])).out);
  expect(first).toMatchObject({ schema: 'wayfare.keygen', version: 1, created: true });
  expect(first.id).toMatch(/^[0-9a-f]{64}$/);
  const again = JSON.parse((await run(['keygen', '--data-dir', 'keys', '--json'])).out);
  expect(again).toMatchObject({ id: first.id, created: false });
  expect((await run(['keygen', '--data-dir', 'keys'])).out).toBe(`${first.id}\n`);
  expect((await stat(join(folder, 'keys', 'identity.key'))).mode & 0o777).toBe(0o600);
});

test('a node comes up, answers status, peers and ping, and ends with 0 when it is asked to', async () => {
  const config = 'data_dir = "node"\nlisten = ["127.0.0.1:0"]\nroles = ["relay"]\n[log]\nlevel = "silent"\n';
  await writeFile(join(folder, 'relay.toml'), config);
  expect(await run(['status', '--config', 'relay.toml'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/no node runs on .*start one with `wayfare up`/),
  });
  const { io, text, end, output } = capture();
  const up = runProgram(['up', '--config', 'relay.toml', '--json'], io);
  await output();
  const { id, admin } = JSON.parse(text.out);
  const status = await run(['status', '--config', 'relay.toml', '--json']);
  expect(status.code).toBe(0);
  expect(JSON.parse(status.out)).toMatchObject({
    schema: 'wayfare.status',
    version: 1,
    id,
    roles: ['relay'],
    ready: true,
  });
  expect((await run(['status', '--data-dir', 'node'])).out).toMatch(new RegExp(`^node +${id}\nstate +ready\n`));
  expect(JSON.parse((await run(['peers', '--data-dir', 'node', '--json'])).out)).toEqual({
    schema: 'wayfare.peers',
    version: 1,
    peers: [],
  });
  expect(JSON.parse((await run(['paths', '--data-dir', 'node', '--json'])).out)).toMatchObject({
    schema: 'wayfare.paths',
    version: 1,
    window: { size: 0, exits: 0, baseline: 8 },
    hops: [],
  });
  expect((await run(['paths', '--data-dir', 'node'])).out).toMatch(/^window +0 of 0 exits, at least 8, 0 draining\n/);
  const ping = await run(['ping', '--data-dir', 'node', 'xyz', '--json']);
  expect(ping.code).toBe(2);
  expect(JSON.parse(ping.out)).toMatchObject({ schema: 'wayfare.error', version: 1, code: 'argument_invalid' });
  expect((await fetch(`http://${admin}/livez`)).status).toBe(200);
  expect((await fetch(`http://${admin}/v1/status`)).status).toBe(401);
  end();
  expect(await up).toBe(0);
  expect((await run(['status', '--data-dir', 'node'])).code).toBe(1);
});

test('a taken proxy port is one sentence that names the flag', async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  try {
    const { code, out, err } = await run([
      'start',
      '--relays',
      '2',
      '--exits',
      '1',
      '--check',
      '--http',
      `127.0.0.1:${port}`,
    ]);
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err.split('\n').at(-2)).toBe(
      `wayfare: 127.0.0.1:${port} is taken by another program: choose another address with --http`,
    );
  } finally {
    server.close();
  }
});

test('a proxy beyond loopback demands credentials, and names both flags', async () => {
  const small = ['start', '--relays', '2', '--exits', '1', '--check'];
  const { code, err } = await run([...small, '--socks', '0.0.0.0:0']);
  expect(code).toBe(2);
  expect(err).toContain(
    '--socks 0.0.0.0:0 opens the proxy beyond this machine, which demands credentials: name a file with USER:PASSWORD by --proxy-credentials-file',
  );
  await writeFile(join(folder, 'empty'), 'nobody\n');
  expect((await run([...small, '--proxy-credentials-file', 'empty'])).err).toMatch(
    /--proxy-credentials-file: .*empty holds no credentials: write USER:PASSWORD on one line/,
  );
});

test('start --check --json prints one object alone on standard output', async () => {
  const { code, out, err } = await run(['start', '--relays', '3', '--exits', '1', '--check', '--json']);
  expect(err).toContain('✓ Self-check');
  expect(code).toBe(0);
  expect(out.trimEnd().split('\n')).toHaveLength(1);
  expect(JSON.parse(out)).toMatchObject({
    schema: 'wayfare.check',
    version: 1,
    ok: true,
    failures: [],
    bytes: 64 << 20,
  });
});

test('start --fetch gives the body alone, with credentials too; an error status is a failure', async () => {
  const { createServer: http } = await import('node:http');
  const server = http((request, response) => response.writeHead(request.url === '/page' ? 200 : 404).end('the page\n'));
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as { port: number };
  await writeFile(join(folder, 'secret'), 'me:pass:word\n');
  const small = ['start', '--relays', '2', '--exits', '1', '--proxy-credentials-file', 'secret', '--fetch'];
  try {
    expect(await run([...small, `http://localhost:${port}/page`])).toMatchObject({ code: 0, out: 'the page\n' });
    const missing = await run([...small, `http://127.0.0.1:${port}/other`]);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('wayfare: the destination answered 404\n') });
  } finally {
    server.close();
  }
});

test('policies are simulated side by side on one seed, and what cannot be is one sentence', async () => {
  const args = ['sim', 'retries', '--policy', 'uniform-with,dual-buckets', '--seconds', '10', '--warm', '10'];
  const { code, out } = await run([...args, '--seed', '5', '--json']);
  expect(code).toBe(0);
  const { schema, seed, policies, oracle } = JSON.parse(out);
  expect([schema, seed, Object.keys(policies)]).toEqual(['wayfare.sim-retries', 5, ['uniform-with', 'dual-buckets']]);
  expect(policies['dual-buckets'].all.retries).toBeLessThan(policies['uniform-with'].all.retries);
  expect(oracle.all.retries).toBeLessThan(0.05);
  const shown = await run(args);
  expect(shown.out).toMatch(/^POLICY +RETRIES +WARM +COLD +FIRST .*\nuniform-with +0\.\d+ .*\ndual-buckets /);
  for (const wrong of [
    ['--block', '1'],
    ['--exits', '100001'],
    ['--policy', 'best'],
    ['--seed', 'x'],
    ['--svg', 'no/x.svg'],
  ]) {
    const refused = await run(['sim', 'retries', ...wrong]);
    expect([refused.code > 0, refused.out]).toEqual([true, '']);
    expect(refused.err).toMatch(/^wayfare: (--\w+ cannot be|no\/x.svg cannot be written).*\n$/);
  }
  expect((await run(['sim', 'retries', '--check', '--policy', 'data'])).code).toBe(2);
});

test('scenarios of credits are simulated by name, and what is none is one sentence', async () => {
  const args = ['sim', 'credits', '--scenario', 'server-pays', '--seed', '4'];
  const { code, out } = await run([...args, '--json']);
  const { schema, seed, scenarios } = JSON.parse(out);
  expect([code, schema, seed]).toEqual([0, 'wayfare.sim-credits', 4]);
  expect(scenarios).toMatchObject([{ name: 'server-pays', held: true }]);
  const checked = await run([...args, '--check']);
  expect(checked.out).toMatch(/^SCENARIO +FIGURE +FOUND +LIMIT.*\nserver-pays +held +0k a second added: /);
  expect([checked.code, checked.out.endsWith('\nEvery figure is held.\n')]).toEqual([0, true]);
  for (const wrong of [
    ['--scenario', 'all'],
    ['--nodes', '10'],
    ['--seed', 'x'],
    ['--svg', 'no/x.svg'],
  ]) {
    const refused = await run(['sim', 'credits', ...wrong]);
    expect([refused.code > 0, refused.out]).toEqual([true, '']);
    expect(refused.err).toMatch(/^wayfare: (--\w+ cannot be|no\/x.svg cannot be written).*\n$/);
  }
});
