import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type HostPort, splitHostPort } from '../base/config/index.js';
import { selfCheck } from './check.js';
import { Network } from './network.js';
import { startOrigin } from './origin.js';
import { connectSocks } from './socks-client.js';

const BYTES = 8 << 20;

let dataDir: string;
let network: Network;
let socks: HostPort;

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'wayfare-demo-'));
  network = await Network.start({ relays: 4, exits: 2, hops: 3, dataDir });
  socks = splitHostPort((await network.client.listenSocks({ listen: '127.0.0.1:0' })).address)!;
});
afterAll(async () => {
  await network.close();
  await rm(dataDir, { recursive: true });
});

test('the content arrives over three hops, each counts it, and the origin sees the exit', async () => {
  const progress: number[] = [];
  const result = await selfCheck(network, { socks, bytes: BYTES, onProgress: (received) => progress.push(received) });
  expect(result.failures).toEqual([]);
  expect(result.ok).toBe(true);
  expect(result.hops.map((hop) => hop.role)).toEqual(['relay', 'relay', 'exit']);
  expect(new Set(result.hops.map((hop) => hop.id)).size).toBe(3);
  for (const hop of result.hops) {
    expect(hop.bytes).toBeGreaterThanOrEqual(BYTES);
    // 16,238 bytes, class X, is the payload of a packet at most (crates/wire/src/class.rs).
    expect(hop.packets).toBeGreaterThanOrEqual(BYTES / 16_238);
  }
  expect(result.sha256).toBe(result.sha256_expected);
  expect(result.origin_peer).toBe(result.exit_socket);
  expect(result.throughput_mbit_per_s).toBeGreaterThan(0);
  expect(progress.at(-1)).toBe(BYTES);
});

test.each([0, 1])('with forwarding stopped at hop %i the check fails and names that hop', async (index) => {
  let stopped = '';
  const result = await selfCheck(network, {
    socks,
    bytes: BYTES,
    onPath: (path) => {
      stopped = path[index]!.name;
      path[index]!.node.setForwarding(false);
    },
  });
  for (const { node } of network.members) node.setForwarding(true);
  expect(result.ok).toBe(false);
  expect(result.failures.join('\n')).toContain(`${stopped} is on the path and counted`);
  expect(result.hops[index]!.bytes).toBeLessThan(BYTES);
});

test('every node has an identity and files of its own, closed to others', async () => {
  const names = await readdir(dataDir);
  expect(names.sort()).toEqual(network.members.map((member) => member.name).sort());
  expect(new Set(network.members.map((member) => member.node.id)).size).toBe(7);
  expect(new Set(network.members.flatMap((member) => member.node.addresses)).size).toBe(7);
  for (const name of names) {
    expect((await stat(join(dataDir, name))).mode & 0o777).toBe(0o700);
    for (const file of await readdir(join(dataDir, name)))
      expect((await stat(join(dataDir, name, file))).mode & 0o777, file).toBe(0o600);
  }
});

test('the origin serves what it says, to whoever asks', async () => {
  await using stack = new AsyncDisposableStack();
  const origin = await startOrigin(100_000);
  stack.defer(() => origin.close());
  const response = await fetch(`http://127.0.0.1:${origin.port}${origin.path}`);
  const hash = await crypto.subtle.digest('SHA-256', await response.arrayBuffer());
  expect(Buffer.from(hash).toString('hex')).toBe(origin.sha256);
  expect((await fetch(`http://127.0.0.1:${origin.port}/other`)).status).toBe(404);
  expect(origin.seen).toHaveLength(1);
});

/** A proxy that says what it is told to, whatever it hears. */
async function scripted(
  answers: number[][],
  run: (proxy: HostPort, heard: () => Buffer) => Promise<void>,
): Promise<void> {
  const heard: Buffer[] = [];
  const server = createServer((socket: Socket) => {
    const left = [...answers];
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      heard.push(chunk);
      const next = left.shift();
      // Byte by byte: an answer may come cut anywhere.
      if (next !== undefined) for (const byte of next) socket.write(Uint8Array.of(byte));
      if (left.length === 0) socket.end();
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  try {
    await run({ host: '127.0.0.1', port: (server.address() as { port: number }).port }, () => Buffer.concat(heard));
  } finally {
    server.close();
  }
}

test('the SOCKS client speaks RFC 1928: a name goes as a name, and the reply says the bound address', async () => {
  await scripted(
    [
      [5, 0],
      [5, 0, 0, 1, 192, 0, 2, 7, 0x1f, 0x90],
    ],
    async (proxy, heard) => {
      const { socket, bound } = await connectSocks(proxy, { host: 'origin.example', port: 443 });
      socket.destroy();
      expect(bound).toBe('192.0.2.7:8080');
      expect(heard()).toEqual(
        Buffer.concat([Buffer.from([5, 1, 0, 5, 1, 0, 3, 14]), Buffer.from('origin.example'), Buffer.from([1, 187])]),
      );
    },
  );
  const six = [5, 0, 0, 4, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 80];
  await scripted([[5, 0], six], async (proxy) => {
    const { socket, bound } = await connectSocks(proxy, { host: '2001:db8::1', port: 80 });
    socket.destroy();
    expect(bound).toBe('[2001:db8::9]:80');
  });
});

test('the SOCKS client says why it was refused, and does not wait for more', async () => {
  await scripted(
    [
      [5, 0],
      [5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
    ],
    async (proxy) => {
      await expect(connectSocks(proxy, { host: 'a.example', port: 1 })).rejects.toThrow(
        'the proxy answered: connection refused',
      );
    },
  );
  await scripted([[5, 2]], async (proxy) => {
    await expect(connectSocks(proxy, { host: 'a.example', port: 1 })).rejects.toMatchObject({
      code: 'proxy_credentials',
    });
  });
  await scripted([[5]], async (proxy) => {
    await expect(connectSocks(proxy, { host: 'a.example', port: 1 })).rejects.toMatchObject({
      code: 'connection_failed',
    });
  });
});
