import { expect, test } from 'vitest';
import type { AccountStore, StoredAccount } from '../base/credit.js';
import { SystemError } from '../base/errors.js';
import { ManualClock } from '../testing/clock.js';
import { AccountKeeper, aged } from './keeper.js';

const HALF_LIFE_US = 600e6;
const kept = (peer: string, account: number): StoredAccount => ({
  peer,
  account,
  mirror: 2 * account,
  contributed: account,
  value: 1.5,
  expected: 7,
  earned: 9,
  spent: 8,
});

test('a half-life halves what decays and nothing else; a clock that was set back takes nothing', () => {
  const [half] = aged([kept('a', 1000)], 600_000, HALF_LIFE_US);
  expect(half).toEqual({ ...kept('a', 1000), account: 500, mirror: 1000, contributed: 500 });
  expect(aged([kept('a', 1000)], -5000, HALF_LIFE_US)).toEqual([kept('a', 1000)]);
});

function world() {
  const order: string[] = [];
  let now: StoredAccount[] = [kept('a', 10), kept('b', 20)];
  let fails = false;
  const store: AccountStore = {
    load: () => ({ accounts: now, saved_ms: 0 }),
    save: (accounts) => {
      if (fails) throw new SystemError('store_failed', 'the disk is full');
      order.push(`save ${accounts.map(({ peer, account }) => peer + account).join()}`);
    },
    close: () => void order.push('close'),
  };
  const clock = new ManualClock();
  const keeper = new AccountKeeper({
    store,
    clock,
    accounts: () => now,
    report: () => void order.push('report'),
    halfLife_us: HALF_LIFE_US,
  });
  const set = (accounts: StoredAccount[]) => {
    now = accounts;
  };
  const fail = (on: boolean) => {
    fails = on;
  };
  return { order, keeper, set, fail };
}

test('neighbours are told of nothing that is not on disk, and only what has changed is written again', () => {
  const { order, keeper, set, fail } = world();
  keeper.save();
  set([kept('a', 10), kept('b', 21)]);
  keeper.save();
  fail(true);
  set([kept('a', 11), kept('b', 21)]);
  expect(() => keeper.save()).toThrow(expect.objectContaining({ code: 'store_failed' }));
  fail(false);
  keeper.close();
  expect(order).toEqual(['save a10,b20', 'report', 'save b21', 'report', 'save a11', 'report', 'close']);
});
