import { describe, expect, it } from 'vitest';
import type { Descriptor } from '../base/directory.js';
import { ManualClock } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { codeOf, exitsWorld } from '../testing/exits.js';
import { seeded } from '../testing/seeded.js';
import { isolationKey } from './isolation.js';
import { DirectorySupply } from './supply.js';

describe('a connection', () => {
  it('goes to one exit of the window where that answers, and lets go of its circuit at its end', async () => {
    const { egress, asked, held, connect, exits } = exitsWorld();
    const { flow, value } = await connect();
    expect(asked).toHaveLength(1);
    expect(held.get(value)).toBe(1);
    expect(egress.report()).toMatchObject({
      window: { size: 6, exits: 6 },
      flows: [{ exit: asked[0], destination: 'd.test:443', protocol: 'tcp' }],
      counts: { connections: 1, attempts: 1, answered: 1 },
    });
    flow.end();
    flow.end();
    expect(held.get(value)).toBe(0);
    expect(egress.report().flows).toEqual([]);
    expect(exits.map(({ id }) => id)).toContain(asked[0]);
  });

  it('asks another exit when one is silent for the stagger, and gives back what comes too late', async () => {
    const { clock, asked, behaviour, connect, discarded, held, egress } = exitsWorld();
    behaviour.answer = (exit) => (exit === asked[0] ? 'late 700' : 'ok');
    const connecting = connect();
    await clock.pass(499);
    expect(asked).toHaveLength(1);
    await clock.pass(2);
    const { flow, value } = await connecting;
    expect(asked).toHaveLength(2);
    expect(new Set(asked).size).toBe(2);
    await clock.pass(300);
    expect(discarded).toHaveLength(1);
    expect(discarded).not.toContain(value);
    expect(held.get(discarded[0] as number)).toBe(0);
    expect(egress.report().counts).toMatchObject({ connections: 1, attempts: 2 });
    flow.end();
  });

  it('races as many exits at once as it is told to where the destination is not known', async () => {
    const { asked, connect, use } = exitsWorld({ race: { cold: 3, explore: 1 } });
    const first = await connect();
    expect(new Set(asked).size).toBe(3);
    first.flow.count(0, 1000);
    first.flow.end();
    for (let i = 0; i < 10; i++) await use();
    expect(asked).toHaveLength(13);
  });

  it.each([
    'exit_address_denied',
    'exit_port_denied',
    'exit_name_unresolved',
    'exit_unreachable',
    'exit_overloaded',
    'timeout',
  ])('takes %s for one exit’s word: others are asked at once, and it is told if all say so', async (said) => {
    const one = exitsWorld();
    one.behaviour.answer = (exit) => (exit === one.asked[0] ? said : 'ok');
    (await one.connect()).flow.end();
    expect(one.asked).toHaveLength(2);
    expect(one.egress.report().verdicts).toMatchObject([
      { kind: 'blocked', exit: one.asked[0], destination: 'd.test:443' },
    ]);
    const all = exitsWorld({ answer: () => said });
    expect(await codeOf(all.connect())).toBe(said);
    expect(all.asked).toHaveLength(4);
    expect(all.egress.report()).toMatchObject({ window: { size: 6 }, verdicts: [] });
  });

  it('believes that a destination refuses when two exits say it, and holds it against neither', async () => {
    const { behaviour, asked, connect, egress, use } = exitsWorld();
    behaviour.answer = () => 'exit_connect_failed';
    expect(await codeOf(connect())).toBe('exit_connect_failed');
    expect(asked).toHaveLength(2);
    behaviour.answer = () => 'ok';
    await use();
    expect(egress.report().verdicts).toEqual([]);
  });

  it('is learnt from by what it moved between its first and its last byte', async () => {
    const { connect, egress, clock } = exitsWorld();
    const { flow } = await connect();
    const moved = { sent: 0, pieces_sent: 0, pieces_received: 10 };
    await clock.pass(2_000);
    flow.moved({ ...moved, sent: 100, received: 500_000, first_us: 1_000_000, last_us: 0 });
    await clock.pass(1_000);
    flow.moved({ ...moved, received: 499_900, first_us: 1_000_000, last_us: 0 });
    const [hop] = egress.report().hops.filter(({ data }) => data > 0);
    expect(hop).toMatchObject({ data: 1_000_000, sent: 100, received: 999_900, untried: false });
    // A million bytes in two seconds.
    expect(hop?.speed).toBeCloseTo(500_000, -2);
    expect(egress.report().flows).toMatchObject([{ sent: 100, received: 999_900 }]);
    flow.end();
  });

  it('is a flow of its own also where another connection has the same source', async () => {
    const { connect, egress, held } = exitsWorld();
    const source = '127.0.0.1:4000';
    const [a, b] = [await connect({ source }), await connect({ source })];
    a.flow.end();
    b.flow.count(10, 10);
    b.flow.end();
    expect(egress.report().flows).toEqual([]);
    expect([...held.values()].every((count) => count === 0)).toBe(true);
    (await connect({ source })).flow.end();
  });

  it('does not ask others for what is no request', async () => {
    const { behaviour, asked, connect } = exitsWorld();
    behaviour.answer = () => 'request_malformed';
    expect(await codeOf(connect())).toBe('request_malformed');
    expect(asked).toHaveLength(1);
  });

  it('holds nothing against a destination’s pair with an exit to which no circuit was to be had; the exit is gone', async () => {
    const { exits, gone, connect, egress, told } = exitsWorld();
    for (const { id } of exits.slice(0, 5)) gone.add(id);
    for (let i = 0; i < 20; i++) {
      const done = await codeOf(connect().then(({ flow }) => flow.end()));
      if (done !== 'fine') continue;
    }
    const { verdicts, hops } = egress.report();
    expect(new Set(verdicts.map(({ kind }) => kind))).toEqual(new Set(['disappeared']));
    expect(hops.filter(({ draining }) => !draining).map(({ exit }) => exit)).toContain(exits[5]?.id);
    expect(told).toContainEqual(expect.objectContaining({ type: 'hop', change: 'left' }));
  });

  it('holds nothing against an exit whose circuit took so long that another one was first', async () => {
    const { clock, asked, connect, egress, slow } = exitsWorld();
    slow.first = true;
    const connecting = connect();
    await clock.pass(501);
    (await connecting).flow.end();
    await clock.pass(5_000);
    expect(asked).toHaveLength(1);
    expect(egress.report()).toMatchObject({ verdicts: [], counts: { attempts: 2 } });
  });

  it('ends with its signal; a silence that was waited for counts', async () => {
    const { clock, behaviour, connect, asked, use, egress } = exitsWorld({ exits: 2 });
    behaviour.answer = () => 'silent';
    const abort = new AbortController();
    const ended = codeOf(connect({}, abort.signal));
    await clock.pass(400);
    abort.abort();
    expect(await ended).toBe('aborted');
    behaviour.answer = () => 'ok';
    await use();
    expect(egress.report().verdicts).toEqual([]);
    expect(await codeOf(connect({}, AbortSignal.abort()))).toBe('aborted');
    expect(asked).toHaveLength(2);
  });

  it('is not learnt from after the node has closed', async () => {
    const { clock, behaviour, connect, egress } = exitsWorld();
    behaviour.answer = (_, host) => (host === 'late.test' ? 'late 100' : 'ok');
    const late = codeOf(connect({ host: 'late.test' }));
    const { flow } = await connect();
    egress.close();
    expect(await late).toBe('closed');
    flow.count(1, 1);
    flow.end();
    await clock.pass(5_000);
  });
});

describe('isolation', () => {
  it('gives flows of different credentials circuits of their own through every exit, and one key one each', async () => {
    const { connect, made } = exitsWorld();
    const ann = isolationKey({ inlet: 'proxy', user: 'ann' });
    const bob = isolationKey({ inlet: 'proxy', user: 'bob' });
    const used = new Map<string, Set<number>>();
    for (let i = 0; i < 120; i++) {
      const isolation = [ann, bob, ''][i % 3] as string;
      const { value, flow } = await connect({ isolation, host: `d${i % 7}.test` });
      flow.end();
      used.set(isolation, (used.get(isolation) ?? new Set()).add(value));
    }
    const all = [...used.values()].flatMap((connections) => [...connections]);
    expect(new Set(all).size).toBe(all.length);
    expect(all.length).toBe(made.size);
    expect(made.size).toBe(18);
  });
});

describe('datagrams', () => {
  it('go to one exit at a time, and to another one when nothing has come for long', async () => {
    const { clock, asked, behaviour, connect } = exitsWorld({ race: { cold: 3 } });
    behaviour.answer = (exit) => (exit === asked[0] ? 'silent' : 'ok');
    const connecting = connect({ protocol: 'udp', source: '127.0.0.1:5353' });
    await clock.pass(1_999);
    expect(asked).toHaveLength(1);
    await clock.pass(2);
    (await connecting).flow.end();
    expect(asked).toHaveLength(2);
  });
});

describe('the window at work', () => {
  it('says why where the directory has no exit, and goes on as soon as there is one', async () => {
    const { connect, learn, relays, exits, egress } = exitsWorld({ exits: 0 });
    await expect(connect()).rejects.toMatchObject({
      code: 'no_path',
      message: 'no path yet: 0 exits and 4 relays are known',
      hint: 'wait until more relays and exits are known, or check the bootstrap peers',
    });
    await expect(egress.reserve()).rejects.toMatchObject({ code: 'no_path' });
    learn([...relays, node('exit9', { exit: true })]);
    (await connect()).flow.end();
    expect(exits).toEqual([]);
  });

  it('does not take a destination that is down everywhere for the exits’ fault', async () => {
    const { behaviour, connect, egress, use, clock } = exitsWorld();
    const before = egress.report().hops.map(({ exit }) => exit);
    behaviour.answer = (_, host) => (host === 'down.test' ? 'timeout' : 'ok');
    for (let i = 0; i < 30; i++) {
      expect(await codeOf(connect({ host: 'down.test' }))).toBe('timeout');
      await use({ host: `up${i % 3}.test` });
      await clock.pass(300);
    }
    const { hops, verdicts } = egress.report();
    expect(verdicts).toEqual([]);
    expect(hops.map(({ exit }) => exit)).toEqual(before);
  });

  it('passes a verdict, tells of it without naming the destination’s flows elsewhere, and forgets it in time', async () => {
    const { behaviour, exits, connect, egress, clock, told, asked } = exitsWorld();
    const bad = exits[2]?.id as string;
    behaviour.answer = (exit, host) => (exit === bad && host === 'd0.test' ? 'exit_unreachable' : 'ok');
    for (let i = 0; i < 40; i++) (await connect({ host: 'd0.test' })).flow.end();
    const verdict = { kind: 'blocked', exit: bad, destination: 'd0.test:443' };
    expect(egress.report().verdicts).toMatchObject([verdict]);
    expect(told.filter(({ type }) => type === 'verdict')).toHaveLength(1);
    const times = asked.filter((exit) => exit === bad).length;
    for (let i = 0; i < 40; i++) (await connect({ host: 'd0.test' })).flow.end();
    expect(asked.filter((exit) => exit === bad)).toHaveLength(times);
    behaviour.answer = () => 'ok';
    await clock.pass(61_000);
    expect(egress.report().verdicts).toEqual([]);
    for (let i = 0; i < 60; i++) (await connect({ host: 'd0.test' })).flow.end();
    expect(asked.filter((exit) => exit === bad).length).toBeGreaterThan(times);
  });

  it('replaces an exit that is lost, and takes it back rather than have none', async () => {
    const { egress, exits, use } = exitsWorld({ exits: 10 });
    await use();
    const before = egress.report().hops.map(({ exit }) => exit);
    // One connection to a destination: N + 1/R × S, rounded up.
    expect(before).toHaveLength(9);
    egress.lost(before[0] as string);
    const after = egress.report();
    expect(after.window.size).toBe(9);
    expect(after.hops.filter(({ draining }) => !draining).map(({ exit }) => exit)).not.toContain(before[0]);
    for (const { id } of exits) egress.lost(id);
    for (const { id } of exits) egress.lost(id);
    expect(egress.report().window.size).toBe(0);
    await use();
    expect(egress.report().window.size).toBeGreaterThan(0);
  });

  it('builds ahead for a minute after the last connection, and not before the first', async () => {
    const { clock, use, warm } = exitsWorld();
    await clock.pass(5_000);
    expect(warm).toEqual([]);
    await use();
    await clock.pass(1_000);
    expect(warm.at(-1)).toHaveLength(6);
    await clock.pass(60_000);
    expect(warm.at(-1)).toEqual([]);
  });

  it('keeps a path that it has promised to the next connection without isolation', async () => {
    const { egress, use } = exitsWorld();
    for (let i = 0; i < 20; i++) {
      const route = await egress.reserve();
      expect(await egress.reserve()).toBe(route);
      expect(egress.path()).toBe(route.circuit.path);
      await use({ isolation: isolationKey({ inlet: 'dial', user: 'x' }) });
      expect(await use()).toBe(route.circuit.path.at(-1));
    }
  });
});

describe('paths of the directory', () => {
  it('are estimated by what descriptors say of landmarks, and by nothing else that they say', () => {
    // All on a line: the round trip between two is how far apart they are. Relays are the landmarks, so each sum is exact.
    const at: Record<string, number> = {};
    const put = (name: string, us: number, roles?: Partial<Descriptor['roles']>) => {
      const it = node(name, roles);
      at[it.id] = us;
      return it;
    };
    const relays = [put('r0', 0), put('r1', 10_000), put('r2', 25_000), put('r3', 70_000)];
    const exits = [put('x0', 30_000, { exit: true }), put('x1', 90_000, { exit: true })];
    const stranger = node('stranger', { exit: true }).id;
    const descriptors = [...relays, ...exits].map((d) => ({
      ...d,
      estimates: {
        landmarks: [
          ...relays.map(({ id }) => ({ id, rtt_us: Math.abs((at[d.id] as number) - (at[id] as number)) })),
          { id: stranger, rtt_us: 0 },
        ],
      },
    }));
    const directory = { descriptors: () => descriptors, subscribe: () => () => {} };
    const self = node('self').id;
    const parts = { directory, clock: new ManualClock(), random: seeded(5), self, hops: 3, entries: 1 };
    const plans = new DirectorySupply(parts).hops(2, 0);
    expect(plans).toHaveLength(2);
    for (const { path, latency_us } of plans) {
      const [a, b, c] = path.map((id) => at[id] as number) as [number, number, number];
      expect(latency_us).toBe(Math.abs(a - b) + Math.abs(b - c));
    }
  });
});

describe('first hops', () => {
  it('are relays that take links over TCP as well, as far as there are such', () => {
    const tcp = (name: string) => ({ ...node(name), reliable: { addresses: ['192.0.2.1:4433'] } });
    for (const [count, least] of [
      [5, 3],
      [2, 2],
    ] as const) {
      const both = Array.from({ length: count }, (_, i) => tcp(`both${i}`));
      const others = Array.from({ length: 9 }, (_, i) => node(`relay${i}`));
      const directory = { descriptors: () => [...others, ...both], subscribe: () => () => {} };
      const random = seeded(3);
      const self = node('self').id;
      const supply = new DirectorySupply({ directory, clock: new ManualClock(), random, self, hops: 3, entries: 3 });
      const ids = supply.entries();
      expect(ids).toHaveLength(3);
      expect(ids.filter((id) => both.some((relay) => relay.id === id))).toHaveLength(least);
    }
  });

  it('are the same few whatever fails, also in the next run; one that has left the network makes room', async () => {
    const clock = new ManualClock();
    let known = Array.from({ length: 12 }, (_, i) => node(`relay${i}`));
    const exits = Array.from({ length: 40 }, (_, i) => node(`exit${i}`, { exit: true }));
    const directory = { descriptors: () => [...known, ...exits], subscribe: () => () => {} };
    const kept: (readonly string[])[] = [];
    const make = (from: readonly string[] = [], seed = 1) =>
      new DirectorySupply({
        directory,
        clock,
        random: seeded(seed),
        self: node('self').id,
        hops: 3,
        entries: 3,
        kept: from,
        onEntries: (ids) => void kept.push(ids),
      });
    const supply = make();
    const firsts = new Set<string>();
    for (let round = 0; round < 60; round++) {
      const now_us = round * 1e6;
      for (const { exit, path } of supply.hops(3, now_us)) {
        firsts.add(path[0] as string);
        expect(path).toHaveLength(3);
        // As if each had failed.
        supply.release(exit, now_us + 500_000);
      }
    }
    expect([...firsts].sort()).toEqual([...supply.entries()].sort());
    expect(firsts.size).toBe(3);
    expect(kept).toHaveLength(1);
    const next = make(kept[0], 99);
    expect(next.entries()).toEqual(kept[0]);
    // Not known yet is not gone.
    const [away] = kept[0] as string[];
    known = known.filter(({ id }) => id !== away);
    const early = make(kept[0], 7);
    early.hops(1, 0);
    expect(early.entries()).toEqual(kept[0]);
    await clock.pass(20_000);
    early.hops(1, 30e6);
    expect(early.entries()).toHaveLength(3);
    expect(early.entries()).not.toContain(away);
    expect(early.entries().filter((id) => kept[0]?.includes(id))).toHaveLength(2);
  });
});
