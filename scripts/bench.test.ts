import { expect, test } from 'vitest';
import { rowsOf, type Shown } from '../bench/peers/figures.js';
import { jain, type Transfer } from '../bench/peers/measure.js';
import { judge } from '../bench/rows.js';

const row = (ratio: number) => ({ name: 'a', unit: 's', ours: ratio, floor: 1, ratio });

test('a limit has an upper bound, a lower one, or both', () => {
  const held = (ratio: number, limit: object) => judge(row(ratio), { a: limit }).held;
  expect([0.9, 1, 1.1].map((ratio) => held(ratio, { most: 1 }))).toEqual([true, true, false]);
  expect([0.9, 1, 1.1].map((ratio) => held(ratio, { least: 1 }))).toEqual([false, true, true]);
  expect([0.7, 0.8, 1, 1.2, 1.3].map((ratio) => held(ratio, { least: 0.8, most: 1.2 }))).toEqual([
    false,
    true,
    true,
    true,
    false,
  ]);
  // A figure that stands alone is divided by what is allowed.
  expect(judge({ name: 'a', unit: 'B', ours: 50 }, { a: { allowed: 100 } })).toMatchObject({ held: true, ratio: 0.5 });
  expect(judge({ name: 'a', unit: 'B', ours: 150 }, { a: { allowed: 100 } })).toMatchObject({ held: false });
  expect(judge(row(9), {})).toEqual(row(9));
});

test('what falls a little short is said to, what falls far short is missed', () => {
  const limit = { a: { least: 1, tolerated: 0.8 } };
  expect(judge(row(1), limit)).toMatchObject({ held: true });
  expect(judge(row(0.9), limit)).toMatchObject({ held: false, tolerated: true });
  expect(judge(row(0.79), limit).tolerated).toBeUndefined();
  // Nothing measured holds nothing.
  expect(judge(row(Number.NaN), limit)).toMatchObject({ held: false });
  expect(judge(row(Number.NaN), limit).tolerated).toBeUndefined();
});

test("Jain's index is 1 for equal shares and 1/n when one has everything", () => {
  expect(jain([7, 7, 7, 7])).toBe(1);
  expect(jain([5, 0, 0, 0])).toBe(1 / 4);
  expect(jain([1, 2, 3])).toBeCloseTo(36 / (3 * 14), 12);
});

test("rows are medians of the rounds' ratios, each peer's beside ours of the same round", () => {
  const transfer = (gbit_per_s: number): Transfer => ({
    gbit_per_s,
    flows_bytes: [1],
    cpu_ns_per_byte: { client: 2 },
    load_ns_per_byte: 0,
  });
  const shown = (...rates: number[]): Shown => ({ downloads: rates.map(transfer), uploads: [], first_byte_us: [] });
  const datagrams = [1_000, 2_000, 4_000].map((per_s) => {
    const loss = per_s === 4_000 ? 0.5 : 0.001;
    return { sent: per_s, arrived: per_s, per_s, loss, payload_bytes: 1 };
  });
  const peers = { ours: shown(2, 4, 9), shadowsocks: shown(4, 4, 3) };
  const rows = rowsOf({ mtu: 1500, peers, fairness: undefined, datagrams });
  const of = (name: string) => rows.find((r) => r.name === name);
  expect(of('download_1500_shadowsocks')).toMatchObject({ ours: 4, floor: 4, ratio: 1 });
  expect(of('udp_arrived')).toMatchObject({ ours: 2_000 });
  expect(of('cpu_1500_at_client_shadowsocks')).toMatchObject({ ratio: 1 });
  // Without a peer ours stands alone.
  expect(rowsOf({ mtu: 9000, peers: { ours: shown(3) }, fairness: undefined, datagrams: [] })[0]).toEqual({
    name: 'download_9000',
    unit: 'Gbit/s',
    ours: 3,
  });
});
