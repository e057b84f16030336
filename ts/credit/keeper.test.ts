import { expect, test } from 'vitest';
import type { AccountStore, StoredAccount } from '../base/credit.js';
import { SystemError } from '../base/errors.js';
import { ManualClock } from '../testing/clock.js';
import { AccountKeeper } from './keeper.js';

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

function world(saved_ms = 0) {
  const order: string[] = [];
  let now: StoredAccount[] = [kept('a', 10), kept('b', 20)];
  let fails = false;
  const store: AccountStore = {
    load: () => ({ accounts: now, saved_ms }),
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
  });
  const set = (accounts: StoredAccount[]) => {
    now = accounts;
  };
  const fail = (on: boolean) => {
    fails = on;
  };
  return { order, keeper, clock, set, fail };
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

test('accounts come back with how long they lay; a clock that was set back is no time', () => {
  const { clock } = world();
  const { keeper } = world(clock.now_ms() - 5000);
  expect(keeper.restored()).toEqual({ accounts: [kept('a', 10), kept('b', 20)], ago_ms: 5000 });
  expect(world(clock.now_ms() + 5000).keeper.restored().ago_ms).toBe(0);
});
