import { describe, expect, it } from 'vitest';
import { WayfareError } from '../base/errors.js';
import type { CircuitSpec, NodeHost } from '../core/host.js';
import { ManualClock, settle } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { quiet } from '../testing/log.js';
import { seeded } from '../testing/seeded.js';
import { Builder } from './builder.js';
import { CircuitPool, POOL_DEFAULTS, REPLACE_MS_MAX } from './pool.js';
import { Suspicion } from './suspicion.js';

/** What a host is asked to do, with circuits that stand unless a dead node is on them. */
function world({ relayCount = 6, seed = 7 } = {}) {
  const relays = Array.from({ length: relayCount }, (_, i) => node(`relay${i}`));
  const exits = Array.from({ length: 2 }, (_, i) => node(`exit${i}`, { exit: true }));
  /** Refuse at once; say nothing at all. */
  const dead = new Set<string>();
  const mute = new Set<string>();
  const circuits = new Map<number, string[]>();
  const connections = new Map<number, number>();
  const moves: [number, number][] = [];
  /** Answer set-ups, and drop every packet after. */
  const dropping = new Set<string>();
  let next = 1;
  const host = {
    async circuitOpen({ hops }: CircuitSpec) {
      const ids = hops.map((hop) => hop.id);
      if (ids.some((id) => mute.has(id))) return new Promise<number>(() => {});
      if (ids.some((id) => dead.has(id))) throw new WayfareError('setup_unreachable', 'no link to the next hop');
      circuits.set(next, ids);
      return next++;
    },
    circuitClose: (circuit: number) => void circuits.delete(circuit),
    circuitStats: (circuit: number) =>
      circuits.has(circuit)
        ? { packets_backward: circuits.get(circuit)?.some((id) => dropping.has(id)) ? 0 : 1 }
        : null,
    async connectionOpen(circuit: number) {
      if (circuits.get(circuit)?.some((id) => dropping.has(id))) return new Promise<number>(() => {});
      connections.set(next, circuit);
      return next++;
    },
    connectionClose: (connection: number) => void connections.delete(connection),
    connectionMove(connection: number, circuit: number) {
      moves.push([connection, circuit]);
      connections.set(connection, circuit);
    },
  } as unknown as NodeHost;
  const clock = new ManualClock();
  const suspicion = new Suspicion(clock);
  const builder = new Builder({
    host,
    descriptors: () => [...relays, ...exits],
    link: async () => {},
    clock,
    random: seeded(seed),
    log: quiet,
    suspicion,
    self: node('self').id,
    hops: 3,
    sizeClass: 'M',
  });
  const lost: string[] = [];
  const onLost = (exit: string) => void lost.push(exit);
  const pool = new CircuitPool({ host, builder, clock, log: quiet, suspicion, onLost });
  const to = { exit: exits[0]?.id as string };
  const open = (key = '') => pool.route(key, to);
  return {
    to,
    open,
    lost,
    relays,
    exits,
    dead,
    mute,
    dropping,
    circuits,
    connections,
    moves,
    clock,
    suspicion,
    builder,
    pool,
  };
}

describe('the pool of circuits', () => {
  it('shares one connection among flows without isolation, and gives each key one of its own', async () => {
    const { open } = world();
    const [a, b] = [await open(), await open()];
    expect(b.connection).toBe(a.connection);
    const [x, y, x2] = await Promise.all([open('user:x'), open('user:y'), open('user:x')]);
    expect(new Set([a.connection, x.connection, y.connection]).size).toBe(3);
    expect(x2.connection).toBe(x.connection);
  });

  it('has the next circuit to a warm exit ready: another key waits for nothing, and another exit has none', async () => {
    const { pool, open, to, mute, relays } = world();
    await open();
    pool.warm([to]);
    await settle();
    for (const relay of relays) mute.add(relay.id);
    expect((await open('user:x')).circuit.path).toHaveLength(3);
  });

  it('moves a stalled connection to a circuit over other relays to the same exit', async () => {
    const { pool, open, circuits, connections, moves, dead, clock } = world();
    const route = await open();
    pool.hold(route);
    await settle();
    const { id: old, path: before } = route.circuit;
    dead.add(before[1] as string);
    pool.handle({ type: 'connection_stalled', connection: route.connection, circuit: old, silent_ms: 1900 });
    await settle();
    expect(moves).toEqual([[route.connection, connections.get(route.connection)]]);
    expect(route.circuit.path.at(-1)).toBe(before.at(-1));
    expect(route.circuit.path.slice(0, -1).some((id) => before.includes(id))).toBe(false);
    // A stall that was reported before the move says nothing of the new circuit.
    pool.handle({ type: 'connection_stalled', connection: route.connection, circuit: old, silent_ms: 2000 });
    await clock.pass(5_000);
    expect(moves).toHaveLength(1);
    // The old one and the losers of the race are closed: what stands is in use.
    expect(circuits.has(old)).toBe(false);
    expect(circuits.size).toBe(1);
  });

  it('gets past relays that say nothing within 3 s, since it tries several paths at a time', async () => {
    const { pool, open, moves, mute, relays, clock } = world();
    const route = await open();
    pool.hold(route);
    await settle();
    const before = route.circuit.path;
    const others = relays.filter((relay) => !before.includes(relay.id));
    mute.add(before[0] as string);
    mute.add(others[0]?.id as string);
    pool.handle({
      type: 'connection_stalled',
      connection: route.connection,
      circuit: route.circuit.id,
      silent_ms: 1900,
    });
    await clock.pass(3_000);
    expect(moves).toHaveLength(1);
    expect(route.circuit.path.some((id) => mute.has(id))).toBe(false);
  });

  it('finds the way past a dead relay in one race even where a path needs one of the old ones', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const { pool, open, moves, mute, clock } = world({ relayCount: 3, seed });
      const route = await open();
      pool.hold(route);
      await settle();
      const victim = route.circuit.path[seed % 2] as string;
      mute.add(victim);
      const { connection, circuit } = route;
      pool.handle({ type: 'connection_stalled', connection, circuit: circuit.id, silent_ms: 1900 });
      await clock.pass(100);
      expect(moves, `seed ${seed}`).toHaveLength(1);
      expect(route.circuit.path).not.toContain(victim);
      pool.close();
    }
  });

  it('keeps trying while the exit cannot be reached, and ends the streams in the end', async () => {
    const { pool, open, connections, dead, clock, relays, moves } = world();
    const route = await open();
    pool.hold(route);
    const stall = () =>
      pool.handle({
        type: 'connection_stalled',
        connection: route.connection,
        circuit: route.circuit.id,
        silent_ms: 1900,
      });
    for (const relay of relays) dead.add(relay.id);
    stall();
    await clock.pass(5_000);
    expect(connections.has(route.connection)).toBe(true);
    for (const relay of relays) dead.delete(relay.id);
    await clock.pass(1_000);
    expect(moves).toHaveLength(1);
    for (const relay of relays) dead.add(relay.id);
    stall();
    await clock.pass(REPLACE_MS_MAX + 1_000);
    expect(connections.has(route.connection)).toBe(false);
  });

  it('believes no relay for its answer to a set-up, only for what comes back: by a handshake, or after a move', async () => {
    // Two relays and one path: whoever is suspected is met again at once.
    const { pool, open, relays, dropping, suspicion, clock } = world({ relayCount: 2 });
    const route = await open();
    pool.hold(route);
    await settle();
    const suspected = () => relays.map(({ id }) => suspicion.of(id));
    const stall = () => {
      const { connection, circuit } = route;
      pool.handle({ type: 'connection_stalled', connection, circuit: circuit.id, silent_ms: 1900 });
    };
    dropping.add(relays[0]?.id as string);
    stall();
    await clock.pass(5_000);
    expect(suspected()).toEqual([1, 1]);
    stall();
    await clock.pass(5_000);
    expect(suspected()).toEqual([2, 2]);
    dropping.clear();
    stall();
    await clock.pass(2_000);
    expect(suspected()).toEqual([3, 3]);
    await clock.pass(3_000);
    expect(suspected()).toEqual([0, 0]);
    suspicion.failed([relays[0]?.id as string]);
    await open('user:other');
    await open('user:a third');
    expect(suspected()).toEqual([0, 0]);
  });

  it('replaces a worn circuit without holding anything against its relays', async () => {
    const { pool, open, moves } = world();
    const route = await open();
    pool.hold(route);
    pool.handle({ type: 'circuit_worn', circuit: route.circuit.id });
    await settle();
    expect(moves).toHaveLength(1);
  });

  it('keeps streams on a worn circuit for as long as there is no other, and moves them once there is', async () => {
    const { pool, open, moves, relays, dead, clock } = world();
    const route = await open();
    pool.hold(route);
    for (const { id } of relays) dead.add(id);
    pool.handle({ type: 'circuit_worn', circuit: route.circuit.id });
    await clock.pass(3 * REPLACE_MS_MAX);
    expect([moves.length, pool.routes().includes(route)]).toEqual([0, true]);
    dead.clear();
    await clock.pass(2000);
    expect(moves).toHaveLength(1);
    // One that stops carrying in the meantime has as long as any other.
    for (const { id } of relays) dead.add(id);
    pool.handle({ type: 'circuit_worn', circuit: route.circuit.id });
    await clock.pass(5000);
    pool.handle({
      type: 'connection_stalled',
      connection: route.connection,
      circuit: route.circuit.id,
      silent_ms: 1800,
    });
    await clock.pass(REPLACE_MS_MAX + 2000);
    expect(pool.routes().includes(route)).toBe(false);
  });

  it('gives new flows a fresh connection after ten minutes, and closes the old one with its last flow', async () => {
    const { pool, open, connections, clock } = world();
    const old = await open();
    const release = pool.hold(old);
    await clock.pass(POOL_DEFAULTS.lifetimeMs + 1);
    const fresh = await open();
    pool.hold(fresh);
    expect(fresh.connection).not.toBe(old.connection);
    expect(connections.has(old.connection)).toBe(true);
    release();
    release();
    expect(connections.has(old.connection)).toBe(false);
    expect(connections.has(fresh.connection)).toBe(true);
  });

  it('closes a connection that has been idle, and keeps one that carries a flow', async () => {
    const { pool, open, connections, clock } = world();
    const [busy, idle] = [await open(), await open('user:x')];
    pool.hold(busy);
    pool.hold(idle)();
    await clock.pass(POOL_DEFAULTS.idleMs + 60_000);
    expect(connections.has(idle.connection)).toBe(false);
    expect(connections.has(busy.connection)).toBe(true);
  });

  it('takes another path when one has a dead node', async () => {
    const { open, relays, dead } = world();
    for (const relay of relays.slice(0, 2)) dead.add(relay.id);
    const route = await open();
    expect(route.circuit.path.some((id) => dead.has(id))).toBe(false);
  });

  it('leaves nothing behind when closed, a circuit under construction included', async () => {
    const { pool, open, circuits, connections } = world();
    await open();
    const late = open('user:x');
    const later = open('user:y');
    pool.close();
    await Promise.allSettled([late, later]);
    await settle();
    expect([circuits.size, connections.size]).toEqual([0, 0]);
    await expect(open()).rejects.toThrow(/closed/);
  });
});
