import { describe, expect, it } from 'vitest';
import { NOW_S, node } from '../testing/descriptors.js';
import { seeded } from '../testing/seeded.js';
import { choosePath } from './path.js';

const relays = Array.from({ length: 6 }, (_, i) => node(`relay${i}`));
const exits = Array.from({ length: 3 }, (_, i) => node(`exit${i}`, { exit: true }));
const all = [...relays, ...exits];
const request = { descriptors: all, hops: 3, self: node('self').id, now_s: NOW_S };
const ids = (path: { id: string }[] | null) => path?.map((n) => n.id) ?? [];

/** Pearson's statistic against equal counts. */
function chiSquare(counts: number[]): number {
  const expected = counts.reduce((a, b) => a + b) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('a path', () => {
  it('has distinct nodes, relays first and an exit last', () => {
    const random = seeded(1);
    for (let i = 0; i < 500; i++) {
      const path = choosePath(request, random);
      expect(new Set(ids(path)).size).toBe(3);
      expect(path?.map((n) => n.roles.exit)).toEqual([false, false, true]);
    }
  });

  it('begins with an entry, whatever is held against the entries, and nowhere where none is left', () => {
    const random = seeded(8);
    const entries = relays.slice(0, 2).map(({ id }) => id);
    const firsts = new Map<string, number>();
    for (let i = 0; i < 2_000; i++) {
      const suspicion = (id: string) => (entries.includes(id) ? i % 3 : 0);
      const [first, ...rest] = ids(choosePath({ ...request, entries, suspicion }, random));
      firsts.set(first as string, (firsts.get(first as string) ?? 0) + 1);
      expect(rest).toHaveLength(2);
      expect(rest).not.toContain(first);
    }
    expect([...firsts.keys()].sort()).toEqual([...entries].sort());
    expect(choosePath({ ...request, entries: [] }, random)).toBeNull();
    expect(choosePath({ ...request, hops: 1, entries: [] }, random)).toHaveLength(1);
    // The only entry may be an exit that is a relay, too: then another exit is taken.
    const both = node('both', { relay: true, exit: true });
    for (let i = 0; i < 50; i++)
      expect(ids(choosePath({ ...request, descriptors: [...all, both], entries: [both.id] }, random))[0]).toBe(both.id);
  });

  it('has distinct nodes where exits are relays as well', () => {
    const random = seeded(5);
    const both = Array.from({ length: 3 }, (_, i) => node(`both${i}`, { relay: true, exit: true }));
    for (let i = 0; i < 200; i++) {
      const path = choosePath({ ...request, descriptors: both }, random);
      expect(new Set(ids(path))).toEqual(new Set(both.map((n) => n.id)));
    }
  });

  it('gives every relay the same chance at every place, and every exit', () => {
    const random = seeded(2);
    const counts = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
    for (let i = 0; i < 30_000; i++)
      for (const [place, id] of ids(choosePath(request, random)).entries())
        counts[place]?.set(id, (counts[place].get(id) ?? 0) + 1);
    // The 99.9 % quantiles of chi-square with 5 and 2 degrees of freedom.
    expect(chiSquare([...(counts[0]?.values() ?? [])])).toBeLessThan(20.5);
    expect(chiSquare([...(counts[1]?.values() ?? [])])).toBeLessThan(20.5);
    expect(chiSquare([...(counts[2]?.values() ?? [])])).toBeLessThan(13.8);
    expect(counts.map((c) => c.size)).toEqual([6, 6, 3]);
  });

  it('gives every ordered pair of relays the same chance', () => {
    const random = seeded(4);
    const counts = new Map<string, number>();
    for (let i = 0; i < 30_000; i++) {
      const pair = ids(choosePath(request, random)).slice(0, 2).join();
      counts.set(pair, (counts.get(pair) ?? 0) + 1);
    }
    expect(counts.size).toBe(30);
    // The 99.9 % quantile of chi-square with 29 degrees of freedom.
    expect(chiSquare([...counts.values()])).toBeLessThan(58.3);
  });

  it('leaves out what failed while others suffice, and takes it when they do not', () => {
    const random = seeded(3);
    const against = (suspects: string[]) => (id: string) => (suspects.includes(id) ? 1 : 0);
    const most = relays.slice(0, 4).map((n) => n.id);
    for (let i = 0; i < 100; i++) {
      const path = ids(choosePath({ ...request, suspicion: against(most) }, random));
      expect(path.some((id) => most.includes(id))).toBe(false);
    }
    expect(choosePath({ ...request, suspicion: () => 1 }, random)).toHaveLength(3);
    // One good relay and one that must be taken: neither place is the other's for ever.
    const five = relays.slice(0, 5).map((n) => n.id);
    const goodFirst = Array.from({ length: 200 }, () =>
      ids(choosePath({ ...request, suspicion: against(five) }, random)),
    );
    expect(goodFirst.every((path) => path.includes(relays[5]?.id as string))).toBe(true);
    const count = goodFirst.filter((path) => path[0] === relays[5]?.id).length;
    expect(count).toBeGreaterThan(50);
    expect(count).toBeLessThan(150);
  });

  it('never passes this node, nor one without a valid key, nor one that does not relay', () => {
    const self = node('self');
    const expired = { ...node('expired'), onionKeys: [{ key: new Uint8Array(1216), from_s: 0, until_s: NOW_S - 1 }] };
    const early = {
      ...node('early'),
      onionKeys: [{ key: new Uint8Array(1216), from_s: NOW_S + 1, until_s: NOW_S + 9 }],
    };
    const few = [self, expired, early, node('client', { client: true }), ...relays.slice(0, 2), ...exits];
    for (let i = 0; i < 50; i++) {
      const path = ids(choosePath({ ...request, descriptors: few }, seeded(i)));
      expect(path.slice(0, 2).sort()).toEqual(
        relays
          .slice(0, 2)
          .map((n) => n.id)
          .sort(),
      );
    }
  });

  it('ends at the exit that is asked for', () => {
    const exit = exits[1]?.id as string;
    for (let i = 0; i < 20; i++) expect(ids(choosePath({ ...request, exit }, seeded(i))).at(-1)).toBe(exit);
    expect(choosePath({ ...request, exit: relays[0]?.id }, seeded(1))).toBeNull();
  });

  it('is none where nodes are too few, also when an exit is needed as a relay', () => {
    const both = node('both', { relay: true, exit: true });
    expect(choosePath({ ...request, descriptors: relays }, seeded(1))).toBeNull();
    expect(choosePath({ ...request, descriptors: [relays[0] as never, both] }, seeded(1))).toBeNull();
    // With the other exit there is one: `both` must then relay.
    for (let i = 0; i < 20; i++) {
      const path = ids(
        choosePath({ ...request, descriptors: [relays[0] as never, both, exits[0] as never] }, seeded(i)),
      );
      expect(path.at(-1)).toBe(exits[0]?.id);
    }
  });
});
