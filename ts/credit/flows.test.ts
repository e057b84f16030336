import { expect, test } from 'vitest';
import { creditRate } from '../core/credit.js';
import { HORIZON_S } from './budget.js';
import { type OwnCircuit, OwnFlows } from './flows.js';

function world(begun?: number) {
  const circuits: OwnCircuit[] = [];
  const said: [number, number][] = [];
  const purses = new Map<string, number>();
  const flows = new OwnFlows({
    circuits: () => circuits,
    purse: (peer) => {
      const rate = purses.get(peer);
      return rate === undefined ? undefined : { credits: rate * HORIZON_S, increase: 0 };
    },
    announce: (circuit, flowClass) => void said.push([circuit, flowClass]),
    ...(begun !== undefined && { begun }),
  });
  return { circuits, said, purses, flows };
}

test('a circuit is told once, and again when what it may have changes', () => {
  const { circuits, said, purses, flows } = world();
  circuits.push({ id: 1, peer: 'a', class: 3 });
  flows.apply();
  flows.apply();
  expect(said).toEqual([[1, 3]]);
  purses.set('a', creditRate(2));
  flows.apply();
  purses.set('a', creditRate(7));
  flows.apply();
  expect(said.slice(1)).toEqual([
    [1, 2],
    [1, 3],
  ]);
  expect(flows.classOf(1)).toBe(3);
});

test('what was announced with a set-up is not said again, and what is not to be had is taken back', () => {
  const { circuits, said, purses, flows } = world(2);
  circuits.push({ id: 1, peer: 'a', class: 2 }, { id: 2, peer: 'a', class: 3 }, { id: 3, peer: 'b', class: 2 });
  purses.set('b', 0);
  flows.apply();
  expect(said).toEqual([
    [2, 3],
    [3, 0],
  ]);
});

test('a circuit that wishes nothing is told nothing, and one that is gone is forgotten', () => {
  const { circuits, said, flows } = world();
  circuits.push({ id: 1, peer: 'a', class: 0 }, { id: 2, peer: 'a', class: 1 });
  flows.apply();
  circuits.length = 0;
  flows.apply();
  expect(said).toEqual([[2, 1]]);
  expect(flows.classOf(2)).toBe(0);
});

test('circuits over one neighbour share its purse, the highest priority first', () => {
  const { circuits, said, purses, flows } = world();
  purses.set('a', creditRate(4) + creditRate(1));
  purses.set('b', creditRate(8));
  circuits.push({ id: 1, peer: 'a', class: 2 }, { id: 2, peer: 'a', class: 4 }, { id: 3, peer: 'b', class: 6 });
  flows.apply();
  expect(Object.fromEntries(said)).toEqual({ 1: 1, 2: 4, 3: 6 });
});
