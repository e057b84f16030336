/** The command in processes of its own: what it refuses, in which sentence, and what it tells. */
import { lstatSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { startWayfare, wayfare } from '../harness/cli.js';
import { temporaryFolder } from '../harness/folder.js';
import { type Network, startNetwork } from '../harness/network.js';
import { Node, type NodeConfig, toml } from '../harness/node.js';
import { startOrigin } from '../harness/origin.js';
import { run } from '../harness/process.js';
import { listen, startUdpEcho } from '../harness/sockets.js';
import { until } from '../harness/wait.js';

const cleanup = new Cleanup();
let folder: string;
let network: Network;

beforeAll(async () => {
  folder = temporaryFolder(cleanup);
  network = await startNetwork(cleanup, { relays: 2, exits: 1 });
});
afterAll(() => cleanup.run());

let made = 0;

/** `wayfare up` with a configuration that it refuses. */
async function refused(config: NodeConfig, env: NodeJS.ProcessEnv = {}) {
  const at = join(folder, `refused${made++}`);
  mkdirSync(at);
  const quiet = { data_dir: 'data', listen: ['127.0.0.1:0'], roles: ['client'], log: { level: 'error' } };
  writeFileSync(join(at, 'node.toml'), toml({ ...quiet, ...config }));
  const { code, stdout, stderr } = await wayfare(['up', '--config', 'node.toml'], { folder: at, env });
  expect(stdout.toString()).toBe('');
  return { code, said: stderr.trimEnd().split('\n') };
}

test('a taken port is one sentence that names the key', async () => {
  const tcp = cleanup.keep(await listen('127.0.0.1'));
  const udp = cleanup.keep(await startUdpEcho());
  const taken = `127.0.0.1:${tcp.port}`;
  for (const key of ['socks', 'http']) {
    const { code, said } = await refused({ proxy: { [key]: taken } });
    expect([code, said]).toEqual([
      1,
      [expect.stringMatching(new RegExp(`^wayfare: ${taken} is taken.*proxy\\.${key}$`))],
    ]);
  }
  const admin = await refused({ admin: { listen: taken } });
  expect([admin.code, admin.said]).toEqual([1, [expect.stringMatching(/^wayfare: .*taken.*admin\.listen/)]]);
  const link = await refused({ listen: [`127.0.0.1:${udp.port}`] });
  expect([link.code, link.said]).toEqual([
    1,
    [expect.stringMatching(new RegExp(`^wayfare: .*127\\.0\\.0\\.1:${udp.port}.*taken.*listen`))],
  ]);
});

test('a proxy beyond loopback is refused without credentials, by file, line and key', async () => {
  for (const [key, address] of [
    ['socks', '0.0.0.0:0'],
    ['http', '[::]:0'],
  ] as const) {
    const { code, said } = await refused({ proxy: { [key]: address } });
    expect([code, said]).toEqual([
      2,
      [
        expect.stringMatching(
          new RegExp(`^wayfare: node\\.toml:\\d+: proxy\\.${key} listens beyond loopback.*credentials_file`),
        ),
      ],
    ]);
  }
});

test('with credentials it serves those who have them, and counts those who have not', async () => {
  const origin = cleanup.keep(await startOrigin());
  const client = cleanup.keep(new Node('guarded', folder));
  writeFileSync(join(client.folder, 'credentials'), 'ann:pass word\n', { mode: 0o600 });
  const [relay] = network.relays;
  await client.start({
    roles: ['client'],
    listen: ['127.0.0.1:0'],
    bootstrap: [`${relay?.id}@${relay?.up.addresses[0]}`],
    proxy: { socks: '0.0.0.0:0', http: '0.0.0.0:0', credentials_file: 'credentials' },
  });
  await client.ready();
  const [socks, http] = [client.up.socks, client.up.http].map((text) => `127.0.0.1:${text?.split(':').at(-1)}`);
  const curl = async (...args: string[]) => {
    const { code, stdout } = await run('curl', [
      '-q',
      '-sS',
      '--noproxy',
      '',
      '-o',
      '/dev/null',
      '-w',
      '%{http_code}',
      ...args,
      `${origin.url}/bytes/1/1000`,
    ]);
    return [code, stdout.toString()];
  };
  expect(await curl('--socks5-hostname', `ann:pass%20word@${socks}`)).toEqual([0, '200']);
  expect(await curl('-x', `http://ann:pass%20word@${http}`)).toEqual([0, '200']);
  expect(await curl('--socks5-hostname', `ann:wrong@${socks}`)).toEqual([97, '000']);
  expect(await curl('--socks5-hostname', `${socks}`)).toEqual([97, '000']);
  expect(await curl('-x', `http://ann:wrong@${http}`)).toEqual([0, '407']);
  expect(await curl('-x', `http://${http}`)).toEqual([0, '407']);
  expect(origin.requests).toHaveLength(2);
  expect((await client.drops()).proxy_credentials).toBe(4);
  expect(client.logs).not.toContain('pass word');
});

test('a wrong key names file, line, key and the valid choices', async () => {
  const { code, said } = await refused({ proxy: { sokcs: '127.0.0.1:0' } });
  expect([code, said]).toEqual([
    2,
    [
      expect.stringMatching(
        /^wayfare: node\.toml:\d+: unknown key "sokcs" in \[proxy\]; did you mean "socks"\? valid: socks, http, credentials_file$/,
      ),
    ],
  ]);
  const variable = await refused({}, { WAYFARE_PATH_HOPS: '9' });
  expect([variable.code, variable.said]).toEqual([
    2,
    ['wayfare: WAYFARE_PATH_HOPS: path.hops cannot be 9; valid: a number from 1 to 5'],
  ]);
});

test('a variable counts over the file; config show says which it was', async () => {
  const at = join(folder, 'shown');
  mkdirSync(at);
  writeFileSync(join(at, 'wayfare.toml'), toml({ listen: ['127.0.0.1:0'], path: { hops: 2 } }));
  const { code, stdout } = await wayfare(['config', 'show', '--json'], {
    folder: at,
    env: { WAYFARE_ROLES: 'relay,exit' },
  });
  expect(code).toBe(0);
  const shown = JSON.parse(stdout.toString());
  expect(shown).toMatchObject({ schema: 'wayfare.config', version: 1 });
  expect(shown.keys).toContainEqual({ key: 'roles', value: ['relay', 'exit'], origin: 'WAYFARE_ROLES' });
  expect(shown.keys).toContainEqual({ key: 'path.hops', value: 2, origin: 'wayfare.toml:3' });
});

test('keygen makes the identity that up then has, in files that are closed to others', async () => {
  const node = cleanup.keep(new Node('keyed', folder));
  writeFileSync(node.configFile, toml({ data_dir: 'data' }));
  const { code, stdout } = await node.command('keygen', '--json');
  expect(code).toBe(0);
  const { id } = JSON.parse(stdout);
  expect(id).toMatch(/^[0-9a-f]{64}$/);
  expect(lstatSync(node.dataDir).mode & 0o777).toBe(0o700);
  expect(lstatSync(join(node.dataDir, 'identity.key')).mode & 0o777).toBe(0o600);
  await node.start({ roles: ['relay'], listen: ['127.0.0.1:0'] });
  expect(node.id).toBe(id);
  expect((await node.stop()).code).toBe(0);
  await node.start({ roles: ['relay'], listen: ['127.0.0.1:0'] });
  expect(node.id).toBe(id);
});

test('status, peers and ping tell of a running node, in words and in versioned JSON', async () => {
  const { client, relays } = network;
  const [relay] = relays as [Node];
  const status = JSON.parse((await client.command('status', '--json')).stdout);
  expect(status).toMatchObject({ schema: 'wayfare.status', version: 1, id: client.id, ready: true, roles: ['client'] });
  expect((await client.command('status')).stdout).toMatch(/^state +ready$/m);
  const peers = JSON.parse((await client.command('peers', '--json')).stdout);
  expect(peers).toMatchObject({ schema: 'wayfare.peers', version: 1 });
  const ids = network.all.map((node) => node.id);
  expect(peers.peers.length).toBeGreaterThan(0);
  for (const peer of peers.peers) expect(ids).toContain(peer.id);
  const ping = JSON.parse((await client.command('ping', relay.id, '--count', '4', '--json')).stdout);
  expect(ping).toMatchObject({ schema: 'wayfare.ping', version: 1, id: relay.id });
  expect(ping.rtts_us).toHaveLength(4);
  expect(ping.rtt_us).toBe(Math.min(...ping.rtts_us));
  expect(ping.rtt_us).toBeGreaterThan(0);
  const stranger = await client.command('ping', 'ab'.repeat(32), '--json');
  expect([stranger.code, JSON.parse(stranger.stdout)]).toMatchObject([
    1,
    { schema: 'wayfare.error', code: 'peer_unknown' },
  ]);
});

test('a second node on the same data directory is refused, and the first stays', async () => {
  const [relay] = network.relays as [Node];
  const second = await wayfare(['up', '--config', relay.configFile], { folder });
  expect(second.code).toBe(1);
  expect(second.stderr.trimEnd().split('\n').at(-1)).toMatch(/^wayfare: .*data/);
  expect((await relay.admin('/readyz')).status).toBe(200);
  expect((await relay.command('status')).code).toBe(0);
});

test('start stays up with both proxies, says how to use them, and Ctrl-C ends it with 0', async () => {
  const origin = cleanup.keep(await startOrigin());
  const child = startWayfare(
    ['start', '--relays', '2', '--exits', '1', '--socks', '127.0.0.1:0', '--http', '127.0.0.1:0'],
    { folder },
  );
  cleanup.keep(child);
  const [, socks = ''] = await until(
    'the proxy',
    () => /^SOCKS5 proxy +(\S+)$/m.exec(child.stderr) ?? undefined,
    30_000,
  );
  const [, http = ''] = await until('the other proxy', () => /^HTTP proxy +(\S+)$/m.exec(child.stderr) ?? undefined);
  expect(child.stderr).toContain(`curl --socks5-hostname ${socks}`);
  expect(child.stdout.toString()).toContain('self-check passed');
  for (const proxy of [
    ['--socks5-hostname', socks],
    ['-x', `http://${http}`],
  ]) {
    const { code, stdout } = await run('curl', [
      '-q',
      '-sS',
      '--noproxy',
      '',
      ...proxy,
      `http://localhost:${origin.port}/bytes/1/5`,
    ]);
    expect([code, stdout.length]).toEqual([0, 5]);
  }
  const ended = await child.stop('SIGINT');
  expect(ended.code).toBe(0);
});
