import { describe, expect, it } from 'vitest';
import { settle } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { codeOf, exitsWorld } from '../testing/exits.js';
import type { Alike } from './ahead.js';
import type { Wanted } from './egress.js';

/** What accepts connections and uses decisions by itself, as a host's proxies do. */
function inlet(world: ReturnType<typeof exitsWorld>) {
  const standing = new Map<string, { id: number; connection: number }>();
  /** Of all connections, how many took a decision. */
  const took: boolean[] = [];
  const alikeOf = (name: string): Alike => ({
    name,
    decide: (id, { connection }) => void standing.set(name, { id, connection }),
    async revoke(id) {
      const found = [...standing].find(([, decided]) => decided.id === id);
      return found !== undefined && standing.delete(found[0]);
    },
  });
  let port = 20_000;
  const wantedBy = (name: string, wanted: Partial<Wanted>) => {
    port += 1;
    return { source: `127.0.0.1:${port}`, alike: alikeOf(name), ...wanted };
  };
  /** A connection comes; it is told of at once. */
  const accept = (wanted: Partial<Wanted> = {}, name = 'd.test') => {
    const decided = standing.get(name);
    standing.delete(name);
    took.push(decided !== undefined);
    return world.connect({ ...wantedBy(name, wanted), ahead: decided?.id });
  };
  /** One that moves something and ends; its exit. */
  const use = async (wanted: Partial<Wanted> = {}, name?: string) => {
    const { flow, value } = await accept(wanted, name);
    flow.count(100, 0);
    flow.count(0, 10_000);
    flow.end();
    await settle();
    return world.exitOf(value);
  };
  return { standing, took, accept, use, wantedBy };
}

function both(options: Parameters<typeof exitsWorld>[0] = {}) {
  const world = exitsWorld(options);
  return { world, ...inlet(world) };
}

describe('an exit drawn ahead', () => {
  it('is there from the first answer on, is used once, and the next one stands at once', async () => {
    const { world, standing, took, accept, use } = both();
    await use();
    for (let i = 0; i < 20; i++) {
      const decided = standing.get('d.test');
      expect(decided).toBeDefined();
      const { flow, value } = await accept();
      expect(value).toBe(decided?.connection);
      expect(standing.get('d.test')?.id).toBeGreaterThan(decided?.id as number);
      flow.count(0, 1000);
      flow.end();
    }
    expect(took).toEqual([false, ...Array(20).fill(true)]);
    expect(world.begun).toHaveLength(20);
    expect(world.asked).toHaveLength(21);
    expect([...world.held.values()].every((count) => count === 0)).toBe(true);
    const { counts, destinations } = world.egress.report();
    expect(counts).toMatchObject({ connections: 21, attempts: 21, answered: 21 });
    expect(destinations).toMatchObject([{ destination: 'd.test:443', connections: 21 }]);
  });

  it('leads to all exits that a draw leads to, also to those that have no circuit yet', async () => {
    const { world, took, use } = both({ exits: 6 });
    const used = new Set<string>();
    for (let i = 0; i < 1000; i++) {
      used.add(await use());
      await world.clock.pass(20);
    }
    expect(used.size).toBe(6);
    // One connection comes before each circuit that is built for it stands.
    expect(took.filter((ahead) => !ahead).length).toBeLessThan(10);
  });

  it('counts and learns as if it had been drawn when the connection came', async () => {
    const ways = [both(), both()];
    const reports = [];
    for (const [at, { world, use, accept, standing }] of ways.entries()) {
      for (let i = 0; i < 8; i++) {
        // The second of them never uses one.
        if (at === 1) standing.clear();
        await use({ source: `127.0.0.1:${5000 + i}` });
        await world.clock.pass(50);
      }
      if (at === 1) standing.clear();
      const { flow } = await accept();
      flow.count(10, 5_000);
      const { counts, destinations, flows, window } = world.egress.report();
      reports.push({
        counts: { ...counts, memory_bytes: 0 },
        window,
        flows: flows.map((one) => ({ ...one, exit: '' })),
        destinations: destinations.map(({ hops, ...rest }) => rest),
        data: world.egress.report().hops.reduce((sum, { data }) => sum + data, 0),
      });
      flow.end();
    }
    expect(reports[0]).toEqual(reports[1]);
  });

  it.each([
    'exit_connect_failed',
    'exit_address_denied',
    'exit_name_unresolved',
    'exit_unreachable',
    'timeout',
    'request_malformed',
    'silent',
    'late 700',
  ])('that says %s ends as it would have without', async (said) => {
    const ends = [];
    for (const ahead of [true, false]) {
      const { world, standing, took, accept, use } = both();
      await use();
      await use();
      const before = world.asked.length;
      if (!ahead) standing.clear();
      let first = true;
      world.behaviour.answer = () => {
        const answer = first || said === 'exit_connect_failed' ? said : 'ok';
        first = false;
        return answer;
      };
      const ended = codeOf(
        accept().then(({ flow }) => {
          flow.count(10, 100);
          flow.end();
        }),
      );
      await world.clock.pass(600);
      await world.clock.pass(600);
      expect(took.at(-1)).toBe(ahead);
      expect(new Set(world.asked.slice(before)).size).toBe(world.asked.length - before);
      const { counts, verdicts } = world.egress.report();
      ends.push({
        code: await ended,
        asked: world.asked.length - before,
        discarded: world.discarded.length,
        counts: { ...counts, memory_bytes: 0 },
        verdicts: verdicts.map(({ kind, destination, evidence }) => ({ kind, destination, evidence })),
        held: [...world.held.values()].reduce((sum, count) => sum + count, 0),
      });
    }
    expect(ends[0]).toEqual(ends[1]);
  });

  it('is asked for no retry: none stands at a destination for M after a failure', async () => {
    const { world, standing, took, accept, use } = both();
    await use();
    world.behaviour.answer = () => 'exit_unreachable';
    expect(await codeOf(accept())).toBe('exit_unreachable');
    await settle();
    expect(standing.size).toBe(0);
    world.behaviour.answer = () => 'ok';
    await world.clock.pass(1_900);
    await use();
    expect(standing.has('d.test')).toBe(false);
    await world.clock.pass(200);
    await use();
    expect(standing.has('d.test')).toBe(true);
    expect(took.at(-1)).toBe(false);
  });

  it('is none where a race asks several exits', async () => {
    const cold = both({ race: { cold: 2, explore: 1 } });
    const { flow } = await cold.accept();
    flow.count(0, 1000);
    flow.end();
    await cold.use();
    expect(cold.standing.size).toBe(1);
    await cold.world.clock.pass(11_000);
    expect(cold.standing.size).toBe(0);
    const explore = both({ race: { cold: 1, explore: 2 } });
    for (let i = 0; i < 5; i++) await explore.use();
    expect(explore.standing.size).toBe(0);
  });

  it.each<[string, (of: ReturnType<typeof both>) => unknown]>([
    ['its exit is lost', ({ world }) => world.egress.lost(world.exits[0]?.id as string)],
    [
      'another exit enters',
      ({ world }) => {
        world.learn([...world.relays, ...world.exits, node('exit9', { exit: true })]);
        return world.clock.pass(1_000);
      },
    ],
    [
      'its circuit takes no more streams',
      ({ world }) => {
        world.made.clear();
        world.egress.changed();
      },
    ],
    ['the node drains', ({ world }) => world.egress.drain()],
    ['the next connection is promised another', ({ world }) => world.egress.reserve()],
    ['it has stood for K', ({ world }) => world.clock.pass(10_500)],
  ])('is taken back when %s', async (_, change) => {
    const of = both();
    await of.use();
    expect(of.standing.size).toBe(1);
    await change(of);
    await settle();
    expect(of.standing.size).toBe(0);
  });

  it('that is promised gives way once, and to connections without isolation alone', async () => {
    const { world, standing, use } = both();
    await use();
    await use({ isolation: 'ann' }, 'ann');
    const { connection } = await world.egress.reserve();
    await settle();
    expect(await use()).toBe(world.exitOf(connection));
    expect(standing.has('d.test')).toBe(true);
  });

  it('has a circuit of its own isolation key', async () => {
    const { world, use, standing } = both();
    for (let i = 0; i < 30; i++) {
      await use({ isolation: 'ann' }, 'ann');
      await use({ isolation: 'bob' }, 'bob');
      await world.clock.pass(10);
      for (const [name, { connection }] of standing) {
        const [key] = [...world.made].find(([, route]) => route.connection === connection) as [string, unknown];
        expect(JSON.parse(key)[0]).toBe(name);
      }
    }
    expect(standing.size).toBe(2);
  });

  it('counts where a connection took it while it was being taken back', async () => {
    const { world, standing, wantedBy, use } = both();
    await use();
    const { id, connection } = standing.get('d.test') as { id: number; connection: number };
    standing.delete('d.test');
    world.routes.stands = () => false;
    world.egress.changed();
    await settle();
    const { value, flow } = await world.connect({ ...wantedBy('d.test', {}), ahead: id });
    expect(value).toBe(connection);
    expect(world.begun).toHaveLength(1);
    flow.end();
  });

  it('through an exit that left at that moment races one that is there, and is counted for nobody', async () => {
    for (const gone of ['first', 'last', 'fails'] as const) {
      const { world, standing, wantedBy, use } = both();
      await use();
      const { id, connection } = standing.get('d.test') as { id: number; connection: number };
      standing.delete('d.test');
      const exit = world.exitOf(connection);
      world.egress.lost(exit);
      const answers = { first: ['ok', 'late 100'], last: ['late 100', 'ok'], fails: ['circuit_unknown', 'ok'] }[gone];
      world.behaviour.answer = (of) => (of === exit ? answers[0] : answers[1]) as string;
      const before = world.egress.report().hops.reduce((sum, { data }) => sum + data, 0);
      const connecting = world.connect({ ...wantedBy('d.test', {}), ahead: id });
      await world.clock.pass(200);
      const { value, flow } = await connecting;
      expect(value === connection).toBe(gone === 'first');
      flow.count(0, 700);
      flow.end();
      const after = world.egress.report();
      expect(after.hops.reduce((sum, { data }) => sum + data, 0) - before).toBe(gone === 'first' ? 0 : 700);
      expect(after.flows).toEqual([]);
      expect([...world.held.values()].every((count) => count === 0)).toBe(true);
    }
  });

  it('stands for 64 destinations at most', async () => {
    const { standing, use } = both();
    for (let i = 0; i < 70; i++) await use({ host: `h${i}.test` }, `h${i}`);
    await settle();
    expect(standing.size).toBe(64);
    expect(standing.has('h69')).toBe(true);
    expect(standing.has('h5')).toBe(false);
  });
});
