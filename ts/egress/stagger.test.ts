import { expect, test } from 'vitest';
import { ManualClock } from '../testing/clock.js';
import { Staggers } from './stagger.js';

test('waits end in their order and not early, whoever was called off before, with one timer for each length', async () => {
  const clock = new ManualClock();
  let timers = 0;
  const counted = {
    now_ms: () => clock.now_ms(),
    monotonic_ms: () => clock.monotonic_ms(),
    setTimeout: (run: () => void, delay_ms: number) => {
      timers += 1;
      return clock.setTimeout(run, delay_ms);
    },
  };
  const staggers = new Staggers(counted);
  const ended: [string, number][] = [];
  const began_ms = clock.monotonic_ms();
  const wait = (name: string, ms: number) =>
    staggers.after(ms, () => ended.push([name, clock.monotonic_ms() - began_ms]));
  const callOff = wait('a', 500);
  wait('long', 2000);
  await clock.pass(100);
  wait('b', 500);
  wait('c', 500);
  expect(timers).toBe(2);
  callOff();
  await clock.pass(499);
  expect(ended).toEqual([]);
  await clock.pass(1);
  expect(ended.map(([name]) => name)).toEqual(['b', 'c']);
  await clock.pass(2000);
  expect(ended).toEqual([
    ['b', 600],
    ['c', 600],
    ['long', 2000],
  ]);
  wait('never', 500);
  staggers.close();
  await clock.pass(1000);
  expect(ended).toHaveLength(3);
});
