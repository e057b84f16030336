import { expect, test } from 'vitest';
import { creditRate } from '../core/credit.js';
import { afford, HORIZON_S } from './budget.js';

const purse = (rate: number) => () => ({ credits: rate * HORIZON_S, increase: 0 });

test('what is wished is given while the credits last', () => {
  const wishes = [1, 4, 2].map((c) => ({ flow: `f${c}`, peer: 'a', class: c }));
  expect([...afford(wishes, purse(1e9))]).toEqual([
    ['f4', 4],
    ['f2', 2],
    ['f1', 1],
  ]);
});

test('the highest priority comes first, the next gets what is left over, and the sum is never more than there is', () => {
  const rate = creditRate(4) + creditRate(2);
  const wishes = ['low', 'high', 'middle'].map((flow, i) => ({ flow, peer: 'a', class: [2, 4, 3][i] as number }));
  const given = afford(wishes, purse(rate));
  expect(Object.fromEntries(given)).toEqual({ high: 4, middle: 2, low: 0 });
  expect([...given.values()].reduce((sum, c) => sum + creditRate(c), 0)).toBeLessThanOrEqual(rate);
});

test('each neighbour has a purse of its own, and what comes by itself counts', () => {
  const purses: Record<string, { credits: number; increase: number }> = {
    rich: { credits: 0, increase: creditRate(3) },
    poor: { credits: 10, increase: 0 },
    owing: { credits: -1e9, increase: creditRate(1) },
  };
  const wishes = Object.keys(purses).map((peer) => ({ flow: peer, peer, class: 5 }));
  const given = afford(wishes, (peer) => purses[peer] as { credits: number; increase: number });
  expect(Object.fromEntries(given)).toEqual({ rich: 3, poor: 0, owing: 1 });
});
