import { describe, expect, it } from 'vitest';
import { NOW_S, node } from '../testing/descriptors.js';
import { seeded } from '../testing/seeded.js';
import { choosePath, commonSuite } from './path.js';

const relays = Array.from({ length: 6 }, (_, i) => node(`relay${i}`));
const exits = Array.from({ length: 3 }, (_, i) => node(`exit${i}`, { exit: true }));
const all = [...relays, ...exits];
const wishes = { hops: 3, self: node('self').id, now_s: NOW_S };

/** Pearson's statistic against equal counts. */
function chiSquare(counts: number[]): number {
  const expected = counts.reduce((a, b) => a + b) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe('a path', () => {
  it('has distinct nodes, relays first and an exit last', () => {
    const random = seeded(1);
    for (let i = 0; i < 500; i++) {
      const path = choosePath(all, wishes, random);
      expect(new Set(path.map((n) => n.id)).size).toBe(3);
      expect(path.map((n) => n.roles.exit)).toEqual([false, false, true]);
    }
  });

  it('gives every relay the same chance at every place, and every exit', () => {
    const random = seeded(2);
    const counts = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
    for (let i = 0; i < 30_000; i++)
      for (const [place, n] of choosePath(all, wishes, random).entries())
        counts[place]?.set(n.id, (counts[place].get(n.id) ?? 0) + 1);
    // The 99.9 % quantiles of chi-square with 5 and 2 degrees of freedom.
    expect(chiSquare([...(counts[0]?.values() ?? [])])).toBeLessThan(20.5);
    expect(chiSquare([...(counts[1]?.values() ?? [])])).toBeLessThan(20.5);
    expect(chiSquare([...(counts[2]?.values() ?? [])])).toBeLessThan(13.8);
    expect(counts.map((c) => c.size)).toEqual([6, 6, 3]);
  });

  it('leaves out what failed while others suffice, and takes it when they do not', () => {
    const random = seeded(3);
    const most = new Set(relays.slice(0, 4).map((n) => n.id));
    for (let i = 0; i < 100; i++)
      expect(choosePath(all, { ...wishes, avoid: most }, random).some((n) => most.has(n.id))).toBe(false);
    const everyone = new Set(all.map((n) => n.id));
    expect(choosePath(all, { ...wishes, avoid: everyone }, random)).toHaveLength(3);
    // One good relay and one that must be taken: neither place is the other's for ever.
    const five = new Set(relays.slice(0, 5).map((n) => n.id));
    const firstIsGood = Array.from({ length: 200 }, () => choosePath(all, { ...wishes, avoid: five }, random)).filter(
      (path) => path[0]?.id === relays[5]?.id,
    ).length;
    expect(firstIsGood).toBeGreaterThan(50);
    expect(firstIsGood).toBeLessThan(150);
  });

  it('never passes this node, nor one without a valid key, nor one that does not relay', () => {
    const self = node('self');
    const expired = { ...node('expired'), onionKeys: [{ key: new Uint8Array(1216), from_s: 0, until_s: NOW_S - 1 }] };
    const few = [self, expired, node('client', { client: true }), ...relays.slice(0, 2), ...exits];
    for (let i = 0; i < 50; i++) {
      const ids = choosePath(few, { ...wishes, self: self.id }, seeded(i)).map((n) => n.id);
      expect(ids.slice(0, 2).sort()).toEqual(relays.slice(0, 2).map((n) => n.id).sort());
    }
  });

  it('ends at the exit that is asked for', () => {
    const exit = exits[1]?.id as string;
    for (let i = 0; i < 20; i++) expect(choosePath(all, { ...wishes, exit }, seeded(i)).at(-1)?.id).toBe(exit);
  });

  it('says what is missing', () => {
    expect(() => choosePath(relays, wishes, seeded(1))).toThrow(/no exit is known/);
    expect(() => choosePath([...exits, ...relays.slice(0, 1)], wishes, seeded(1))).toThrow(/1 relays are known/);
    expect(() => choosePath(all, { ...wishes, hops: 6 }, seeded(1))).toThrow(/1 to 5 hops/);
  });

  it('takes the suite that all its nodes take', () => {
    const soft = { ...node('soft'), suites: ['chacha20poly1305'] };
    expect(commonSuite(all)).toBe('aes128gcm');
    expect(commonSuite([...relays, soft])).toBe('chacha20poly1305');
  });
});
