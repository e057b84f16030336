/** Exits decided on ahead, in a network of real nodes: programs see no difference, and what keeps flows apart still does. */
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { HostEvent, NodeHost, ProxyAhead } from '../core/host.js';
import { nodePlatform, WayfareNode } from '../platform/node.js';
import { startNetwork, startOrigin, type TestNetwork } from '../testing/network.js';
import { createNodeOn } from './create.js';

const CLOSE = (socket: Socket) => void socket.end('x');

/** A client whose talk with its host is written down. */
async function watched(network: TestNetwork, egress = {}) {
  const platform = nodePlatform();
  const decided: ProxyAhead[] = [];
  const assigned = new Map<number, number[]>();
  const requests: Extract<HostEvent, { type: 'proxy_request' }>[] = [];
  const bootstrap = network.relays.map(({ id, addresses }) => ({ id, address: addresses[0] as string }));
  const client = await createNodeOn(
    { listen: ['127.0.0.1:0'], bootstrap, egress },
    {
      ...platform,
      createHost: (options, onEvents) => {
        const host = platform.createHost(options, (events) => {
          for (const event of events) if (event.type === 'proxy_request') requests.push(event);
          onEvents(events);
        });
        const told: Partial<NodeHost> = {
          proxyAhead: (ahead) => {
            decided.push(ahead);
            host.proxyAhead?.(ahead);
          },
          proxyAssign: (request, connection) => {
            assigned.set(request, [...(assigned.get(request) ?? []), connection]);
            host.proxyAssign(request, connection);
          },
        };
        return new Proxy(host, {
          get: (object, name: keyof NodeHost & string) => {
            const value = told[name] ?? object[name];
            return typeof value === 'function' && told[name] === undefined ? value.bind(object) : value;
          },
        });
      },
    },
    WayfareNode,
  );
  await client.ready(AbortSignal.timeout(10_000));
  const { address } = await client.listenSocks({ listen: '127.0.0.1:0' });
  const proxy = Number(address.split(':')[1]);
  return { client, proxy, decided, assigned, requests };
}

/** Through SOCKS5: the reply's code and what came until the end. */
async function ask(proxy: number, port: number, user?: string): Promise<{ code: number; text: string }> {
  const socket = connect(proxy, '127.0.0.1');
  const text = (of: string) => [of.length, ...Buffer.from(of)];
  const hello = user === undefined ? [5, 1, 0] : [5, 1, 2, 1, ...text(user), 0];
  socket.write(Buffer.from([...hello, 5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 255]));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  const all = Buffer.concat(chunks).subarray(user === undefined ? 2 : 4);
  return { code: all[1] as number, text: all.subarray(10).toString() };
}

describe('a request whose exit was drawn ahead', () => {
  let network: TestNetwork;
  beforeAll(async () => {
    network = await startNetwork(3, 3);
  });
  afterAll(async () => network?.[Symbol.asyncDispose]());

  test('is served without a question, counted like any other, and has company where it fails', async () => {
    await using origin = await startOrigin(CLOSE);
    const { client, proxy, assigned, requests } = await watched(network);
    await using _ = client;
    // A circuit that is new may be slow at first; then another exit is asked besides.
    const unasked = () => requests.filter(({ request }) => !assigned.has(request));
    let asked = 0;
    await vi.waitFor(async () => {
      asked += 1;
      expect(await ask(proxy, origin.port)).toEqual({ code: 0, text: 'x' });
      expect(unasked().length).toBeGreaterThanOrEqual(5);
    }, 20_000);
    expect(unasked().every(({ ahead }) => ahead !== undefined)).toBe(true);
    await vi.waitFor(
      () =>
        expect(client.paths()).toMatchObject({
          flows: [],
          counts: { connections: asked, answered: asked },
        }),
      20_000,
    );
    const [destination] = client.paths().destinations;
    expect(destination).toMatchObject({ destination: `127.0.0.1:${origin.port}`, connections_sequence: asked });

    // Nobody is there any more: two refusals are believed, and no decision stands.
    await origin[Symbol.asyncDispose]();
    for (let i = 0; i < 2; i++) expect((await ask(proxy, origin.port)).code).toBe(5);
    expect(requests.at(-1)?.ahead).toBeUndefined();
  });

  test('has no circuit that another user has', async () => {
    await using origin = await startOrigin(CLOSE);
    const { client, proxy, decided, assigned, requests } = await watched(network);
    await using _ = client;
    const users = ['ann', 'bob', undefined];
    await vi.waitFor(async () => {
      for (const user of users) expect(await ask(proxy, origin.port, user)).toEqual({ code: 0, text: 'x' });
      const taken = new Set(requests.filter(({ ahead }) => ahead !== undefined).map(({ user }) => user));
      expect(taken.size).toBe(users.length);
    }, 20_000);
    const usersOf = new Map<number, Set<string | undefined>>();
    const has = (connection: number, user: string | undefined) =>
      usersOf.set(connection, (usersOf.get(connection) ?? new Set()).add(user));
    for (const { connection, user } of decided) has(connection, user);
    for (const { request, user } of requests)
      for (const connection of assigned.get(request) ?? []) has(connection, user);
    expect([...usersOf.values()].every(({ size }) => size === 1)).toBe(true);
  });

  test('is one of many at once', async () => {
    await using origin = await startOrigin(CLOSE);
    const { client, proxy } = await watched(network);
    await using _ = client;
    for (let round = 0; round < 3; round++) {
      const all = await Promise.all(Array.from({ length: 60 }, () => ask(proxy, origin.port)));
      expect(all.filter(({ code, text }) => code !== 0 || text !== 'x')).toEqual([]);
    }
    await vi.waitFor(
      () => expect(client.paths()).toMatchObject({ flows: [], counts: { connections: 180, answered: 180 } }),
      20_000,
    );
  });

  test('takes nothing that goes through an exit which is gone', async () => {
    await using own = await startNetwork(3, 2);
    await using origin = await startOrigin(CLOSE);
    const { client, proxy, decided } = await watched(own);
    await using _ = client;
    // While the first circuits are slow another exit is asked besides, and nothing is decided yet.
    await vi.waitFor(async () => {
      await ask(proxy, origin.port);
      expect(decided.length).toBeGreaterThan(0);
    }, 20_000);
    await own.exits[0]?.close();
    for (let i = 0; i < 5; i++) expect(await ask(proxy, origin.port)).toEqual({ code: 0, text: 'x' });
  });
});
