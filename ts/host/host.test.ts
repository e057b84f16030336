/** Hosts over the native engine and sessions in memory: what `ts/core/host.ts` promises, over any session. */
import { afterEach, describe, expect, it } from 'vitest';
import { WayfareError } from '../base/errors.js';
import type { HostEvent, NodeHost } from '../core/host.js';
import { systemClock, systemRandom } from '../platform/clock.js';
import { nativeCore } from '../platform/native.js';
import { createNativeEngine } from '../platform/native-engine.js';
import { sessionCompliance } from '../testing/session.js';
import { type MemorySession, memoryPair } from '../transport/memory.js';
import { QuicSession } from '../transport/quic.js';
import { engineHosts } from './engine-host.js';
import type { Dialler, OriginConnection, Reached, Transports } from './ports.js';

const core = nativeCore();
const seed = (byte: number) => new Uint8Array(32).fill(byte);

/** Who listens where, and the sessions between them. */
class World {
  readonly sessions: MemorySession[] = [];
  readonly #listening = new Map<string, (reached: Reached) => void>();

  transports(address: string): Transports {
    return {
      start: async (take) => {
        this.#listening.set(address, take);
        return [address];
      },
      dial: async (_peer, [to = '']) => {
        const take = this.#listening.get(to);
        if (take === undefined) throw new WayfareError('link_failed', 'nobody is there');
        const [here, there] = memoryPair();
        this.sessions.push(here, there);
        take({ session: there, address, bindings: [] });
        return { session: here, address: to, bindings: [] };
      },
      close: async () => void this.#listening.delete(address),
    };
  }
}

/** A host, its events, and its links as sessions. */
class TestHost {
  readonly host: NodeHost;
  readonly address: string;
  readonly events: HostEvent[] = [];
  readonly #onionSeed: Uint8Array;
  readonly #sessions = new Map<number, QuicSession>();
  #waiting: (() => void)[] = [];

  constructor(world: World, byte: number, dialler?: Dialler) {
    this.address = `host ${byte}`;
    this.#onionSeed = seed(byte + 100);
    const create = engineHosts({
      createEngine: createNativeEngine,
      clock: systemClock,
      random: systemRandom,
      defer: (turn) => void setImmediate(turn),
      transports: () => world.transports(this.address),
      ...(dialler !== undefined && { dialler }),
    });
    const roles = { client: true, relay: true, exit: true };
    this.host = create({ identitySeed: seed(byte), listen: [], roles, freshKeys: true }, (events) => {
      for (const event of events) this.#take(event);
      for (const look of this.#waiting.splice(0)) look();
    });
    this.host.setOnionKeys([{ seed: this.#onionSeed }]);
  }

  get hop() {
    return { id: this.host.id, onionKey: core.onionPublic(this.#onionSeed) };
  }

  session(): QuicSession {
    return [...this.#sessions.values()].at(-1) as QuicSession;
  }

  /** The first event of this type, past or to come. */
  async event<T extends HostEvent['type']>(type: T): Promise<Extract<HostEvent, { type: T }>> {
    for (;;) {
      const found = this.events.find((event) => event.type === type);
      if (found !== undefined) return found as Extract<HostEvent, { type: T }>;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  #take(event: HostEvent): void {
    this.events.push(event);
    if (event.type === 'link_up') this.#sessions.set(event.link, new QuicSession(this.host, event.link));
    if (event.type === 'stream_opened') this.#sessions.get(event.link)?.takeStream(event.stream);
    if (event.type === 'datagram') this.#sessions.get(event.link)?.takeDatagram(Buffer.from(event.data, 'base64'));
    if (event.type === 'link_down') this.#sessions.get(event.link)?.end(event.reason);
  }
}

const open: TestHost[] = [];
afterEach(async () => {
  for (const { host } of open.splice(0)) await host.close();
});

async function hosts(count: number, dialler?: Dialler): Promise<{ world: World; hosts: TestHost[] }> {
  const world = new World();
  const made = Array.from({ length: count }, (_, i) => new TestHost(world, i + 1, dialler));
  open.push(...made);
  await Promise.all(made.map(({ host }) => host.start()));
  return { world, hosts: made };
}

async function join(from: TestHost, to: TestHost): Promise<number> {
  const link = await from.host.linkOpen(to.host.id, [to.address]);
  await to.event('link_up');
  return link;
}

sessionCompliance('engine host', async () => {
  const { world, hosts: both } = await hosts(2);
  const [a, b] = both as [TestHost, TestHost];
  await join(a, b);
  return {
    a: a.session(),
    b: b.session(),
    lose: () => world.sessions[0]?.lose(),
    [Symbol.asyncDispose]: async () => void (await Promise.all(both.map(({ host }) => host.close()))),
  };
});

/** Returns what comes, and ends when its other side has. */
const echo: Dialler = {
  connect: async (host) => {
    if (host !== 'echo.test') throw new WayfareError('exit_connect_failed', 'refused');
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>({}, undefined, { highWaterMark: 8 });
    const [reader, writer] = [readable.getReader(), writable.getWriter()];
    const connection: OriginConnection = {
      local: '192.0.2.7:4000',
      read: async () => (await reader.read()).value ?? null,
      write: (data) => writer.write(data),
      finish: () => void writer.close().catch(() => {}),
      reset: () => void writer.abort().catch(() => {}),
    };
    return connection;
  },
};

/** A client, a relay and an exit; and a connection over both. */
async function path(): Promise<{ hosts: TestHost[]; connection: number; circuit: number; world: World }> {
  const made = await hosts(3, echo);
  const [client, relay, exit] = made.hosts as [TestHost, TestHost, TestHost];
  await join(client, relay);
  await join(relay, exit);
  const circuit = await client.host.circuitOpen({ hops: [relay.hop, exit.hop] });
  return { ...made, circuit, connection: await client.host.connectionOpen(circuit) };
}

describe('an engine host', () => {
  it('carries a flow over two hops, held back by its slowest part, and lets go of everything', async () => {
    const { hosts: all, connection, circuit } = await path();
    const [client, relay, exit] = all as [TestHost, TestHost, TestHost];
    const { flow, local } = await client.host.flowOpen(connection, 'echo.test', 7);
    expect(local).toBe('192.0.2.7:4000');
    const sent = new Uint8Array(3_000_000).map((_, i) => (i * i) >> 7);
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 70_000) await client.host.flowWrite(flow, sent.slice(at, at + 70_000));
      client.host.flowFinish(flow);
    })();
    const came: Uint8Array[] = [];
    for (let part = await client.host.flowRead(flow); part !== null; part = await client.host.flowRead(flow))
      came.push(part);
    await writing;
    expect(Buffer.concat(came).equals(sent)).toBe(true);
    expect(await client.event('flow_closed')).toMatchObject({
      reason: 'done',
      received: sent.length,
      sent: sent.length,
    });
    expect((await exit.host.stats()).exit).toMatchObject({
      flows_total: 1,
      bytes_in: sent.length,
      bytes_out: sent.length,
    });
    expect((await relay.host.stats()).relayed.bytes_backward).toBeGreaterThan(sent.length);
    expect(client.host.circuitStats(circuit)?.bytes_forward).toBeGreaterThan(sent.length);
    client.host.connectionClose(connection);
    client.host.circuitClose(circuit);
    for (const { host } of all) {
      let stats = await host.stats();
      while (stats.circuits.client + stats.circuits.relay + stats.circuits.exit > 0) {
        await new Promise((resolve) => setImmediate(resolve));
        stats = await host.stats();
      }
      expect([stats.client.flows_open, stats.exit.flows_open, stats.reader_bytes]).toEqual([0, 0, 0]);
    }
  });

  it('says why an exit refuses, and why a flow broke', async () => {
    const { hosts: all, connection, world } = await path();
    const [client] = all as [TestHost];
    await expect(client.host.flowOpen(connection, 'other.test', 7)).rejects.toMatchObject({
      code: 'exit_connect_failed',
    });
    const { flow } = await client.host.flowOpen(connection, 'echo.test', 7);
    const reading = client.host.flowRead(flow);
    client.host.connectionClose(connection);
    await expect(reading).rejects.toMatchObject({ code: 'circuit_closed' });
    await expect(client.host.flowRead(flow)).rejects.toMatchObject({ code: 'flow_reset' });
    for (const session of world.sessions) session.lose();
    expect((await client.event('link_down')).reason).toBe('link_gone');
    expect((await client.event('circuit_down')).reason).toBe('link_gone');
  });

  it('links to nobody but whom it dialled', async () => {
    const { hosts: all } = await hosts(3);
    const [a, b, c] = all as [TestHost, TestHost, TestHost];
    await expect(a.host.linkOpen(c.host.id, [b.address])).rejects.toMatchObject({ code: 'link_refused' });
    await expect(a.host.linkOpen(a.host.id, [a.address])).rejects.toMatchObject({ code: 'link_refused' });
    await expect(a.host.linkOpen(b.host.id, ['nowhere'])).rejects.toMatchObject({ code: 'link_failed' });
    expect((await a.host.stats()).links).toEqual([]);
    expect(a.events.filter((event) => event.type === 'link_up')).toEqual([]);
  });

  it('listens as no proxy, and says what to do instead', async () => {
    const { hosts: all } = await hosts(1);
    for (const call of ['socksListen', 'httpListen'] as const) {
      const refused = (all[0] as TestHost).host[call]({ listen: '127.0.0.1:0' });
      await expect(refused).rejects.toMatchObject({ code: 'unsupported', hint: expect.stringContaining('Node.js') });
    }
  });

  it('ends what waits when it is closed, tells its neighbour, and then says to everything that it is closed', async () => {
    const { hosts: all, connection, circuit } = await path();
    const [client, relay] = all as [TestHost, TestHost];
    const { flow } = await client.host.flowOpen(connection, 'echo.test', 7);
    const waiting = [client.host.flowRead(flow), client.host.circuitOpen({ hops: [relay.hop] })];
    const ends = Promise.allSettled(waiting);
    await client.host.close();
    const closed = { code: 'closed', hint: expect.stringContaining('createNode') };
    for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: closed });
    expect(await relay.event('link_down')).toMatchObject({ peer: client.host.id, reason: 'closed' });
    for (const late of [
      client.host.linkOpen(relay.host.id, [relay.address]),
      client.host.circuitOpen({ hops: [relay.hop] }),
      client.host.flowRead(flow),
      client.host.stats(),
    ])
      await expect(late).rejects.toMatchObject(closed);
    expect(() => client.host.drain()).toThrow(expect.objectContaining(closed));
    client.host.circuitClose(circuit);
    await client.host.close();
  });
});
