/** One node under several names beside n others that do as much as it: what its names are given together. */
import { figure } from '../../base/figure.js';
import {
  CREDIT_BACKWARD,
  CREDIT_CHANGE,
  CREDIT_CLASSES,
  type CreateCredit,
  type CreditOptions,
} from '../../core/credit.js';
import { SimulatedNode } from '../node.js';
import { HALF_LIFE_US, HOUR_US, S, type Scenario } from '../scenario.js';

const NAMES = [1, 2, 5, 10, 30, 100, 300, 1000];
/** What we spend a second at each neighbour that contributes. */
const CONTRIBUTED = 10_000;
const STEP_US = 20 * S;
const WARM_US = 4 * HALF_LIFE_US;
/** We could spend as much there as we like. */
const PLENTY = 2 ** 52;

interface Crowd {
  /** The faker's names, and what they contribute together. */
  names: number;
  contributed: number;
  others: number;
  /** Whether one more comes that does nothing. */
  newcomer?: boolean;
  /** The names send all they have to one another through us, and back, without end; and so many bytes a second with it, all in all. */
  pump_bytes?: number;
}

interface Given {
  /** Credits per second, on average over an hour: all of the faker's names, one of the others, the newcomer. */
  faker: number;
  other: number;
  newcomer: number;
}

function given(create: CreateCredit, rule: CreditOptions['rule'], crowd: Crowd): Given {
  const { names, others, contributed } = crowd;
  const node = new SimulatedNode(create, { ...(rule && { rule }) }, new Uint8Array(32), 0);
  const total = names + others + (crowd.newcomer ? 1 : 0);
  for (let i = 0; i < total; i++) node.meet(0, i, { mirror: PLENTY });
  const minted = (from: number, to: number, now_us: number) => {
    let sum = 0;
    for (let i = from; i < to; i++) sum += node.of(now_us, i, 'minted');
    return sum;
  };
  let before: number[] = [];
  const all = (now_us: number) => [
    minted(0, names, now_us),
    minted(names, names + 1, now_us),
    minted(names + others, total, now_us),
  ];
  const chain = crowd.pump_bytes === undefined ? null : pumps(node, names, (crowd.pump_bytes * STEP_US) / S);
  for (let now_us = STEP_US; now_us <= WARM_US + HOUR_US; now_us += STEP_US) {
    for (let i = 0; i < names; i++) {
      // To the unit: names take turns with what does not divide.
      const each =
        Math.floor(((i + 1) * contributed * STEP_US) / S / names) - Math.floor((i * contributed * STEP_US) / S / names);
      if (each > 0) node.credit.earn(now_us, node.id(i), each);
    }
    for (let i = names; i < names + others; i++) node.credit.earn(now_us, node.id(i), (CONTRIBUTED * STEP_US) / S);
    node.credit.settle(now_us);
    chain?.(now_us);
    if (now_us === WARM_US) before = all(now_us);
  }
  const end_us = WARM_US + HOUR_US;
  const [faker = 0, other = 0, newcomer = 0] = all(end_us).map(
    (sum, i) => (sum - (before[i] as number)) / (HOUR_US / S),
  );
  node.credit.close();
  return { faker, other, newcomer };
}

/** Connections from each name to the next and back, over us: they announce the most there is, and all of it comes through again. */
function pumps(node: SimulatedNode, names: number, bytes: number): (now_us: number) => void {
  const changes = new Float64Array(CREDIT_CHANGE * 64);
  const ids = Array.from({ length: names }, (_, i) =>
    node.credit.connectionOpen(0, node.id(i), node.id((i + 1) % names), CREDIT_CLASSES - 1),
  );
  for (const id of ids) node.credit.connectionAnnounced(0, id, CREDIT_BACKWARD, CREDIT_CLASSES - 1);
  return () => {
    node.credit.changes(changes);
    for (const id of ids) node.charge(id, CREDIT_BACKWARD, 0, Math.floor(bytes / names));
    node.flush();
  };
}

export const fakes: Scenario = {
  name: 'fakes',
  title: 'one node under 1 … 1,000 names beside n others',
  run({ create, nodes, progress }) {
    const sizes = [10, Math.min(nodes, 1000)];
    const figures = [];
    const curves = [];
    let done = 0;
    const of = (rule: CreditOptions['rule'], crowd: Crowd) => {
      progress(done++ / (sizes.length * (2 * NAMES.length + 2)));
      return given(create, rule, crowd);
    };
    for (const others of sizes) {
      const equal: [number, number][] = [];
      const shipped: [number, number][] = [];
      let off = 0;
      const one = { others, contributed: CONTRIBUTED };
      const [alone, aloneShipped] = [of('equal', { ...one, names: 1 }), of('contributed', { ...one, names: 1 })];
      // The larger crowd is there to show that n does not matter: fewer points of it.
      for (const names of others === sizes[0] ? NAMES : [10, 1000]) {
        const gain = of('equal', { ...one, names }).faker / alone.faker;
        off = Math.max(off, Math.abs(gain / ((names * (others + 1)) / (others + names)) - 1));
        equal.push([names, gain]);
        shipped.push([names, of('contributed', { ...one, names }).faker / aloneShipped.faker]);
      }
      const gains = (points: [number, number][]) =>
        points.map(([names, gain]) => `${names}: ${gain.toFixed(3)}`).join(', ');
      figures.push(
        figure(`equal split, n = ${others}: off k(n + 1)/(n + k)`, off, { most: 0.005 }, gains(equal)),
        figure(
          `shipped rule, n = ${others}: gain at most`,
          Math.max(...shipped.map(([, gain]) => gain)),
          { most: 1.05 },
          gains(shipped),
        ),
      );
      curves.push({ name: `equal, n = ${others}`, points: equal }, { name: `shipped, n = ${others}`, points: shipped });
    }
    const n = 10;
    const idle = given(create, 'contributed', { names: 1000, others: n, contributed: 0 });
    const newcomer = given(create, 'contributed', { names: 1, others: n, contributed: 0 });
    const among = given(create, 'contributed', { names: 1000, others: n, contributed: 0, newcomer: true });
    const alone = given(create, 'contributed', { names: 2, others: n, contributed: 0 });
    const pump = given(create, 'contributed', { names: 2, others: n, contributed: 0, pump_bytes: 0 });
    const busy = given(create, 'contributed', { names: 2, others: n, contributed: 0, pump_bytes: CONTRIBUTED });
    // All newcomers' parts are 5 % of a contributor's, and every neighbour has one of them.
    const part = 0.05 / (n + 1) / (1 + 0.05 / (n + 1));
    figures.push(
      figure('1,000 names that do nothing: given together, of one contributor', idle.faker / idle.other, {
        most: 0.05,
      }),
      figure(
        'a newcomer that does nothing: given, of its closed form',
        newcomer.faker / newcomer.other / part,
        { least: 0.95, most: 1.05 },
        `${(100 * part).toFixed(2)} % of a contributor’s`,
      ),
      figure(
        'the same beside 1,000 fakes, of a contributor’s',
        among.newcomer / among.other,
        { least: 1e-6 },
        'its part of what all newcomers have',
      ),
      figure(
        'two names that send credits to each other through us: given, of what they are given without',
        pump.faker / alone.faker,
        { most: 1.05 },
      ),
      figure(
        'the same with bytes: given together, of one who carries as many',
        busy.faker / busy.other,
        { most: 1.05 },
        'they take as much bandwidth as serving does',
      ),
    );
    return {
      figures,
      panels: [{ title: 'gain of k names over one', x: 'k', xLog: true, yLog: 0.1, curves }],
      nodes: 1,
      connections: 0,
      virtual_s: (WARM_US + HOUR_US) / S,
    };
  },
};
