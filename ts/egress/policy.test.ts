import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import {
  EGRESS_HOP,
  EGRESS_RECORD,
  EGRESS_SOURCE_BYTES,
  EGRESS_STICKY,
  type EgressBinding,
  EgressHop,
} from '../core/egress.js';
import { createNativeEgress } from '../platform/native-egress.js';
import { seeded } from '../testing/seeded.js';
import { EntrySet } from './entries.js';
import { Enumerator } from './enumerate.js';
import { type EgressPolicyChoice, NO_RACE } from './options.js';
import { type Choice, EgressPolicy } from './policy.js';
import { windowFloor } from './window.js';

const S = 1_000_000;
const made: EgressBinding[] = [];
afterEach(() => {
  for (const egress of made.splice(0)) egress.close();
});

function node(exits = 100, choice: EgressPolicyChoice = { race: NO_RACE }) {
  const egress = createNativeEgress({}, new Uint8Array(32).fill(3), 0);
  made.push(egress);
  const random = seeded(11);
  const entries = new EntrySet(['e1', 'e2', 'e3'], 2, random);
  const hops = new Enumerator(random, entries, { relays: 0 });
  const put = (i: number) => hops.exitPut({ id: `x${i}`, confirmed_us: 0, speed: 1e6, capacity: 1e6, estimated_us: 0 });
  for (let i = 0; i < exits; i++) put(i);
  const policy = new EgressPolicy(egress, hops, 0, choice);
  let port = 0;
  const open = (now_us: number, key = 'origin.test:443', hop = -1) => {
    const source = new Uint8Array(EGRESS_SOURCE_BYTES);
    port += 1;
    source.set([port >> 16, (port >> 8) & 255, port & 255], 13);
    return policy.open(now_us, source, key, hop);
  };
  const answer = (now_us: number, choice: Choice, hop = choice.hop, bytes = 10_000) => {
    policy.answered(now_us, choice, hop);
    const record = new Float64Array(EGRESS_RECORD);
    record.set([choice.flow, now_us, 100, bytes, 1, 1]);
    egress.record(now_us, record, 1);
  };
  const serve = (now_us: number, key?: string, hop?: number) => {
    const choice = open(now_us, key, hop);
    answer(now_us, choice);
    policy.close(now_us, choice, false);
    return choice;
  };
  const fail = (now_us: number, key?: string, hop?: number) => {
    const choice = open(now_us, key, hop);
    policy.close(now_us, choice, true);
    return choice;
  };
  return { egress, policy, hops, entries, put, open, answer, serve, fail, exitsNow: () => [...policy.window.hops()] };
}

describe('the hop window', () => {
  test('begins with N, grows by S above R, and never falls below N + (c / R) × S', () => {
    const { policy, serve } = node();
    const { window } = policy.options;
    expect(policy.window.size).toBe(8);
    for (let i = 1; i <= 4; i++) serve(i);
    expect(policy.window.size).toBe(10);
    serve(5);
    // 5 in L: a floor of 8 + 2.5; above R: S on top.
    expect(policy.window.size).toBe(12);
    for (let i = 6; i <= 40; i++) {
      serve(i);
      expect(policy.window.size).toBeGreaterThanOrEqual(windowFloor(window, i));
      expect(policy.window.size).toBeLessThanOrEqual(windowFloor(window, i) + window.step);
    }
    expect(windowFloor(window, 40)).toBe(28);
  });

  test('once every exit has vanished no attempt goes out beside those made, and a new connection says why there is none', () => {
    const { policy, open } = node(2, { race: { cold: 3, explore: 1, stagger_us: 1, most: 8 } });
    const choice = open(0);
    for (const { hop } of [...policy.window.hops()]) policy.lost(1, hop);
    expect([policy.window.size, policy.more(2, choice)]).toEqual([0, -1]);
    policy.close(3, choice, true);
    expect(() => open(4)).toThrow('there is no exit to choose from');
  });

  test('whatever a descriptor says, its estimate counts at most four times the median of the window', () => {
    const egress = createNativeEgress({}, new Uint8Array(32).fill(3), 0);
    made.push(egress);
    const said = [1e300, 3e6, 2e6, Number.NaN, 1e6, Number.POSITIVE_INFINITY, -5, 2e6];
    const plan = (estimate: number, i: number) => ({
      ...{ exit: `x${i}`, path: [], estimate, latency_us: 0, confirmedAge_us: 0, estimateAge_us: 0 },
    });
    const supply = { hops: () => said.map(plan), release: () => {} };
    const { window } = new EgressPolicy(egress, supply, 0, { race: NO_RACE });
    const rows = window.rows(0);
    const estimates = said.map((_, i) => rows[i * EGRESS_HOP + EgressHop.estimate] as number);
    // In order 0, 0, 1, 2, 2, 3, ∞, ∞ MB/s: the lower one in the middle is 2.
    expect(estimates.map((estimate) => Math.min(estimate, 8e6))).toEqual(estimates);
    expect([estimates[0], estimates[1], estimates[5]]).toEqual([8e6, 3e6, 8e6]);
  });

  test('every K the hop with the least data leaves, down to the floor, sparing the young', () => {
    const { policy, serve } = node();
    for (let i = 0; i < 40; i++) serve(i);
    const size = policy.window.size;
    policy.tick(9 * S);
    expect(policy.window.size).toBe(size);
    // A minute later nothing of the burst counts any more.
    let now = 70 * S;
    for (const expected of [size - 1, size - 2, size - 3]) {
      policy.tick(now);
      policy.tick(now + S);
      expect(policy.window.size).toBe(expected);
      now += 10 * S;
    }
    for (let i = 0; i < 60; i++) policy.tick(now + i * 10 * S);
    expect(policy.window.size).toBe(8);
  });

  test('who leaves has the least data, and keeps its live flow', () => {
    const { policy, egress, open, answer, serve, exitsNow } = node(10);
    policy.window.fill(0, 4);
    expect(policy.window.size).toBe(10);
    const all = exitsNow();
    const least = all[4];
    const live = open(20 * S, 'long.test:1', least?.hop);
    answer(20 * S, live, live.hop, 1);
    for (const { hop } of all) if (hop !== least?.hop) serve(20 * S, `d${hop}.test:1`, hop);
    policy.tick(21 * S);
    expect(policy.window.get(least?.hop as number)).toBeUndefined();
    expect(policy.window.size).toBe(9);
    policy.tick(22 * S);
    expect(policy.window.draining).toBe(1);
    expect(egress.record(23 * S, Float64Array.of(live.flow, 23 * S, 1, 1, 1, 1), 1)).toBe(1);
    policy.close(24 * S, live, false);
    policy.tick(25 * S);
    expect(policy.window.draining).toBe(0);
  });

  test('is capped by the directory, fills when that grows, and an empty one is an error that says so', () => {
    const { policy, put, open, serve } = node(0);
    expect(() => open(0)).toThrow(expect.objectContaining({ code: 'window_empty' }));
    for (let i = 0; i < 3; i++) put(i);
    serve(2 * S);
    expect(policy.window.size).toBe(3);
    for (let i = 3; i < 30; i++) put(i);
    policy.tick(3 * S);
    expect(policy.window.size).toBeGreaterThanOrEqual(8);
  });

  test('whatever happens: never below the floor while the directory has more, first hops only of the set', () => {
    const step = fc.record({
      wait_us: fc.integer({ min: 0, max: 4 * S }),
      key: fc.integer({ min: 0, max: 4 }),
      does: fc.constantFrom('serve', 'fail', 'lost', 'tick'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { policy, egress, entries, serve, fail, exitsNow } = node(60);
        let now = 0;
        for (const { wait_us, key, does } of steps) {
          now += wait_us;
          if (does === 'serve') serve(now, `d${key}.test:1`);
          if (does === 'fail') fail(now, `d${key}.test:1`);
          if (does === 'lost') policy.lost(now, exitsNow()[key]?.hop ?? -1);
          if (does === 'tick') policy.tick(now);
          const floor = windowFloor(policy.options.window, egress.connectionsPeak(now));
          const held = policy.verdicts(now).filter(({ kind }) => kind !== 'blocked').length;
          expect(policy.window.size).toBeGreaterThanOrEqual(Math.min(floor, 60 - held - policy.window.draining));
          expect(exitsNow().every(({ path }) => entries.ids.includes(path[0] as string))).toBe(true);
          expect(new Set(exitsNow().map(({ exit }) => exit)).size).toBe(policy.window.size);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('verdicts', () => {
  test('a destination that is down everywhere is held against nobody', () => {
    const { policy, fail, serve, exitsNow } = node(40);
    const before = exitsNow().map(({ exit }) => exit);
    for (let i = 0; i < 400; i++) {
      fail(i * S, 'down.test:443');
      fail(i * S, 'down-too.test:443');
      if (i % 3 === 0) serve(i * S, 'up.test:443');
      policy.tick(i * S);
      expect(policy.verdicts(i * S)).toEqual([]);
      expect(policy.window.size).toBeGreaterThanOrEqual(8);
    }
    expect(before.length).toBe(8);
    expect(serve(401 * S, 'up.test:443').attempts).toHaveLength(1);
  });

  test('blocked: silence while another answers, before or after it; for longer each time; then the way back', () => {
    for (const first of ['silence', 'answer']) {
      const { policy, serve, fail, exitsNow } = node(8);
      const [a, b] = exitsNow() as unknown as [{ hop: number; exit: string }, { hop: number; exit: string }];
      if (first === 'answer') serve(0, 'd.test:1', b.hop);
      fail(S, 'd.test:1', a.hop);
      if (first === 'silence') {
        expect(policy.verdicts(S)).toEqual([]);
        serve(S, 'd.test:1', b.hop);
      }
      expect(policy.verdicts(S)).toMatchObject([
        {
          kind: 'blocked',
          exit: a.exit,
          destination: 'd.test:1',
          since_us: S,
          until_us: 61 * S,
          evidence: { strikes: 1 },
        },
      ]);
      for (let i = 0; i < 50; i++) expect(serve(2 * S, 'd.test:1').hop).not.toBe(a.hop);
      // Other destinations are not concerned, once the hop's failure is K ago.
      const elsewhere = Array.from({ length: 200 }, (_, i) => serve(13 * S, `e${i}.test:1`).hop);
      expect(elsewhere).toContain(a.hop);
      expect(policy.verdicts(61 * S)).toEqual([]);
      serve(61 * S, 'd.test:1', b.hop);
      fail(62 * S, 'd.test:1', a.hop);
      expect(policy.verdicts(62 * S)).toMatchObject([{ until_us: 182 * S, evidence: { strikes: 2 } }]);
    }
  });

  test('bad: silent at four destinations that answer others; it leaves, another enters, and it may come back', () => {
    const { policy, serve, fail, exitsNow } = node(20);
    const [a, b] = exitsNow() as unknown as [{ hop: number; exit: string }, { hop: number; exit: string }];
    for (let i = 0; i < 4; i++) {
      expect(exitsNow().map(({ exit }) => exit)).toContain(a.exit);
      serve(i, `d${i}.test:1`, b.hop);
      fail(i, `d${i}.test:1`, a.hop);
    }
    expect(exitsNow().map(({ exit }) => exit)).not.toContain(a.exit);
    expect(policy.window.size).toBeGreaterThanOrEqual(8);
    const bad = policy.verdicts(4).filter(({ kind }) => kind === 'bad');
    expect(bad).toMatchObject([{ exit: a.exit, evidence: { what: 'silent', destinations: 4 } }]);
    expect(policy.verdicts(61 * S).filter(({ kind }) => kind === 'bad')).toEqual([]);
  });

  test('a hop that some destination answers through is blocked there, not bad', () => {
    const { policy, serve, fail, exitsNow } = node(20);
    const [a, b] = exitsNow() as unknown as [{ hop: number; exit: string }, { hop: number; exit: string }];
    serve(0, 'works.test:1', a.hop);
    for (let i = 0; i < 9; i++) {
      serve(i, `d${i}.test:1`, b.hop);
      fail(i, `d${i}.test:1`, a.hop);
    }
    expect(policy.verdicts(9).map(({ kind }) => kind)).toEqual(Array(9).fill('blocked'));
    expect(exitsNow()).toContainEqual(expect.objectContaining({ exit: a.exit }));
  });

  test('bad: far slower than the others for two K', () => {
    const { policy, egress, open, answer, exitsNow } = node(20);
    const slow = exitsNow()[0] as { hop: number; exit: string };
    const flows = exitsNow().map(({ hop }) => ({ hop, choice: open(0, `d${hop}.test:1`, hop) }));
    for (const { choice } of flows) answer(0, choice);
    for (let s = 1; s <= 21; s++) {
      for (const { hop, choice } of flows) {
        const bytes = hop === slow.hop ? 100 : 100_000;
        egress.record(s * S, Float64Array.of(choice.flow, s * S, 0, bytes, 0, 1), 1);
      }
      policy.tick(s * S);
    }
    expect(policy.verdicts(21 * S)).toMatchObject([{ kind: 'bad', exit: slow.exit, evidence: { what: 'slow' } }]);
  });

  test('disappeared: it leaves at once, another enters, it is held off and may come back', () => {
    const { policy, hops, exitsNow } = node(8);
    const { hop, exit } = exitsNow()[0] as { hop: number; exit: string };
    policy.lost(5, hop);
    expect(policy.verdicts(5)).toMatchObject([{ kind: 'disappeared', exit, until_us: 5 + 30 * S }]);
    policy.tick(S);
    expect(exitsNow().map((one) => one.exit)).not.toContain(exit);
    expect(hops.size).toBe(8);
    policy.tick(31 * S);
    expect(exitsNow().map((one) => one.exit)).toContain(exit);
  });

  test('a verdict on an exit holds when it enters again by another hop', () => {
    const { policy, egress, serve, fail, exitsNow } = node(8, { race: NO_RACE, verdicts: { disappeared_us: S } });
    const [a, b] = exitsNow() as unknown as [{ hop: number; exit: string }, { hop: number; exit: string }];
    serve(0, 'd.test:1', b.hop);
    fail(0, 'd.test:1', a.hop);
    policy.lost(1, a.hop);
    for (const s of [1, 2, 3, 4]) policy.tick(s * S);
    const back = exitsNow().find(({ exit }) => exit === a.exit) as { hop: number };
    expect(back).toBeDefined();
    for (let i = 0; i < 50; i++) expect(serve(5 * S, 'd.test:1').hop).not.toBe(back.hop);
    expect(egress.stats()).toContain('"forced":0');
  });
});

describe('races', () => {
  test('a cold destination is tried by several, the first to answer has the flow, and the next one is no race', () => {
    const { policy, open, answer } = node(20, {
      race: { cold: 3, explore: 1, stagger_us: 0, most: 3 },
      weighting: { destinationShare: 1 },
    });
    const choice = open(0);
    expect(choice).toMatchObject({ cold: true, width: 3 });
    const second = policy.more(0, choice);
    const third = policy.more(0, choice);
    expect(new Set([choice.hop, second, third]).size).toBe(3);
    expect(policy.more(0, choice)).toBe(-1);
    answer(100_000, choice, third);
    expect(choice.hop).toBe(third);
    expect(policy.more(100_001, choice)).toBe(-1);
    // A late answer changes nothing.
    answer(100_002, choice, second);
    expect(choice.hop).toBe(third);
    expect(policy.verdicts(100_002)).toEqual([]);
    policy.close(200_000, choice, false);
    expect(open(200_001)).toMatchObject({ hop: third, cold: false, width: 1 });
  });

  test('a loser that was silent for long is blocked; one that lost by little is not', () => {
    const { policy, open, answer } = node(20, { race: { cold: 1, explore: 1, stagger_us: 500_000, most: 8 } });
    const choice = open(0);
    const second = policy.more(500_000, choice);
    const third = policy.more(1_000_000, choice);
    answer(1_050_000, choice, third);
    expect(
      policy
        .verdicts(1_050_000)
        .map(({ exit }) => exit)
        .sort(),
    ).toEqual([choice.attempts[0]?.hop, second].map((hop) => policy.window.get(hop as number)?.exit).sort());
  });

  test('all silent: the connection fails, each is closed, and nobody is blocked until somebody answers', () => {
    const { policy, egress, open } = node(20, { race: { cold: 3, explore: 1, stagger_us: 0, most: 3 } });
    const choice = open(0);
    while (policy.more(0, choice) >= 0);
    policy.close(10 * S, choice, true);
    policy.close(10 * S, choice, true);
    expect(policy.verdicts(10 * S)).toEqual([]);
    expect(JSON.parse(egress.stats()).flowsLive).toBe(0);
  });

  test('a live tuple keeps its hop and is not raced', () => {
    const { policy } = node(20, {});
    const source = new Uint8Array(EGRESS_SOURCE_BYTES);
    const first = policy.open(0, source, 'd.test:1');
    const again = policy.open(1, source, 'd.test:1');
    expect(again).toMatchObject({ how: EGRESS_STICKY, hop: first.hop, flow: first.flow, width: 1 });
    expect(policy.more(2, again)).toBe(-1);
  });
});
