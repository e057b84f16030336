import { expect, test } from 'vitest';
import { creditRate } from '../core/credit.js';
import { type CircleParts, CircleRunner, SHUNNED_MS } from './circle-runner.js';
import { type Quote, QuoteBook } from './quotes.js';

const id = (n: number) => n.toString(16).padStart(64, '0');
const [SELF, A, B, C] = [1, 2, 3, 4].map(id) as [string, string, string, string];
const MINUTE_MS = 60_000;

/** A world of four nodes that all know each other; at `A` a credit of this node's is worth 2^`octaves`. */
function world() {
  const all = [SELF, A, B, C];
  const state = { now_ms: 0, octaves: 1, mirror: 128_000_000, brings: 1, fails: false };
  const circuits = new Map<number, { flow: number; path: readonly string[]; paid: number; home: number }>();
  const values = (node: string): Quote[] =>
    all.flatMap((peer) => {
      const value = node === A && peer === SELF ? state.octaves : 0;
      return peer === node ? [] : [{ peer, low: value, high: value }];
    });
  const parts: CircleParts = {
    now_ms: () => state.now_ms,
    sight: (without) => {
      const book = new QuoteBook(SELF);
      for (const node of [A, B, C]) book.take([{ node, quotes: values(node) }], 0);
      return book.sight(values(SELF), 0, without);
    },
    mirror: () => state.mirror,
    open: async (path, flow) => {
      if (state.fails) throw new Error('no circuit');
      circuits.set(circuits.size, { flow, path, paid: 0, home: 0 });
      return circuits.size - 1;
    },
    announce: (circuit, flow) => void Object.assign(circuits.get(circuit)!, { flow }),
    stats: (circuit) => {
      const found = circuits.get(circuit);
      return found === undefined ? null : { credits_paid: found.paid, credits_home: found.home };
    },
    close: (circuit) => void circuits.delete(circuit),
  };
  const runner = new CircleRunner(parts);
  const minute = async () => {
    state.now_ms += MINUTE_MS;
    for (const circuit of circuits.values()) {
      const paid = 60 * creditRate(circuit.flow);
      circuit.paid += paid;
      circuit.home += Math.round(paid * 2 ** state.octaves * state.brings * 0.99);
    }
    await runner.look();
  };
  return { state, circuits, runner, minute };
}

test('the circle that gains is run, more of it while it does, and ended when it does not', async () => {
  const { state, circuits, runner, minute } = world();
  await minute();
  expect(runner.running).toMatchObject({ flow: 1, path: [A, expect.any(String)] });
  expect(runner.running?.gain).toBeCloseTo(2 * 0.99 ** 3, 9);
  await minute();
  await minute();
  expect(runner.running?.flow).toBe(3);
  expect(circuits.get(0)?.flow).toBe(3);
  // No more than a small part of what there is at the first hop.
  state.mirror = 128_000;
  await minute();
  expect(runner.running?.flow).toBe(1);
  state.octaves = 0;
  await minute();
  expect(runner.running).toBeNull();
  expect(circuits.size).toBe(0);
  await minute();
  expect(circuits.size).toBe(0);
});

test('who quotes what it does not pass on is not tried again for an hour', async () => {
  const { state, circuits, runner, minute } = world();
  await minute();
  const path = runner.running?.path as readonly string[];
  state.brings = 0.5;
  await minute();
  expect(circuits.size).toBe(1);
  const next = runner.running?.path;
  expect(next?.[0]).toBe(A);
  expect(next).not.toEqual(path);
  // The other way over it brings no more: now there is none left, until the hour is over.
  await minute();
  await minute();
  for (let left = circuits.size; left > 0; left = circuits.size) await minute();
  expect(runner.running).toBeNull();
  state.brings = 1;
  await minute();
  expect(runner.running).toBeNull();
  state.now_ms += SHUNNED_MS;
  await minute();
  expect(runner.running).not.toBeNull();
});

test('one that cannot be had is shunned, one that has ended is forgotten, and an empty account begins none', async () => {
  const { state, circuits, runner, minute } = world();
  state.mirror = 127_999;
  await minute();
  expect(runner.running).toBeNull();
  state.mirror = 128_000_000;
  state.fails = true;
  await minute();
  expect(runner.running).toBeNull();
  state.fails = false;
  await minute();
  expect(runner.running).not.toBeNull();
  circuits.clear();
  state.octaves = 0;
  await minute();
  expect(runner.running).toBeNull();
  state.octaves = 1;
  await minute();
  runner.close();
  expect([runner.running, circuits.size]).toEqual([null, 0]);
});
