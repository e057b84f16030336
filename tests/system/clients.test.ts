/** Programs that people use, through three hops of separate processes, and what relays and exits counted meanwhile. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { browse } from '../harness/browser.js';
import { Cleanup } from '../harness/cleanup.js';
import { bytes, sha256Of } from '../harness/content.js';
import { GIT_ENV, git, makeRepository, startGitServer } from '../harness/git.js';
import { moved, type Network, startNetwork } from '../harness/network.js';
import { IMAGES, imageSize, type Origin, startOrigin } from '../harness/origin.js';
import { run, succeed } from '../harness/process.js';
import { closedPort } from '../harness/sockets.js';

const cleanup = new Cleanup();
let network: Network;
let origin: Origin;
let secure: Origin;

beforeAll(async () => {
  // No second exit joins one that is slow to answer: each flow is counted once.
  network = await startNetwork(cleanup, { client: { egress: { stagger_ms: 60_000 } } });
  origin = cleanup.keep(await startOrigin());
  secure = cleanup.keep(await startOrigin({ secure: true }));
});
afterAll(() => cleanup.run());

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');

/** Nothing of the machine's own configuration. */
const curl = (...args: string[]) =>
  succeed('curl', ['-q', '--silent', '--show-error', '--fail', '--noproxy', '', ...args]);

test('curl --socks5-hostname gets 20 MB, which the exit and each of two relays counted', async () => {
  const length = 20_000_000;
  const before = origin.connections.length;
  const { result, exits, relays, path } = await moved(network, () =>
    curl('--socks5-hostname', network.socksText, `http://localhost:${origin.port}/bytes/1/${length}`),
  );
  expect(sha256(result.stdout)).toBe(sha256Of(1, length));
  expect(path.map((node) => node.name)).toEqual([
    expect.stringMatching(/^relay/),
    expect.stringMatching(/^relay/),
    expect.stringMatching(/^exit/),
  ]);
  expect(new Set(path).size).toBe(3);
  expect(exits.flows).toBe(1);
  expect(origin.connections.length - before).toBe(1);
  // The response's head is all that comes on top.
  expect(exits.bytes_in).toBeGreaterThanOrEqual(length);
  expect(exits.bytes_in).toBeLessThan(length + 1_000);
  for (const [node, counted] of relays) {
    const onPath = path.includes(node);
    // Whatever its class, a packet carries no more than its inner datagram: 16,236 bytes of 16,335 at most.
    if (onPath) expect(counted.bytes_backward, node.name).toBeGreaterThanOrEqual((length / 16_236) * 16_335);
    // Spare circuits are set up and kept alive meanwhile: a few messages, each of which fills a packet of 16,335 bytes.
    else expect(counted.bytes_backward, node.name).toBeLessThan(length / 10);
  }
});

test('curl -x http:// posts in plain HTTP, and the origin learns nothing of the proxy', async () => {
  const body = bytes(2, 100_000);
  const file = join(network.folder, 'body');
  writeFileSync(file, body);
  const { result, exits } = await moved(network, () =>
    curl('-x', `http://${network.httpText}`, '--data-binary', `@${file}`, `${origin.url}/echo/plain`),
  );
  const seen = JSON.parse(result.stdout.toString('utf8'));
  expect(seen).toMatchObject({ method: 'POST', url: '/echo/plain', body: body.toString('base64') });
  const revealing = /^(via|forwarded|x-forwarded|x-real|proxy-|connection-id|client-ip)/;
  expect(Object.keys(seen.headers).filter((name) => revealing.test(name))).toEqual([]);
  expect(exits.flows).toBe(1);
  expect(exits.bytes_out).toBeGreaterThanOrEqual(body.length);
});

test('curl -x http:// tunnels to an HTTPS origin with CONNECT', async () => {
  const length = 3_000_000;
  const { result, exits } = await moved(network, () =>
    curl('-k', '-x', `http://${network.httpText}`, `${secure.url}/bytes/3/${length}`),
  );
  expect(sha256(result.stdout)).toBe(sha256Of(3, length));
  expect(exits.flows).toBe(1);
  expect(exits.bytes_in).toBeGreaterThanOrEqual(length);
  expect(secure.connections).toHaveLength(1);
});

test('a hundred requests at once are all answered, each by its own flow', async () => {
  const paths = Array.from({ length: 100 }, (_, i) => `${origin.url}/bytes/${i}/4321`);
  const { result, exits } = await moved(network, () =>
    Promise.all(
      Array.from({ length: 4 }, (_, part) =>
        curl(
          ...['--socks5-hostname', network.socksText, '--parallel', '--parallel-max', '25', '-H', 'connection: close'],
          ...paths
            .slice(part * 25, part * 25 + 25)
            .flatMap((url, i) => ['-o', join(network.folder, `part${part}-${i}`), url]),
        ),
      ),
    ),
  );
  expect(result).toHaveLength(4);
  expect(exits.flows).toBe(100);
  for (let part = 0; part < 4; part++) {
    for (let i = 0; i < 25; i++) {
      const data = readFileSync(join(network.folder, `part${part}-${i}`));
      expect(data.equals(bytes(part * 25 + i, 4321)), `${part} ${i}`).toBe(true);
    }
  }
});

test('git clones a repository over smart HTTP, tree for tree', async () => {
  const tree = await makeRepository(network.folder);
  const server = cleanup.keep(await startGitServer(network.folder));
  const clone = join(network.folder, 'clone');
  const { exits } = await moved(network, () =>
    succeed('git', ['-c', `http.proxy=socks5h://${network.socksText}`, 'clone', '-q', server.url, clone], {
      env: GIT_ENV,
    }),
  );
  expect(await git(['rev-parse', 'HEAD^{tree}'], clone)).toBe(tree);
  expect(await git(['fsck', '--full', '--strict'], clone)).toBe('');
  expect(await git(['status', '--porcelain'], clone)).toBe('');
  expect(await git(['log', '--format=%s'], clone)).toBe('second\nfirst');
  expect(exits.flows).toBeGreaterThanOrEqual(1);
  // The random file of three million bytes can't be packed smaller.
  expect(exits.bytes_in).toBeGreaterThan(3_000_000);
});

test('Chromium loads a page and decodes each of its images', async () => {
  const before = origin.connections.length;
  const { result, exits } = await moved(network, async () => {
    const context = await browse(network.socksText, join(network.folder, 'browser'));
    try {
      const page = context.pages()[0] ?? (await context.newPage());
      const answer = await page.goto(origin.url, { waitUntil: 'load', timeout: 30_000 });
      const sizes = await page.evaluate(
        '[...document.images].map((i) => ({ width: i.naturalWidth, height: i.naturalHeight }))',
      );
      return { status: answer?.status(), title: await page.title(), sizes };
    } finally {
      await context.close();
    }
  });
  expect(result).toEqual({
    status: 200,
    title: 'Page with images',
    sizes: Array.from({ length: IMAGES }, (_, i) => imageSize(i)),
  });
  const connections = origin.connections.length - before;
  expect(connections).toBeGreaterThanOrEqual(1);
  expect(exits.flows).toBeGreaterThanOrEqual(connections);
  expect(exits.bytes_in).toBeGreaterThan(IMAGES * 24 * 40 * 3);
});

test('a destination that refuses is told apart from one that cannot be', async () => {
  const port = await closedPort();
  const refused = await run('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '--socks5-hostname',
    network.socksText,
    `http://127.0.0.1:${port}/`,
  ]);
  expect([refused.code, refused.stderr]).toEqual([97, expect.stringContaining('(5)')]);
  const viaHttp = await run('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '-x',
    `http://${network.httpText}`,
    '-o',
    '/dev/null',
    '-w',
    '%{http_code}',
    `http://127.0.0.1:${port}/`,
  ]);
  expect(viaHttp.stdout.toString()).toBe('502');
  const unnamed = await run('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '--socks5-hostname',
    network.socksText,
    'http://no-such-host.invalid/',
  ]);
  expect([unnamed.code, unnamed.stderr]).toEqual([97, expect.stringContaining('(4)')]);
});

test('every hop ended with nothing forged, malformed or out of order', async () => {
  for (const node of network.all) {
    const drops = await node.drops();
    const bad = [
      'packet_forged',
      'packet_replayed',
      'packet_truncated',
      'packet_size',
      'circuit_unknown',
      'control_malformed',
      'setup_malformed',
      'setup_sealed',
      'setup_stale',
      'request_malformed',
      'fragment_malformed',
      'memory_quota',
    ];
    expect(
      bad.map((reason) => [reason, drops[reason]]),
      node.name,
    ).toEqual(bad.map((reason) => [reason, 0]));
  }
});
