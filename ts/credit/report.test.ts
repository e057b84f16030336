import { expect, test } from 'vitest';
import { creditsText } from '../cli/commands/credits.js';
import type { CircuitCredits, FlowCredits, NeighbourCredits, NodeCredits } from '../core/node-credits.js';
import { describeCredits } from './report.js';

const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const books = { opening: 0, minted: 1000, decayed: 100, spent: 500, earned: 50 };
const flow = (change: Partial<FlowCredits> = {}): FlowCredits => ({
  in: 0,
  out: 0,
  weight: 0,
  paid: 0,
  throttled: 0,
  rent: 0,
  always: 0,
  load: 0,
  rest: 0,
  passed: 0,
  charged: 0,
  bytes: 0,
  ...change,
});
const neighbour = (peer: string, change: Partial<NeighbourCredits> = {}): NeighbourCredits => ({
  peer,
  account: 450,
  mirror: 900,
  report: 890,
  reportIncrease: 10,
  contributed: 50,
  value: 0,
  valueLately: 0,
  increase: 10,
  expected: 10,
  connections: 1,
  price: 0,
  announcedIn: 0,
  announcedOut: 0,
  books,
  mirrorBooks: books,
  throttled: 0,
  overdrawn: 0,
  carry: 0,
  rent: 0,
  always: 0,
  load: 0,
  waitedBytes: 0,
  ...change,
});
const circuit = (forward: FlowCredits): CircuitCredits => ({
  circuit: 7,
  role: 'relay',
  previous: A,
  next: B,
  rented: false,
  arrears: 0,
  own: 0,
  forward,
  backward: flow(),
});
const node = (neighbours: NeighbourCredits[], now_us: number): NodeCredits => ({
  now_us,
  increase: 1_000_000,
  halfLife_us: 600e6,
  free: false,
  fill: 0.5,
  neighbours,
  books: {
    ...books,
    burned: 0,
    paid: 0,
    own: 0,
    rent: 0,
    always: 5,
    load: 70,
    turned: 0,
    home: 0,
    rest: 0,
    valuedUp: 0,
    valuedDown: 0,
    passed: 0,
    carry: 0,
    kept: 0,
    overdrawn: 0,
  },
});

const before = node([neighbour(A), neighbour(B, { price: 0.25, waitedBytes: 1000 })], 5_000_000);
const after = node(
  [
    neighbour(A, { load: 70, books: { ...books, minted: 1100, decayed: 150, spent: 570, earned: 50 } }),
    neighbour(B, { price: 0.5, waitedBytes: 1140 }),
  ],
  15_000_000,
);

test('what has changed an account and a price is the difference between two looks', () => {
  const report = describeCredits(after, before, ({ peer }) => (peer === A ? -520 : 3));
  expect(report.recent_ms).toBe(10_000);
  expect(report.neighbours[0]).toMatchObject({
    reputation: -520,
    recent: { minted: 100, decayed: 50, spent: 70, earned: 0, load: 70, waited_bytes: 0 },
  });
  expect(report.neighbours[1]?.recent).toMatchObject({ price_before: 0.25, price: 0.5, waited_bytes: 140 });
  expect(report.rewards).toEqual({ rent: 0, always: 5, load: 70 });
});

test('a first look has nothing to compare with, and says so', () => {
  const report = describeCredits(after, null, () => 0);
  expect(report.neighbours.map(({ recent }) => recent)).toEqual([null, null]);
});

test('both views, flows, rewards and prices stand in the table', () => {
  const circuits = [circuit(flow({ in: 2, out: 1, paid: 4000, load: 70, charged: 70, bytes: 140 }))];
  const text = creditsText({ ...describeCredits(after, before, () => -520), circuits, circle: null });
  for (const part of [
    'aaaaaaaaaaaaaaaa',
    '450',
    '900',
    '890',
    '-520',
    '70 for load',
    '4.0 k/s',
    '1.0 k/s',
    '0.500 per byte',
    '140 B had to wait',
    '50 % full',
  ])
    expect(text).toContain(part);
});
