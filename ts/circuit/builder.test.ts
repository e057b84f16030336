import { describe, expect, it } from 'vitest';
import { WayfareError } from '../base/errors.js';
import type { CircuitSpec, NodeHost, SizeClass } from '../core/host.js';
import { ManualClock, settle } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { quiet } from '../testing/log.js';
import { seeded } from '../testing/seeded.js';
import { Builder } from './builder.js';
import { Suspicion } from './suspicion.js';

/** Every set-up is answered at once, or refused for its class. */
function world(relayCount: number, seed: number, sizeClass: SizeClass = 'M', carried: SizeClass[] = ['M']) {
  const relays = Array.from({ length: relayCount }, (_, i) => node(`relay${i}`));
  const exit = node('exit', { exit: true });
  const opened: string[][] = [];
  const closed: number[] = [];
  const asked: (SizeClass | undefined)[] = [];
  const host = {
    circuitOpen: async (spec: CircuitSpec) => {
      asked.push(spec.sizeClass);
      if (!carried.some((each) => each === spec.sizeClass))
        throw new WayfareError('setup_class', 'too large for a link');
      return opened.push(spec.hops.map((hop) => hop.id));
    },
    circuitClose: (circuit: number) => void closed.push(circuit),
  } as unknown as NodeHost;
  const clock = new ManualClock();
  const suspicion = new Suspicion(clock);
  const builder = new Builder({
    host,
    descriptors: () => [...relays, exit],
    link: async () => {},
    clock,
    random: seeded(seed),
    log: quiet,
    suspicion,
    self: node('self').id,
    hops: 3,
    sizeClass,
  });
  return {
    relays: relays.map(({ id }) => id),
    exit: exit.id,
    opened,
    closed,
    asked,
    carried,
    clock,
    suspicion,
    builder,
  };
}

const SEEDS = Array.from({ length: 50 }, (_, seed) => seed);

describe('a race', () => {
  it.each([1, 3])(
    'has no path over a relay with %i failures while others are left, though others are shared',
    async (n) => {
      for (const seed of SEEDS) {
        // Three paths of two relays each, and four that nothing is held against.
        const { relays, exit, opened, suspicion, builder } = world(6, seed);
        const suspects = relays.slice(0, 2);
        for (let i = 0; i < n; i++) suspicion.failed(suspects);
        await builder.race(3, exit);
        expect(opened.flat().filter((id) => suspects.includes(id))).toEqual([]);
        expect(opened.every((path) => new Set(path).size === 3 && path.at(-1) === exit)).toBe(true);
      }
    },
  );

  it('meets no relay twice while there are enough, closes what loses, and tries no path twice', async () => {
    for (const seed of SEEDS) {
      const { exit, opened, closed, builder } = world(6, seed);
      const winner = await builder.race(3, exit);
      await settle();
      const relays = opened.flatMap((path) => path.slice(0, -1));
      expect([opened.length, new Set(relays).size]).toEqual([3, 6]);
      expect([winner.id, ...closed].sort()).toEqual([1, 2, 3]);
    }
  });

  it('takes the less suspect first where there are only suspects, and those still rather than none', async () => {
    for (const seed of SEEDS) {
      const { relays, exit, opened, suspicion, builder } = world(3, seed);
      suspicion.failed(relays);
      suspicion.failed(relays.slice(0, 1));
      await builder.race(3, exit);
      expect(opened.flat()).not.toContain(relays[0]);
    }
  });
});

describe('a set-up that is answered', () => {
  it('clears nobody of what was held against them: who drops packets answers set-ups', async () => {
    const { relays, exit, suspicion, clock, builder } = world(2, 1);
    suspicion.failed(relays);
    await builder.build(1, exit);
    await builder.race(3, exit);
    expect(relays.map((id) => suspicion.of(id))).toEqual([1, 1]);
    // What was a fault of the moment is forgotten without it.
    await clock.pass(60_000);
    expect(relays.map((id) => suspicion.of(id))).toEqual([0, 0]);
  });
});

describe('the size class of a circuit', () => {
  it('falls back by one class at each refusal, which is held against no relay', async () => {
    const { relays, exit, asked, suspicion, builder } = world(2, 1, 'X', ['J', 'L']);
    expect((await builder.build(1, exit)).sizeClass).toBe('J');
    expect(asked).toEqual(['X', 'J']);
    expect([...relays, exit].map((id) => suspicion.of(id))).toEqual([0, 0, 0]);
  });

  it('is none that a moving connection does not fit in', async () => {
    const { exit, asked, carried, builder } = world(2, 1, 'X', ['L']);
    await expect(builder.race(1, exit, 'J')).rejects.toMatchObject({ code: 'setup_class' });
    expect(asked).toEqual(['X', 'J']);
    carried.push('J');
    expect((await builder.race(1, exit, 'J')).sizeClass).toBe('J');
  });
});
