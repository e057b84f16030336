import { describe, expect, it } from 'vitest';
import type { Directory } from '../base/directory.js';
import { WayfareError } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import type { CircuitSpec, NodeHost } from '../core/host.js';
import { ManualClock, settle } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { seeded } from '../testing/seeded.js';
import { CircuitBuilder } from './builder.js';
import { CircuitPool, IDLE_MS, ROTATE_MS } from './pool.js';
import { Suspects } from './suspects.js';

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

/** What a host is asked to do, with circuits that stand unless a dead node is on them. */
function world() {
  const relays = Array.from({ length: 6 }, (_, i) => node(`relay${i}`));
  const exits = Array.from({ length: 2 }, (_, i) => node(`exit${i}`, { exit: true }));
  const dead = new Set<string>();
  const circuits = new Map<number, string[]>();
  const connections = new Map<number, number>();
  const moves: [number, number][] = [];
  let next = 1;
  const host = {
    async circuitOpen({ hops }: CircuitSpec) {
      const ids = hops.map((hop) => hop.id);
      if (ids.some((id) => dead.has(id))) throw new WayfareError('setup_unreachable', 'no link to the next hop');
      circuits.set(next, ids);
      return next++;
    },
    circuitClose: (circuit: number) => void circuits.delete(circuit),
    async connectionOpen(circuit: number) {
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
  const directory = { descriptors: () => [...relays, ...exits] } as unknown as Directory;
  const builder = new CircuitBuilder({
    host,
    directory,
    links: { reach: async () => {} },
    clock,
    random: seeded(7),
    log: quiet,
    suspects: new Suspects(clock),
    self: node('self').id,
    hops: 3,
    sizeClass: 'M',
  });
  const pool = new CircuitPool({ host, builder, clock, log: quiet });
  return { relays, exits, dead, circuits, connections, moves, clock, pool, host };
}

describe('the pool of connections', () => {
  it('shares one connection among flows without isolation, and gives each user one of his own', async () => {
    const { pool } = world();
    const [a, b] = [await pool.lease(), await pool.lease()];
    expect(b.connection).toBe(a.connection);
    const [x, y, x2] = await Promise.all([pool.lease('user:x'), pool.lease('user:y'), pool.lease('user:x')]);
    expect(new Set([a.connection, x.connection, y.connection]).size).toBe(3);
    expect(x2.connection).toBe(x.connection);
  });

  it('moves a stalled connection to a circuit over other relays to the same exit', async () => {
    const { pool, circuits, connections, moves, dead } = world();
    const lease = await pool.lease();
    await settle();
    const before = lease.path().map((n) => n.id);
    const old = connections.get(lease.connection) as number;
    dead.add(before[1] as string);
    pool.handle({ type: 'connection_stalled', connection: lease.connection, circuit: old, silent_ms: 1900 });
    await settle();
    expect(moves).toEqual([[lease.connection, connections.get(lease.connection)]]);
    const after = lease.path().map((n) => n.id);
    expect(after.at(-1)).toBe(before.at(-1));
    expect(after.slice(0, -1).some((id) => before.includes(id))).toBe(false);
    expect(circuits.has(old)).toBe(false);
    // The losers of the race are closed: what stands is in use, or the one that stands by.
    expect(circuits.size).toBe(2);
  });

  it('keeps trying while the exit cannot be reached, and gives up in the end', async () => {
    const { pool, connections, dead, clock, relays } = world();
    const lease = await pool.lease();
    for (const relay of relays) dead.add(relay.id);
    pool.handle({ type: 'connection_stalled', connection: lease.connection, circuit: 0, silent_ms: 1900 });
    await clock.pass(5_000);
    expect(connections.has(lease.connection)).toBe(true);
    for (const relay of relays) dead.delete(relay.id);
    await clock.pass(1_000);
    expect(connections.has(lease.connection)).toBe(true);
    for (const relay of relays) dead.add(relay.id);
    pool.handle({ type: 'connection_stalled', connection: lease.connection, circuit: 0, silent_ms: 1900 });
    await clock.pass(16_000);
    expect(connections.has(lease.connection)).toBe(false);
  });

  it('gives new flows a fresh connection after ten minutes, and closes the old one with its last flow', async () => {
    const { pool, connections, clock } = world();
    const old = await pool.lease();
    await clock.pass(ROTATE_MS + 1);
    const fresh = await pool.lease();
    expect(fresh.connection).not.toBe(old.connection);
    expect(connections.has(old.connection)).toBe(true);
    old.release();
    old.release();
    expect(connections.has(old.connection)).toBe(false);
    expect(connections.has(fresh.connection)).toBe(true);
  });

  it('closes a user’s connection that has been idle, and keeps the shared one', async () => {
    const { pool, connections, clock } = world();
    const [shared, own] = [await pool.lease(), await pool.lease('user:x')];
    shared.release();
    own.release();
    await clock.pass(IDLE_MS + 1);
    expect(connections.has(own.connection)).toBe(false);
    expect(connections.has(shared.connection)).toBe(true);
  });

  it('takes another path when one has a dead node', async () => {
    const { pool, relays, dead } = world();
    for (const relay of relays.slice(0, 2)) dead.add(relay.id);
    const lease = await pool.lease();
    expect(lease.path().some((n) => dead.has(n.id))).toBe(false);
  });

  it('leaves nothing behind when closed', async () => {
    const { pool, circuits, connections } = world();
    await pool.lease();
    await pool.lease('user:x');
    await settle();
    pool.close();
    await settle();
    expect([circuits.size, connections.size]).toEqual([0, 0]);
    await expect(pool.lease()).rejects.toThrow(/closed/);
  });
});
