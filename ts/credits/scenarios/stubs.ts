/**
 * The source's example: A serves k stub clients, and reaches the rest of the world through B. Each stub spends what it has; A passes on what
 * it has itself. Nobody tells A what k is, and k changes.
 */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import type { Connection } from '../connection.js';
import { FREE, Network } from '../network.js';
import { HOUR_US, INCREASE, S, type Scenario, type Setting } from '../scenario.js';
import { jain } from '../spread.js';

const [A, B, SERVER, RIVAL, FIRST] = [0, 1, 2, 3, 4];
const LINK = 0;
const CAPACITY = 10_000_000;
/** A stub opens a connection every so often, each as long. */
const EVERY_US = 20 * S;
/** More than anybody is given. */
const CLASS = 7;
/** The least that a single connection is held to, of its half of the link. */
const ALONE = 0.92;

interface Served {
  gain: number;
  expected: number;
  perStub: number[];
  ofHalf: number;
  curve: [number, number][];
  connections: number;
  nodes: number;
  paid: number;
}

/** `counts` of stubs, one after the other, each for an hour; what the last hour's were served. */
function serve({ create, seed }: Setting, counts: readonly number[], weighted: boolean): Served {
  const most = Math.max(...counts);
  const network = new Network({
    create,
    seed,
    nodes: FIRST + most,
    link: (from, to) => (from === B && to === SERVER ? LINK : FREE),
    capacity: [CAPACITY],
    // Rent, contributions and what routers keep always are other scenarios'.
    credit: () => ({ rule: 'equal', alwaysShare: 0, capacity: 1_000_000 }),
  });
  const chance = new Chance(seed, 103);
  network.meet(A, B, { expected: INCREASE / 3 }, { expected: INCREASE / 3 });
  network.meet(B, SERVER);
  network.meet(B, RIVAL);
  // B mints for A, the server and a rival alike, so that A and the rival could have half of the link each.
  network.open({ path: [RIVAL, B, SERVER], own: CLASS, group: 1_000_000 });
  // With stubs that are given unequal parts: some also did something for A.
  const extra = (stub: number) => (weighted ? (stub % 4) * 20_000 : 0);
  let stubs = 0;
  const held: (Connection | null)[] = [];
  const curve: [number, number][] = [];
  let perStub: number[] = [];
  let half = 0;
  let paid = 0;
  for (const [hour, count] of counts.entries()) {
    for (; stubs < count; stubs++) {
      network.node(A).meet(network.now_us, FIRST + stubs, { expected: INCREASE });
      network.node(FIRST + stubs).meet(network.now_us, A);
    }
    for (; stubs > count; stubs--) {
      const gone = held[stubs - 1];
      if (gone != null) network.close(gone);
      held[stubs - 1] = null;
      network.node(A).part(network.now_us, FIRST + stubs - 1);
    }
    const begun_us = network.now_us;
    const opens_us = Array.from({ length: count }, () => begun_us + EVERY_US * chance.unit());
    while (network.now_us < begun_us + HOUR_US) {
      for (let stub = 0; stub < count; stub++) {
        const node = network.node(A);
        if (extra(stub) > 0) node.credit.earn(network.now_us, node.id(FIRST + stub), extra(stub));
        if (network.now_us < (opens_us[stub] as number)) continue;
        const before = held[stub];
        if (before != null) network.close(before);
        held[stub] = network.open({ path: [FIRST + stub, A, B, SERVER], own: CLASS, group: stub });
        opens_us[stub] = (opens_us[stub] as number) + EVERY_US;
      }
      network.step();
      // The last half of the hour counts.
      if (network.now_us === begun_us + HOUR_US / 2) {
        network.moved = [];
        paid = network.node(B).of(network.now_us, A, 'spent');
      }
      if (network.now_us % (30 * S) === 0) {
        const node = network.node(A);
        const values = Array.from({ length: count }, (_, stub) => node.of(network.now_us, FIRST + stub, 'value'));
        const value = values.reduce((sum, one) => sum + 2 ** one, 0) / count;
        curve.push([network.now_us / 60 / S, value * 2 ** -node.of(network.now_us, B, 'value') * count]);
      }
    }
    const moved = network.moved;
    perStub = Array.from({ length: count }, (_, stub) => moved[stub] ?? 0);
    half = perStub.reduce((sum, one) => sum + one, 0) / ((CAPACITY * (HOUR_US / S)) / 2);
    paid = (network.node(B).of(network.now_us, A, 'spent') - paid) / (HOUR_US / 2 / S);
    if (hour === counts.length - 1) break;
  }
  const count = counts.at(-1) as number;
  const income = Array.from({ length: count }, (_, stub) => INCREASE / (count + 1) + extra(stub));
  const sum = income.reduce((all, one) => all + one, 0);
  const node = network.node(A);
  const values = Array.from({ length: count }, (_, stub) => 2 ** node.of(network.now_us, FIRST + stub, 'value'));
  const mean = values.reduce((all, one, stub) => all + one * (income[stub] as number), 0) / sum;
  const found = {
    gain: mean * 2 ** -node.of(network.now_us, B, 'value'),
    expected: INCREASE / 3 / sum,
    perStub: perStub.map((one, stub) => one / (income[stub] as number)),
    ofHalf: half / 0.5,
    curve,
    connections: network.opened,
    nodes: FIRST + most,
    paid: paid / (INCREASE / 3),
  };
  network.dispose();
  return found;
}

export const stubs: Scenario = {
  name: 'stubs',
  title: 'k stub clients behind one router, k unknown and changing',
  run(setting) {
    const many = Math.max(1, Math.min(100, setting.nodes - FIRST));
    const cases: [string, number[], boolean][] = [
      ['k = 1', [1], false],
      ['k = 10', [10], false],
      [`k = ${many}`, [many], false],
      ['k = 10, unequal', [10], true],
      ['k = 5, then 40, then 10', [5, 40, 10], false],
    ];
    const figures = [];
    const curves = [];
    let [connections, virtual_s, nodes] = [0, 0, 0];
    for (const [i, [name, counts, weighted]] of cases.entries()) {
      setting.progress(i / cases.length);
      const served = serve(setting, counts, weighted);
      const { gain, expected, perStub, ofHalf, curve, paid } = served;
      const mean = perStub.reduce((sum, one) => sum + one, 0) / perStub.length;
      const [low, high] = [Math.min(...perStub), Math.max(...perStub)].map((one) => (one / mean).toFixed(2));
      figures.push(
        figure(`${name}: gain towards B, of income there over incomes here`, gain / expected, {
          least: 0.95,
          most: 1.05,
        }),
        figure(`${name}: paid at B, of what is given there`, paid, { least: 0.95, most: 1.05 }),
        figure(
          `${name}: goodput of all, of A’s half of the link`,
          ofHalf,
          { least: counts.at(-1) === 1 ? ALONE : 0.95, most: 1.05 },
          counts.at(-1) === 1
            ? 'one connection, opened anew every 20 s: its first second, and what values move by, are lost'
            : '',
        ),
        figure(
          `${name}: goodput per income, Jain’s index`,
          jain(perStub),
          { least: 0.95 },
          `from ${low} to ${high} times the mean`,
        ),
      );
      curves.push({ name, points: curve });
      connections += served.connections;
      virtual_s += (counts.length * HOUR_US) / S;
      nodes = Math.max(nodes, served.nodes);
    }
    return {
      figures,
      panels: [{ title: 'k × gain towards B', x: 'minutes', curves }],
      nodes,
      connections,
      virtual_s,
    };
  },
};
