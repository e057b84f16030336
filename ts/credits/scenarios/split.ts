/** A line of two bottlenecks: what its first router charges and what it passes on, beside every way to divide it. */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import { creditRate } from '../../core/credit.js';
import { FREE, Network } from '../network.js';
import { S, type Scenario, type Setting } from '../scenario.js';

const [CLIENT, A, B, SERVER, RIVAL_A, RIVAL_B, SINK] = [0, 1, 2, 3, 4, 5, 6];
const CLASS = 5;
const RICH = 2 ** 48;
const LINES = 8;
const WARM_US = 300 * S;
const COUNTED_US = 300 * S;
const ALWAYS = 0.01;

interface Line {
  capacities: [number, number];
  /** Connections of rivals at each, all of this class. */
  rivals: [number, number];
}

/** Goodput of `ours` connections together, bytes per second. */
function simulated({ create, seed }: Setting, { capacities, rivals }: Line, ours: number): number {
  const network = new Network({
    create,
    seed,
    nodes: 7,
    link: (from, to) => (from === A && to === B ? 0 : from === B && to === SERVER ? 1 : FREE),
    capacity: capacities,
    credit: () => ({ valuation: false, alwaysShare: ALWAYS }),
  });
  const rich = { account: RICH, mirror: RICH };
  for (const [a, b] of [
    [CLIENT, A],
    [A, B],
    [B, SERVER],
    [RIVAL_A, A],
    [RIVAL_B, B],
    [B, SINK],
  ] as const)
    network.meet(a, b, rich, rich);
  for (let i = 0; i < ours; i++) network.open({ path: [CLIENT, A, B, SERVER], own: CLASS, group: 0 });
  for (let i = 0; i < rivals[0]; i++) network.open({ path: [RIVAL_A, A, B, SINK], own: CLASS, group: 1 });
  for (let i = 0; i < rivals[1]; i++) network.open({ path: [RIVAL_B, B, SERVER], own: CLASS, group: 2 });
  while (network.now_us < WARM_US + COUNTED_US) {
    network.step();
    if (network.now_us === WARM_US) network.moved = [];
  }
  const found = (network.moved[0] ?? 0) / (COUNTED_US / S);
  network.dispose();
  return found;
}

/** The best of ten thousand ways to divide what is announced between the two. */
function exhaustive({ capacities, rivals }: Line, ours: number): number {
  const keep = 1 - ALWAYS;
  const flow = ours * creditRate(CLASS) * keep;
  const [rivalA, rivalB] = rivals.map((count) => count * creditRate(CLASS) * keep) as [number, number];
  let best = 0;
  for (let i = 1; i < 10_000; i++) {
    const atA = (flow * i) / 10_000;
    const atB = (flow - atA) * keep;
    const goodput = Math.min((capacities[0] * atA) / (atA + rivalA), (capacities[1] * atB) / (atB + rivalB));
    best = Math.max(best, goodput);
  }
  return best;
}

export const split: Scenario = {
  name: 'split',
  title: 'two bottlenecks in a line beside exhaustive search',
  run(setting) {
    const chance = new Chance(setting.seed, 113);
    const lines = Array.from({ length: LINES }, (): Line => {
      const capacity = () => 1_000_000 * 4 ** chance.unit();
      return { capacities: [capacity(), capacity()], rivals: [8 + chance.below(56), 8 + chance.below(56)] };
    });
    const points: [number, number][] = [];
    let connections = 0;
    const ratios = lines.map((line, i) => {
      setting.progress(i / LINES);
      connections += 32 + line.rivals[0] + line.rivals[1];
      return simulated(setting, line, 32) / exhaustive(line, 32);
    });
    for (const ours of [1, 4, 16, 64]) {
      const line = lines[0] as Line;
      points.push([ours, simulated(setting, line, ours) / exhaustive(line, ours)]);
      connections += ours + line.rivals[0] + line.rivals[1];
    }
    return {
      figures: [
        figure(
          'goodput of 32 connections, of the best division, the worst line',
          Math.min(...ratios),
          { least: 0.95 },
          ratios.map((ratio) => ratio.toFixed(3)).join(', '),
        ),
        figure('the same on average', ratios.reduce((sum, one) => sum + one, 0) / LINES, { least: 0.95, most: 1.05 }),
      ],
      panels: [
        { title: 'goodput, of the best division', x: 'connections', xLog: true, curves: [{ name: 'split', points }] },
      ],
      nodes: 7,
      connections,
      virtual_s: ((LINES + 4) * (WARM_US + COUNTED_US)) / S,
    };
  },
};
