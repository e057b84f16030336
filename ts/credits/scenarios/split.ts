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
const OURS = 32;
const BETWEEN = [0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75];
const WARM_US = 300 * S;
const COUNTED_US = 300 * S;
const ALWAYS = 0.01;

interface Line {
  capacities: [number, number];
  /** Connections of rivals at each, all of `CLASS`. */
  rivals: [number, number];
  /** Our connections' class. */
  own: number;
}

/** Goodput of `ours` connections together, bytes per second. */
function simulated({ create, seed }: Setting, { capacities, rivals, own }: Line, ours: number): number {
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
  for (let i = 0; i < ours; i++) network.open({ path: [CLIENT, A, B, SERVER], own, group: 0 });
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
function exhaustive({ capacities, rivals, own }: Line, ours: number): number {
  const keep = 1 - ALWAYS;
  const flow = ours * creditRate(own) * keep;
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

/** A line whose best division passes on so much of each connection. */
function passing(each: number): Line {
  const keep = 1 - ALWAYS;
  const rivals: [number, number] = [OURS, OURS];
  const rival = OURS * creditRate(CLASS) * keep;
  const atB = OURS * each * keep;
  const atA = OURS * (creditRate(CLASS + 1) * keep - each);
  const capacity = 1_000_000;
  // Both links give as much with that: the second one's capacity follows.
  const goodput = (capacity * atA) / (atA + rival);
  return { capacities: [capacity, (goodput * (atB + rival)) / atB], rivals, own: CLASS + 1 };
}

export const split: Scenario = {
  name: 'split',
  title: 'two bottlenecks in a line beside exhaustive search',
  run(setting) {
    const chance = new Chance(setting.seed, 113);
    const lines = Array.from({ length: LINES }, (): Line => {
      const capacity = () => 1_000_000 * 4 ** chance.unit();
      return { capacities: [capacity(), capacity()], rivals: [8 + chance.below(56), 8 + chance.below(56)], own: CLASS };
    });
    const points: [number, number][] = [];
    let connections = 0;
    const ratios = lines.map((line, i) => {
      setting.progress(i / LINES);
      connections += OURS + line.rivals[0] + line.rivals[1];
      return simulated(setting, line, OURS) / exhaustive(line, OURS);
    });
    // Where in between two classes lies what should be passed on; at 0, 1 and 2 it is one of them.
    for (const between of BETWEEN) {
      const line = passing(creditRate(CLASS - 1) * 4 ** between);
      points.push([between, simulated(setting, line, OURS) / exhaustive(line, OURS)]);
      connections += OURS + line.rivals[0] + line.rivals[1];
    }
    const at = (where: (between: number) => boolean) =>
      points.filter(([between]) => where(between)).map(([, part]) => part);
    return {
      figures: [
        figure(
          'random lines: goodput, of the best division, the worst',
          Math.min(...ratios),
          { least: 0.95 },
          ratios.map((ratio) => ratio.toFixed(3)).join(', '),
        ),
        figure('the same on average', ratios.reduce((sum, one) => sum + one, 0) / LINES, { least: 0.95, most: 1.05 }),
        figure(
          'where what is passed on is a class: goodput, of the best division',
          Math.min(...at(Number.isInteger)),
          { least: 0.95 },
          points.map(([between, part]) => `${between}: ${part.toFixed(3)}`).join(', '),
        ),
      ],
      panels: [
        {
          title: 'goodput, of the best division',
          x: 'classes from 64,000 to what should be passed on',
          curves: [{ name: 'split', points }],
        },
      ],
      nodes: 7,
      connections,
      virtual_s: ((LINES + BETWEEN.length) * (WARM_US + COUNTED_US)) / S,
    };
  },
};
