/** Accounts in random states, left alone: increase and decay bring each to increase/decay, along a closed form. */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import { grown } from '../graph.js';
import { Network } from '../network.js';
import { AT_REST, HALF_LIFE_US, INCREASE, S, type Scenario } from '../scenario.js';

/** Accounts begin between a hundredth and a hundred times where they end, some at nothing. */
const SPREAD = 2;
const NOTHING = 0.1;
const WITHIN = 0.01;
const STEP_US = 30 * S;

export const convergence: Scenario = {
  name: 'convergence',
  title: 'random states come to increase over decay',
  run({ create, seed, nodes, progress }) {
    const chance = new Chance(seed, 101);
    const graph = grown(nodes, 2, chance);
    const network = new Network({ create, seed, nodes });
    const accounts: { node: number; other: number; rest: number; opening: number }[] = [];
    graph.neighbours.forEach((others, node) => {
      const rest = AT_REST / others.length;
      for (const other of others) {
        const opening = chance.unit() < NOTHING ? 0 : Math.floor(rest * 10 ** (SPREAD * (2 * chance.unit() - 1)));
        network.node(node).meet(0, other, { account: opening });
        accounts.push({ node, other, rest, opening });
      }
    });
    const farthest = Math.max(...accounts.map(({ rest, opening }) => Math.abs(opening - rest) / rest));
    const expected_us = HALF_LIFE_US * Math.log2(farthest / WITHIN);
    const end_us = expected_us + 2 * STEP_US;
    let off = 0;
    let arrived_us = Number.NaN;
    const curve: [number, number][] = [];
    for (let now_us = STEP_US; now_us <= end_us; now_us += STEP_US) {
      let worst = 0;
      // All are read at first and last; in between those that are farthest decide, and a few at random are compared.
      const all = now_us <= STEP_US || now_us > expected_us - 2 * STEP_US || now_us % (20 * STEP_US) === 0;
      if (!all) continue;
      for (const { node, other, rest, opening } of accounts) {
        const kernel = network.node(node);
        const account = kernel.credit.account(now_us, kernel.id(other));
        const formula = rest + (opening - rest) * 2 ** (-now_us / HALF_LIFE_US);
        off = Math.max(off, Math.abs(account - formula) / rest);
        worst = Math.max(worst, Math.abs(account - rest) / rest);
      }
      curve.push([now_us / 60 / S, worst]);
      if (Number.isNaN(arrived_us) && worst <= WITHIN) arrived_us = now_us;
      progress(now_us / end_us);
    }
    let sums = 0;
    graph.neighbours.forEach((others, node) => {
      const kernel = network.node(node);
      const sum = others.reduce((all, other) => all + kernel.of(end_us, other, 'increase'), 0);
      sums = Math.max(sums, Math.abs(sum / INCREASE - 1));
    });
    network.dispose();
    return {
      figures: [
        figure('off the closed form of any account at any time, of where it ends', off, { most: 1e-6 }),
        figure(
          'until all are within 1 %, of the closed form’s time',
          arrived_us / expected_us,
          { least: 0.99, most: 1.01 },
          `${(arrived_us / 60 / S).toFixed(1)} min for ${accounts.length} accounts, up to ${farthest.toFixed(0)} times off at first`,
        ),
        figure('off a constant sum of increases, any node', sums, { most: 1e-4 }),
      ],
      panels: [
        { title: 'the account farthest off', x: 'minutes', yLog: 1e-3, curves: [{ name: 'off', points: curve }] },
      ],
      nodes,
      connections: 0,
      virtual_s: end_us / S,
    };
  },
};
