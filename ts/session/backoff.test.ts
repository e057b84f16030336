import { expect, it } from 'vitest';
import { seeded } from '../testing/seeded.js';
import { Backoff } from './backoff.js';

it('waits longer after each failure, up to a minute, never in step with others', () => {
  const backoff = new Backoff(seeded(1));
  for (let step_ms = 250; step_ms < 60_000; step_ms *= 2) {
    const wait_ms = backoff.next_ms();
    expect(wait_ms).toBeGreaterThanOrEqual(step_ms / 2);
    expect(wait_ms).toBeLessThanOrEqual(step_ms);
  }
  const late = Array.from({ length: 200 }, () => backoff.next_ms());
  expect(Math.max(...late)).toBeLessThanOrEqual(60_000);
  expect(Math.min(...late)).toBeGreaterThanOrEqual(30_000);
  expect(new Set(late).size).toBeGreaterThan(190);
  backoff.reset();
  expect(backoff.next_ms()).toBeLessThanOrEqual(250);
});
