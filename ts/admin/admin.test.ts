import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { splitHostPort } from '../base/config/index.js';
import { NetworkError } from '../base/errors.js';
import { type AccountsReport, describeCredits } from '../credit/report.js';
import type { PathsReport } from '../egress/report.js';
import type { NodeStatus } from '../runtime/options.js';
import { type AdminServer, startAdmin } from './server.js';
import { loadToken, readAddress, removeAddress, writeAddress } from './token.js';

const TOKEN = 'token-for-this-test-0123456789abcdef';
const ID = 'cd'.repeat(32);

const status: NodeStatus = {
  id: ID,
  addresses: ['127.0.0.1:4600'],
  roles: ['relay'],
  ready: false,
  reasons: ['no exit is known'],
  draining: false,
  uptime_ms: 1500,
  descriptors: 4,
  path: [],
  descriptor_expires_ms: 0,
  host: {
    links: [],
    relayed: { packets_forward: 1, packets_backward: 2, bytes_forward: 3, bytes_backward: 4 },
    exit: { flows_open: 0, flows_total: 5, bytes_in: 6, bytes_out: 7, udp_in: 8, udp_out: 9 },
    client: { flows_open: 0, flows_total: 10, bytes_in: 11, bytes_out: 12 },
    circuits: { client: 13, relay: 14, exit: 15 },
    reader_bytes: 16,
    cpu_us: 2_500_000,
    drops: { packet_forged: 17, timeout: 0 },
  },
};

const paths: PathsReport = {
  window: { size: 8, floor: 8, baseline: 8, draining: 1, exits: 30 },
  entries: [ID],
  hops: [],
  destinations: [],
  verdicts: [
    {
      kind: 'blocked',
      exit: ID,
      destination: 'secret.example:443',
      evidence: { what: 'silent', destinations: 1, strikes: 1 },
      age_ms: 1000,
      left_ms: 59_000,
    },
  ],
  flows: [],
  counts: {
    connections: 20,
    attempts: 25,
    answered: 19,
    bad: 0,
    blocked: 2,
    disappeared: 1,
    forced: 1,
    tuples: 6,
    tuples_evicted: 7,
    destinations_evicted: 0,
    memory_bytes: 4096,
  },
};

const books = { opening: 0, minted: 700, decayed: 20, spent: 300, earned: 120 };
const accounts: AccountsReport = describeCredits(
  {
    now_us: 12_000_000,
    increase: 1_000_000,
    halfLife_us: 600e6,
    free: false,
    fill: 0.25,
    neighbours: [
      {
        peer: ID,
        account: 500,
        mirror: 800,
        report: 790,
        reportIncrease: 100,
        contributed: 120,
        value: -1,
        valueLately: -1,
        increase: 100,
        expected: 100,
        connections: 2,
        price: 0.5,
        announcedIn: 4000,
        announcedOut: 1000,
        books,
        mirrorBooks: books,
        throttled: 31,
        overdrawn: 0,
        carry: -3,
        rent: 1,
        always: 2,
        load: 32,
        waitedBytes: 4096,
      },
    ],
    books: {
      ...books,
      burned: 0,
      paid: 300,
      own: 33,
      rent: 1,
      always: 2,
      load: 32,
      turned: 0,
      home: 11,
      rest: 265,
      valuedUp: 0,
      valuedDown: 0,
      passed: 260,
      carry: -3,
      kept: 0,
      overdrawn: 0,
    },
  },
  null,
  () => -180,
);
const credits = { ...accounts, circuits: [], circle: null };

let server: AdminServer;
let port: number;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wayfare-admin-'));
  const node = {
    status: async () => status,
    peers: async () => [],
    paths: () => paths,
    credits: () => credits,
    accounts: () => accounts,
    ping: async (id: string) => {
      if (id !== ID) throw new NetworkError('peer_unknown', 'no descriptor of that node', { hint: 'wait for gossip' });
      return { rtt_us: 42, rtts_us: [42, 43] };
    },
  };
  server = await startAdmin(node, { listen: '127.0.0.1:0', token: TOKEN, version: '9.9.9' });
  port = splitHostPort(server.address)!.port;
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

interface Answer {
  status: number;
  body: string;
}

/** node:http, because fetch would not let a test set Host and Origin. */
function ask(path: string, headers: Record<string, string> = {}, body?: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = request(
      { host: '127.0.0.1', port, path, headers, method: body === undefined ? 'GET' : 'POST' },
      (res) => {
        let text = '';
        res.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        res.on('end', () => resolve({ status: res.statusCode ?? 0, body: text }));
      },
    );
    req.on('error', reject).end(body);
  });
}

const bearer = { authorization: `Bearer ${TOKEN}` };
const PATHS = ['/livez', '/readyz', '/metrics', '/v1/status', '/v1/peers', '/v1/paths', '/v1/credits', '/nowhere'];

// docs/threats.md, row 21.
test.each(PATHS)('%s refuses a foreign Host and a foreign Origin, even with the token', async (path) => {
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    `127.0.0.1:${port + 1}`,
    `127.0.0.1.evil.example:${port}`,
    `localhost.:${port}`,
  ]) {
    expect(await ask(path, { ...bearer, host }), host).toMatchObject({ status: 403 });
  }
  for (const origin of [
    'https://evil.example',
    'null',
    `https://127.0.0.1:${port}`,
    `http://127.0.0.1:${port + 1}`,
    `http://evil@127.0.0.1:${port}`,
  ]) {
    expect(await ask(path, { ...bearer, origin }), origin).toMatchObject({ status: 403 });
  }
  expect(await ask(path, { ...bearer, 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 403 });
});

test('a page cannot make the node ping: cross-site POST is refused, and so is one without the token', async () => {
  const body = JSON.stringify({ id: ID });
  expect((await ask('/v1/ping', { ...bearer, origin: 'http://evil.example' }, body)).status).toBe(403);
  expect((await ask('/v1/ping', {}, body)).status).toBe(401);
});

test.each(['/metrics', '/v1/status', '/v1/peers', '/v1/paths', '/v1/credits', '/nowhere'])(
  '%s without the right token is 401',
  async (path) => {
    for (const authorization of ['', 'Bearer ', `Bearer ${TOKEN}x`, `Basic ${TOKEN}`, `Bearer ${TOKEN.slice(1)}`]) {
      expect((await ask(path, authorization === '' ? {} : { authorization })).status, authorization).toBe(401);
    }
  },
);

test('own names and own origin are let in', async () => {
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, `LOCALHOST:${port}`]) {
    expect((await ask('/v1/status', { ...bearer, host, origin: `http://127.0.0.1:${port}` })).status, host).toBe(200);
  }
});

test('live is live, ready says why it is not', async () => {
  expect(await ask('/livez')).toEqual({ status: 200, body: 'ok\n' });
  expect(await ask('/readyz')).toEqual({ status: 503, body: 'not ready: no exit is known\n' });
});

test('status and ping carry their schema and version; errors carry a code', async () => {
  expect(JSON.parse((await ask('/v1/status', bearer)).body)).toMatchObject({
    schema: 'wayfare.status',
    version: 1,
    id: ID,
  });
  const pong = await ask('/v1/ping', bearer, JSON.stringify({ id: ID }));
  expect(JSON.parse(pong.body)).toEqual({ schema: 'wayfare.ping', version: 1, id: ID, rtt_us: 42, rtts_us: [42, 43] });
  const lost = await ask('/v1/ping', bearer, JSON.stringify({ id: 'ee'.repeat(32) }));
  expect(lost.status).toBe(502);
  expect(JSON.parse(lost.body).error).toEqual({
    code: 'peer_unknown',
    message: 'no descriptor of that node: wait for gossip',
  });
  for (const body of ['', '{', '{"id":3}', `{"id":"${ID}","count":0}`])
    expect((await ask('/v1/ping', bearer, body)).status, body).toBe(400);
});

test('metrics are Prometheus text with every counter once and drops by reason', async () => {
  const { body } = await ask('/metrics', bearer);
  const samples = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of samples)
    expect(line).toMatch(/^wayfare_[a-z_]+(?:\{[a-z]+="[^"]*"(?:,[a-z]+="[^"]*")*\})? -?\d+(?:\.\d+)?$/);
  expect(new Set(samples.map((line) => line.split(' ')[0])).size).toBe(samples.length);
  expect(samples).toEqual(
    expect.arrayContaining([
      'wayfare_relayed_bytes_total{direction="backward"} 4',
      'wayfare_exit_bytes_total{direction="in"} 6',
      'wayfare_drops_total{reason="packet_forged"} 17',
      'wayfare_drops_total{reason="timeout"} 0',
      'wayfare_cpu_seconds_total 2.5',
      'wayfare_info{version="9.9.9"} 1',
      'wayfare_egress_window_hops{state="open"} 8',
      'wayfare_egress_attempts_total 25',
      'wayfare_egress_verdicts{kind="blocked"} 1',
      'wayfare_egress_verdicts_total{kind="blocked"} 2',
    ]),
  );
});

test('credits are told to whoever has the token; metrics name no neighbour', async () => {
  const { body } = await ask('/v1/credits', bearer);
  expect(JSON.parse(body)).toEqual({ schema: 'wayfare.credits', version: 1, ...credits });
  const metrics = (await ask('/metrics', bearer)).body;
  expect(metrics).not.toContain(ID);
  for (const line of [
    'wayfare_credits_balance{account="here"} 500',
    'wayfare_credits_balance{account="there"} 800',
    'wayfare_credits_total{by="spent"} 300',
    'wayfare_credits_rewards_total{for="load"} 32',
    'wayfare_credits_throttled_total 31',
    'wayfare_credits_price_max 0.5',
    'wayfare_circuit_table_fill 0.25',
  ])
    expect(metrics.split('\n')).toContain(line);
});

test('paths are told to whoever has the token, with their destinations; metrics name none', async () => {
  const { body } = await ask('/v1/paths', bearer);
  expect(JSON.parse(body)).toEqual({ schema: 'wayfare.paths', version: 1, ...paths });
  expect((await ask('/metrics', bearer)).body).not.toContain('secret');
});

test('a taken port is one sentence that names the key', async () => {
  const again = startAdmin({} as never, { listen: server.address, token: TOKEN, version: '0' });
  await expect(again).rejects.toMatchObject({
    code: 'address_in_use',
    sentence: `the admin port cannot listen on ${server.address}: it is taken; set admin.listen to another address`,
  });
  expect(() => startAdmin({} as never, { listen: '0.0.0.0:0', token: TOKEN, version: '0' })).toThrow(
    /cannot listen on 0\.0\.0\.0:0/,
  );
});

// docs/threats.md, row 22.
test('the token is made once, readable by its owner alone, and a file left open is closed', async () => {
  const file = join(folder, 'data', 'admin-token');
  const token = await loadToken(file);
  expect(token).toMatch(/^[\w-]{43}$/);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await loadToken(file)).toBe(token);
  const open = join(folder, 'open-token');
  await writeFile(open, `${TOKEN}\n`, { mode: 0o644 });
  expect(await loadToken(open)).toBe(TOKEN);
  expect((await stat(open)).mode & 0o777).toBe(0o600);
  await writeFile(open, 'short');
  await expect(loadToken(open)).rejects.toMatchObject({ code: 'config_invalid' });
});

test('the address file comes and goes with the node', async () => {
  expect(await readAddress(folder)).toBeNull();
  await writeAddress(folder, { address: '127.0.0.1:9', pid: 1, token_file: 'x' });
  expect(await readAddress(folder)).toEqual({ version: 1, address: '127.0.0.1:9', pid: 1, token_file: 'x' });
  expect((await stat(join(folder, 'admin.json'))).mode & 0o777).toBe(0o600);
  expect(await readFile(join(folder, 'admin.json'), 'utf8')).not.toContain(TOKEN);
  await removeAddress(folder);
  await removeAddress(folder);
  expect(await readAddress(folder)).toBeNull();
});
