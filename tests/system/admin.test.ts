/** Threats 21 and 22 on running processes: what the admin port answers to whom, and what lies or is told where. */
import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { type Network, startNetwork } from '../harness/network.js';
import { type Origin, startOrigin } from '../harness/origin.js';
import { run, succeed } from '../harness/process.js';
import { Wire } from '../harness/sockets.js';
import { endpoint } from '../harness/socks.js';

const cleanup = new Cleanup();
let network: Network;
let origin: Origin;

beforeAll(async () => {
  network = await startNetwork(cleanup);
  // The origin's port must be its own to be searched for: UDP sockets of nodes may have the same number.
  const taken = network.all.flatMap((node) => node.up.addresses.map((address) => endpoint(address).port));
  do origin = cleanup.keep(await startOrigin());
  while (taken.includes(origin.port));
});
afterAll(() => cleanup.run());

const PATHS = ['/livez', '/readyz', '/metrics', '/v1/status', '/v1/peers'];

test('with the token and its own Host the port tells', async () => {
  for (const path of PATHS) expect((await network.client.admin(path)).status, path).toBe(200);
  expect((await network.client.admin('/metrics')).text).toMatch(/^wayfare_drops_total\{reason="packet_forged"\} 0$/m);
  expect((await network.client.admin('/nothing')).status).toBe(404);
});

test('a foreign Host is refused on every path, with the token too', async () => {
  const { port } = network.client.adminAddress;
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `127.0.0.1.evil.example:${port}`,
    `2130706433:${port}`,
  ]) {
    for (const path of PATHS) expect((await network.client.admin(path, { host })).status, `${host}${path}`).toBe(403);
  }
});

test('a request without Host, or of HTTP/1.0, gets nothing', async () => {
  const { host, port } = network.client.adminAddress;
  for (const version of ['1.0', '1.1']) {
    const wire = await Wire.open(host, port);
    wire.write(
      `GET /v1/status HTTP/${version}\r\nAuthorization: Bearer ${network.client.token}\r\nConnection: close\r\n\r\n`,
    );
    const answer = (await wire.rest()).toString('latin1');
    wire.close();
    expect(answer).toMatch(/^HTTP\/1\.1 40[03] /);
    expect(answer).not.toContain(network.client.id);
  }
});

test('a page of another origin is refused, whatever it sends, and is told nothing by CORS', async () => {
  const { port } = network.client.adminAddress;
  const foreign: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${port + 1}` },
    { origin: `https://127.0.0.1:${port}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
  ];
  for (const headers of foreign) {
    for (const method of ['GET', 'POST', 'OPTIONS']) {
      for (const path of [...PATHS, '/v1/ping']) {
        const answer = await network.client.admin(path, headers, method);
        expect(answer.status, `${method} ${path} ${JSON.stringify(headers)}`).toBe(403);
        expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
        expect(answer.text).not.toContain(network.client.id);
      }
    }
  }
});

test('without the token there is liveness and readiness, and nothing else', async () => {
  for (const authorization of [
    '',
    'Bearer',
    'Bearer wrong',
    `Basic ${network.client.token}`,
    `Bearer ${network.relays[0]?.token}`,
  ]) {
    for (const path of PATHS) {
      const expected = path === '/livez' || path === '/readyz' ? 200 : 401;
      const answer = await network.client.admin(path, { authorization });
      expect(answer.status, `${path} ${authorization}`).toBe(expected);
      if (expected === 401) expect(answer.text).not.toContain(network.client.id);
    }
  }
});

test('the port is on loopback alone', async () => {
  const { port } = network.client.adminAddress;
  const others = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  for (const { address } of others) await expect(Wire.open(address, port), address).rejects.toThrow(/ECONNREFUSED/);
  expect(network.client.adminAddress.host).toBe('127.0.0.1');
});

function files(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) =>
    join(entry.parentPath, entry.name),
  );
}

test('data directories are 0700 and all that is in them 0600', () => {
  for (const node of network.all) {
    expect(lstatSync(node.dataDir).mode & 0o777, node.name).toBe(0o700);
    const inside = files(node.dataDir);
    expect(inside.some((file) => file.endsWith('identity.key'))).toBe(true);
    for (const file of inside) {
      const stat = lstatSync(file);
      expect(stat.mode & 0o777, file).toBe(stat.isDirectory() ? 0o700 : 0o600);
    }
  }
});

test('no seed, token, credential or destination shows in logs, status, peers or metrics', async () => {
  const name = 'secret-destination.invalid';
  const [user, password] = ['isolated-user', 'isolating-password'];
  const auth = `${user}:${password}@`;
  await succeed('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '--socks5-hostname',
    `${auth}${network.socksText}`,
    `http://localhost:${origin.port}/bytes/1/1000`,
  ]);
  await succeed('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '-x',
    `http://${auth}${network.httpText}`,
    `http://localhost:${origin.port}/echo/secret-path`,
  ]);
  for (const proxy of ['--socks5-hostname', '-x']) {
    const at = proxy === '-x' ? network.httpText : network.socksText;
    await run('curl', ['-q', '-sS', '--noproxy', '', proxy, at, `http://${name}:${origin.port}/secret-path`]);
    await run('curl', ['-q', '-sS', '--noproxy', '', proxy, at, `http://10.123.45.67:${origin.port}/`]);
  }
  const secrets: [what: string, text: string][] = [
    ['destination', name],
    ['destination', 'secret-destination'],
    ['destination', '10.123.45.67'],
    ['destination', `:${origin.port}`],
    ['destination', `port":${origin.port}`],
    ['path', 'secret-path'],
    ['user', user],
    ['password', password],
  ];
  let keys = 0;
  for (const node of network.all) {
    secrets.push(['token', node.token]);
    for (const file of files(node.dataDir).filter((file) => file.endsWith('.key'))) {
      const seed = readFileSync(file);
      expect(seed, file).toHaveLength(32);
      keys += 1;
      for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const)
        secrets.push([file, seed.toString(encoding)]);
      secrets.push(
        [file, seed.toString('hex').toUpperCase()],
        [file, [...seed].join(',')],
        [file, [...seed].join(', ')],
      );
    }
  }
  // An identity each, and an onion key for whoever relays or exits.
  expect(keys).toBeGreaterThanOrEqual(network.all.length + network.relays.length + network.exits.length);
  for (const node of network.all) {
    const told: string[] = [node.logs];
    for (const path of PATHS) told.push((await node.admin(path)).text);
    for (const command of ['status', 'peers']) {
      const { code, stdout, stderr } = await node.command(command);
      expect([code, stderr], `${node.name} ${command}`).toEqual([0, '']);
      told.push(stdout);
    }
    // The logs are those of a node at work, at the most talkative level.
    expect(node.logs).toContain('"level":');
    for (const [what, secret] of secrets) {
      for (const text of told) expect(text.includes(secret), `${node.name} tells a ${what}: ${secret}`).toBe(false);
    }
  }
});
