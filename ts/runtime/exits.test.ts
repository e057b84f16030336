/** What exits hear of a flow, what a client tells of its choice, and that it survives the loss of one. */
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { NodeHost } from '../core/host.js';
import { createNode, nodePlatform, WayfareNode } from '../platform/node.js';
import { startNetwork, startOrigin, type TestNetwork } from '../testing/network.js';
import { createNodeOn } from './create.js';

const SECRET = 'zebra-isolation';

describe('exits', () => {
  let network: TestNetwork;
  beforeAll(async () => {
    network = await startNetwork(3, 3);
  });
  afterAll(async () => network?.[Symbol.asyncDispose]());

  test('are told host and port, and nothing of who asks', async () => {
    await using origin = await startOrigin((socket) => void socket.pipe(socket));
    const calls: [name: string, args: unknown[]][] = [];
    const platform = nodePlatform();
    const [relay] = network.relays;
    const bootstrap = [{ id: relay?.id as string, address: relay?.addresses[0] as string }];
    await using client = await createNodeOn(
      // No second exit joins one that is slow to answer: each is told of a flow once.
      { listen: ['127.0.0.1:0'], bootstrap, egress: { stagger_ms: 60_000 } },
      {
        ...platform,
        createHost: (options, onEvents) =>
          new Proxy(platform.createHost(options, onEvents), {
            get(host, name: keyof NodeHost & string) {
              const value = host[name];
              if (typeof value !== 'function') return value;
              return (...args: unknown[]) => {
                calls.push([name, args]);
                return (value as (...args: unknown[]) => unknown).apply(host, args);
              };
            },
          }),
      },
      WayfareNode,
    );
    await client.ready(AbortSignal.timeout(10_000));
    const flow = client.dial({ host: '127.0.0.1', port: origin.port }, { isolation: SECRET });
    await flow.opened;
    await flow.close();
    const credentials = { user: SECRET, password: 'zebra-password' };
    const socks = await client.listenSocks({ listen: '127.0.0.1:0', credentials });
    const socket = connect(Number(socks.address.split(':')[1]), '127.0.0.1');
    const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    await new Promise((resolve) => socket.once('connect', resolve));
    const source = `${socket.localPort}`;
    socket.write(Buffer.from([5, 1, 2]));
    await chunks.next();
    const text = (of: string) => [of.length, ...Buffer.from(of)];
    socket.write(Buffer.from([1, ...text(credentials.user), ...text(credentials.password)]));
    await chunks.next();
    socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, origin.port >> 8, origin.port & 255]));
    expect((await chunks.next()).value[1]).toBe(0);
    socket.destroy();

    const asked = calls.filter(([name]) => ['circuitOpen', 'connectionOpen', 'flowOpen', 'proxyAssign'].includes(name));
    expect(asked.filter(([name]) => name === 'flowOpen').map(([, args]) => args.slice(1))).toEqual([
      ['127.0.0.1', origin.port],
    ]);
    // What a proxied flow asks for the driver has read from the client itself: it is assigned a connection, by numbers.
    const assigned = asked.filter(([name]) => name === 'proxyAssign').flatMap(([, args]) => args);
    expect(assigned.every((arg) => typeof arg === 'number')).toBe(true);
    const told = JSON.stringify(asked);
    for (const secret of [SECRET, 'zebra', `:${source}`]) expect(told).not.toContain(secret);
  });

  test('are shown with what was learnt; a lost one leaves, with a verdict that events tell of', async () => {
    await using origin = await startOrigin((socket) => void socket.pipe(socket));
    const { client } = network;
    const told: string[] = [];
    client.addEventListener('hop', ({ change, exit }) => told.push(`${change} ${exit}`));
    client.addEventListener('verdict', ({ kind, exit, duration_ms }) => told.push(`${kind} ${exit} ${duration_ms}`));
    const flow = client.dial({ host: '127.0.0.1', port: origin.port });
    await flow.opened;
    const report = client.paths();
    expect(report.window).toMatchObject({ size: 3, exits: 3, draining: 0 });
    expect(report.entries).toHaveLength(3);
    expect(report.hops.map(({ exit }) => exit).sort()).toEqual(network.exits.map(({ id }) => id).sort());
    expect(report.flows).toMatchObject([{ destination: `127.0.0.1:${origin.port}`, protocol: 'tcp' }]);
    const exit = report.flows[0]?.exit as string;
    expect(exit).toBe(client.path().at(-1)?.id);
    await network.node(exit).close();
    await expect(flow.closed).rejects.toThrow();
    await vi.waitFor(() => expect(told).toContain(`disappeared ${exit} 30000`), 20_000);
    expect(told).toContain(`left ${exit}`);
    expect(client.paths().verdicts).toMatchObject([{ kind: 'disappeared', exit, evidence: { what: 'gone' } }]);
    const next = client.dial({ host: '127.0.0.1', port: origin.port });
    await next.opened;
    expect(client.path().at(-1)?.id).not.toBe(exit);
    await next.close();
  });
});

test('an exit that is lost makes room for one that was not in the window', async () => {
  await using network = await startNetwork(3, 5, { egress: { hops: 2, step: 0 } });
  await using origin = await startOrigin((socket) => void socket.pipe(socket));
  const { client } = network;
  const inWindow = () => client.paths().hops.flatMap(({ exit, draining }) => (draining ? [] : [exit]));
  const flow = client.dial({ host: '127.0.0.1', port: origin.port });
  await flow.opened;
  const before = inWindow();
  expect(before).toHaveLength(2);
  const lost = client.path().at(-1)?.id as string;
  await network.node(lost).close();
  await expect(flow.closed).rejects.toThrow();
  await vi.waitFor(() => expect(inWindow()).not.toContain(lost), 20_000);
  const after = inWindow();
  expect(after).toHaveLength(2);
  expect(after.filter((exit) => !before.includes(exit))).toHaveLength(1);
  for (let i = 0; i < 10; i++) {
    const next = client.dial({ host: '127.0.0.1', port: origin.port });
    await next.opened;
    await next.close();
  }
}, 60_000);

test('a race opens several connections and uses one: nothing is sent on those that lose', async () => {
  await using network = await startNetwork(3, 3, { egress: { race: 3 } });
  const sockets: { bytes: number; ended: boolean }[] = [];
  await using origin = await startOrigin((socket) => {
    const seen = { bytes: 0, ended: false };
    sockets.push(seen);
    socket.on('data', (data) => {
      seen.bytes += data.length;
      socket.write(data);
    });
    for (const event of ['end', 'close', 'error']) {
      socket.on(event, () => {
        seen.ended = true;
        socket.destroy();
      });
    }
  });
  const socks = await network.client.listenSocks({ listen: '127.0.0.1:0' });
  const socket = connect(Number(socks.address.split(':')[1]), '127.0.0.1');
  const chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  socket.write(Buffer.from([5, 1, 0]));
  await chunks.next();
  // What the client sends ahead of the answer has to wait for it as well.
  socket.write(Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, origin.port >> 8, origin.port & 255, ...Buffer.from('early')]));
  const answer = await chunks.next();
  expect(answer.value[1]).toBe(0);
  expect((await chunks.next()).value.toString()).toBe('early');
  // The driver hands bytes on by itself: the count may come after them.
  await vi.waitFor(
    () => expect(network.client.paths().counts).toMatchObject({ connections: 1, attempts: 3, answered: 1 }),
    10_000,
  );
  await vi.waitFor(() => expect(sockets.filter(({ ended }) => !ended)).toHaveLength(1), 10_000);
  expect(sockets.map(({ bytes }) => bytes).sort()).toEqual([...sockets.slice(1).map(() => 0), 5]);
  socket.destroy();
}, 60_000);

test('without an exit a dial says that there is none, and how many nodes are known', async () => {
  await using node = await createNode({ listen: ['127.0.0.1:0'] });
  await expect(node.dial({ host: '127.0.0.1', port: 80 }).opened).rejects.toMatchObject({
    code: 'no_path',
    message: 'no path yet: 0 exits and 0 relays are known, a path has 3 hops',
  });
  await expect(node.connect()).rejects.toMatchObject({ code: 'no_path' });
});

test.each([
  [{ hops: 0 }, /egress.hops must be 1 to 1024/],
  [{ stagger_ms: 0.5 }, /egress.stagger_ms must be 0 to 60000/],
  [{ window_s: 30, sequence_s: 20 }, /window_s must not be longer/],
])('the choice of exits has bounds: %j', async (egress, why) => {
  await expect(createNode({ listen: ['127.0.0.1:0'], egress })).rejects.toThrow(why);
});
