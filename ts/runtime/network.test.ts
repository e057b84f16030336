/** What a user of `createNode()` relies on, on networks of whole nodes over real sockets. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createNode } from '../platform/node.js';
import { readAll, startNetwork, startOrigin, type TestNetwork } from '../testing/network.js';

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');
const echo = (socket: Socket) => void socket.pipe(socket);
/** No second exit joins one that is slow to answer, so that an origin sees each flow once. */
const ONE_EXIT = { egress: { stagger_ms: 60_000 } };

describe('dial', () => {
  let network: TestNetwork;
  beforeAll(async () => {
    network = await startNetwork(4, 2, ONE_EXIT);
  });
  afterAll(async () => network?.[Symbol.asyncDispose]());

  test('bytes come back as they were, and the origin sees the exit, which says its own address', async () => {
    await using origin = await startOrigin(echo);
    const sent = randomBytes(3_000_001);
    const flow = network.client.dial({ host: '127.0.0.1', port: origin.port });
    const { local } = await flow.opened;
    const writing = (async () => {
      const writer = flow.writable.getWriter();
      for (let at = 0; at < sent.length; at += 50_000) await writer.write(sent.subarray(at, at + 50_000));
      await writer.close();
    })();
    const came = await readAll(flow.readable);
    await writing;
    await flow.closed;
    expect(sha256(came)).toBe(sha256(sent));
    expect(origin.seen).toEqual([local]);

    const path = network.client.path();
    expect(path.map((hop) => hop.role)).toEqual(['relay', 'relay', 'exit']);
    expect(new Set(path.map((hop) => hop.id)).size).toBe(3);
    for (const hop of path.slice(0, 2)) {
      const { host } = await network.node(hop.id).status();
      expect(host.relayed.bytes_forward).toBeGreaterThan(sent.length);
      expect(host.relayed.bytes_backward).toBeGreaterThan(sent.length);
    }
  });

  test('one direction ends by itself: the answer comes after our end', async () => {
    await using origin = await startOrigin((socket) => {
      const chunks: Buffer[] = [];
      socket.on('data', (chunk) => chunks.push(chunk));
      socket.on('end', () => socket.end(sha256(Buffer.concat(chunks))));
    });
    const question = randomBytes(100_000);
    const flow = network.client.dial({ host: '127.0.0.1', port: origin.port });
    const writer = flow.writable.getWriter();
    await writer.write(question);
    await writer.close();
    expect((await readAll(flow.readable)).toString()).toBe(sha256(question));
    await flow.closed;
  });

  test('a refused connection, a refused port and an unknown name say which', async () => {
    const origin = await startOrigin(echo);
    await origin[Symbol.asyncDispose]();
    const code = (host: string, port: number) =>
      network.client.dial({ host, port }).opened.then(
        () => 'opened',
        (error) => error.code,
      );
    expect(await code('127.0.0.1', origin.port)).toBe('exit_connect_failed');
    expect(await code('127.0.0.1', 25)).toBe('exit_port_denied');
    expect(await code('10.0.0.1', 80)).toBe('exit_address_denied');
    expect(await code('name.invalid', 80)).toBe('exit_name_unresolved');
  });

  test('an abort breaks off: before the path is there, and while bytes flow', async () => {
    await using origin = await startOrigin(echo);
    const before = network.client.dial({ host: '127.0.0.1', port: origin.port }, { signal: AbortSignal.abort() });
    await expect(before.opened).rejects.toMatchObject({ code: 'aborted' });
    const abort = new AbortController();
    const flow = network.client.dial({ host: '127.0.0.1', port: origin.port }, { signal: abort.signal });
    await flow.opened;
    abort.abort();
    await expect(flow.closed).rejects.toMatchObject({ code: 'aborted' });
    await expect(readAll(flow.readable)).rejects.toThrow();
  });

  test('flows of different isolation keys share no circuit; those of the same key do', async () => {
    // One exit, and nothing built ahead: every circuit is one that a flow asked for.
    await using network = await startNetwork(3, 1, { egress: { ahead: 0 } });
    await using origin = await startOrigin(echo);
    let made = 0;
    network.client.addEventListener('path', ({ change }) => {
      if (change === 'made') made += 1;
    });
    const flows = [];
    for (const [isolation, circuits] of [
      ['a', 1],
      ['a', 1],
      ['b', 2],
      ['c', 3],
      ['b', 3],
    ] as const) {
      const flow = network.client.dial({ host: '127.0.0.1', port: origin.port }, { isolation });
      await flow.opened;
      flows.push(flow);
      expect(made, isolation).toBe(circuits);
    }
    for (const flow of flows) await flow.close();
  });

  test('SOCKS5 by hand: the proxy carries a connection; without its credentials it does not', async () => {
    await using origin = await startOrigin(echo);
    const listening = await network.client.listenSocks({
      listen: '127.0.0.1:0',
      credentials: { user: 'u', password: 'p' },
    });
    const [, port] = listening.address.split(':');
    const socket = connect(Number(port), '127.0.0.1');
    const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    socket.write(Buffer.from([5, 1, 2]));
    expect([...(await chunks.next()).value]).toEqual([5, 2]);
    socket.write(Buffer.from([1, 1, 0x75, 1, 0x70]));
    expect([...(await chunks.next()).value]).toEqual([1, 0]);
    socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, origin.port >> 8, origin.port & 255]));
    expect((await chunks.next()).value[1]).toBe(0);
    socket.write('over three hops');
    expect((await chunks.next()).value.toString()).toBe('over three hops');
    socket.destroy();

    const stranger = connect(Number(port), '127.0.0.1');
    stranger.write(Buffer.from([5, 1, 0]));
    const answer = await new Promise<Buffer>((resolve) => stranger.once('data', resolve));
    expect([...answer]).toEqual([5, 0xff]);
    stranger.destroy();
    listening.close();
  });

  test('ping measures a link, dialling it where there is none; it refuses what is no node', async () => {
    for (const relay of network.relays) expect((await network.client.ping(relay.id)).rtt_us).toBeGreaterThan(0);
    await expect(network.client.ping('nobody')).rejects.toMatchObject({ code: 'argument_invalid' });
    await expect(network.client.ping('00'.repeat(32))).rejects.toMatchObject({ code: 'peer_unknown' });
  });
});

describe('when nodes fail', () => {
  /** A download of `bytes` that pauses after the first half until `go`. */
  async function halved(bytes: Buffer) {
    let go!: () => void;
    const gone = new Promise<void>((resolve) => {
      go = resolve;
    });
    const origin = await startOrigin((socket) => {
      socket.write(bytes.subarray(0, bytes.length / 2), async () => {
        await gone;
        socket.end(bytes.subarray(bytes.length / 2));
      });
    });
    return { origin, go };
  }

  test.each(['stops forwarding', 'leaves'])(
    'a middle relay that %s is replaced within 5 s under a running download',
    async (how) => {
      await using network = await startNetwork(5, 2, ONE_EXIT);
      const bytes = randomBytes(4_000_000);
      const { origin, go } = await halved(bytes);
      await using _ = origin;
      const flow = network.client.dial({ host: '127.0.0.1', port: origin.port });
      await flow.opened;
      const reader = flow.readable.getReader();
      const chunks: Uint8Array[] = [];
      let count = 0;
      while (count < bytes.length / 2) {
        const { value } = await reader.read();
        chunks.push(value as Uint8Array);
        count += value?.length ?? 0;
      }
      const [, middle, exit] = network.client.path();
      const relay = network.node(middle?.id as string);
      if (how === 'leaves') await relay.close();
      else relay.setForwarding(false);
      const began_ms = performance.now();
      go();
      const first = await reader.read();
      expect(performance.now() - began_ms).toBeLessThan(5000);
      chunks.push(first.value as Uint8Array);
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        chunks.push(value);
      }
      expect(sha256(Buffer.concat(chunks))).toBe(sha256(bytes));
      const now = network.client.path().map((hop) => hop.id);
      expect(now.at(-1)).toBe(exit?.id);
      expect(now).not.toContain(middle?.id);
      expect(origin.seen).toHaveLength(1);
    },
  );

  test('when the exit leaves, its flows end with an error and new ones go elsewhere', async () => {
    await using network = await startNetwork(3, 2);
    await using origin = await startOrigin(echo);
    const flow = network.client.dial({ host: '127.0.0.1', port: origin.port });
    await flow.opened;
    const exit = network.client.path().at(-1);
    await network.node(exit?.id as string).close();
    await expect(readAll(flow.readable)).rejects.toThrow();
    await expect(flow.closed).rejects.toThrow();
    const next = network.client.dial({ host: '127.0.0.1', port: origin.port });
    await next.opened;
    expect(network.client.path().at(-1)?.id).not.toBe(exit?.id);
    await next.close();
  });

  test('`closed` tells of a broken flow also when nobody reads', async () => {
    await using network = await startNetwork(3, 1);
    await using origin = await startOrigin((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const flow = network.client.dial({ host: '127.0.0.1', port: origin.port });
    await flow.opened;
    await flow.writable.getWriter().write(new Uint8Array([1]));
    await expect(flow.closed).rejects.toThrow(/broke/);
  });

  test('a drained node takes nothing new and waits for what runs', async () => {
    await using network = await startNetwork(3, 1);
    await using origin = await startOrigin(echo);
    const flow = network.client.dial({ host: '127.0.0.1', port: origin.port });
    await flow.opened;
    let drained = false;
    const draining = network.client.drain(20_000).then(() => {
      drained = true;
    });
    expect(() => network.client.dial({ host: '127.0.0.1', port: origin.port })).toThrow(/draining/);
    const writer = flow.writable.getWriter();
    await writer.write(Buffer.from('still here'));
    expect((await network.client.status()).draining).toBe(true);
    expect(drained).toBe(false);
    const impatient = network.client.drain(20_000, { signal: AbortSignal.timeout(10) });
    await expect(impatient).rejects.toMatchObject({ code: 'aborted' });
    await writer.close();
    expect((await readAll(flow.readable)).toString()).toBe('still here');
    await draining;
  });

  test('a node that comes back at another address is taken for what it is now', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'wayfare-'));
    await using network = await startNetwork(3, 2);
    const [first] = network.relays;
    const bootstrap = [{ id: first?.id as string, address: first?.addresses[0] as string }];
    const make = () => createNode({ roles: ['relay'], listen: ['127.0.0.1:0'], dataDir, bootstrap });
    const before = await make();
    await vi.waitFor(async () => expect((await network.client.status()).descriptors).toBe(6), 10_000);
    await before.close();
    await using again = await make();
    expect(again.id).toBe(before.id);
    // The client learns the new address: the old one answers nobody.
    await vi.waitFor(async () => expect((await network.client.ping(again.id)).rtt_us).toBeGreaterThan(0), 10_000);
    await rm(dataDir, { recursive: true });
  });

  test('a closed node says so', async () => {
    const node = await createNode({ listen: ['127.0.0.1:0'] });
    await node.close();
    expect(() => node.dial({ host: '127.0.0.1', port: 80 })).toThrow(/closed/);
    await node.close();
  });
});
