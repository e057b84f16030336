import { describe, expect, it } from 'vitest';
import { ManualClock } from '../testing/clock.js';
import { REFUSAL_MS, SizeClasses } from './classes.js';

const PATH = ['me', 'a', 'b', 'exit'];

describe('the size class of the next circuit', () => {
  it('is the largest wanted, and the next smaller one after a refusal', () => {
    const classes = new SizeClasses('X', new ManualClock());
    expect(classes.of(PATH)).toBe('X');
    expect(classes.refused(PATH, 'X')).toBe(true);
    expect(classes.of(PATH)).toBe('J');
    expect(classes.refused(PATH, 'J')).toBe(true);
    expect(classes.of(PATH)).toBe('L');
    expect(classes.refused(PATH, 'L')).toBe(false);
    expect(classes.of(PATH)).toBe('L');
  });

  it('is never more than was wanted', () => {
    for (const wanted of ['M', 'L', 'J'] as const) {
      const classes = new SizeClasses(wanted, new ManualClock());
      expect(classes.of(PATH)).toBe(wanted);
      expect(classes.refused(PATH, wanted)).toBe(wanted === 'J');
    }
  });

  it('holds a refusal against the links of that path only, and clears those that carry the class elsewhere', () => {
    const classes = new SizeClasses('X', new ManualClock());
    classes.refused(PATH, 'X');
    expect(classes.of(['me', 'c', 'd', 'exit'])).toBe('X');
    expect(classes.of(['me', 'a', 'd', 'exit'])).toBe('J');
    // The other way round it is another link: each end finds out for itself.
    expect(classes.of(['b', 'a'])).toBe('X');
    classes.carried(['me', 'a', 'd', 'exit'], 'X');
    expect(classes.of(['me', 'a', 'd', 'exit'])).toBe('X');
    expect(classes.of(PATH)).toBe('J');
    // Carrying less says nothing.
    classes.carried(PATH, 'J');
    expect(classes.of(PATH)).toBe('J');
  });

  it('asks for no less than a running connection needs', () => {
    const classes = new SizeClasses('X', new ManualClock());
    classes.refused(PATH, 'X');
    classes.refused(PATH, 'J');
    expect(classes.of(PATH, 'X')).toBe('X');
    expect(classes.of(PATH, 'J')).toBe('J');
    expect(classes.of(PATH, 'L')).toBe('L');
  });

  it('tries again after a while', async () => {
    const clock = new ManualClock();
    const classes = new SizeClasses('X', clock);
    classes.refused(PATH, 'X');
    await clock.pass(REFUSAL_MS - 1);
    expect(classes.of(PATH)).toBe('J');
    await clock.pass(1);
    expect(classes.of(PATH)).toBe('X');
  });

  it('remembers a bounded number of links', () => {
    const classes = new SizeClasses('X', new ManualClock());
    classes.refused(PATH, 'X');
    for (let i = 0; i < 5000; i++) classes.refused([`${i}`, `${i} b`], 'X');
    expect(classes.of(PATH)).toBe('X');
    expect(classes.of(['4999', '4999 b'])).toBe('J');
  });
});
