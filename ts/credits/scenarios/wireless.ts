/**
 * Relays that share one wireless carrier. Its access gives each station that waits the same air; a station's queue charges by its own load
 * and knows nothing of the carrier's. So the way over idle relays looks cheap, and takes more air.
 */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import type { Fluid } from '../fluid.js';
import { Network } from '../network.js';
import { AT_REST, HOUR_US, S, type Scenario, type Setting } from '../scenario.js';

/** Bytes per second over the air, all stations together. */
const AIR = 5_000_000;
/** Clients are in reach of the near relay, which is in reach of the gateway; the way round it takes two others. */
const [NEAR, GATEWAY, FIRST_FAR] = [0, 1, 2];
const PAIRS = 4;
const CLIENTS = 40;
const CLASS = 4;
const DEMAND = 200_000;
const STANDS_S = 20;
const CONNECTIONS = 10_000;
const STEP_US = 5 * S;
const TOLD_US = 10 * S;
const HOP = 0.0005;

/** Nobody looks at prices, or each station's own is looked at, or the highest on the carrier counts for every station on it. */
type Told = 'nothing' | 'station' | 'carrier';

interface Aired {
  goodput: number;
  round: number;
  connections: number;
}

/**
 * Sets what each station may send: as much as it has to, or as much as every other that has more. What clients send follows from what their
 * relay passes on, so that the common share is found by halving.
 */
function air({ capacity, load }: Fluid, divide: () => void): void {
  const used = (share: number) => {
    capacity.fill(share);
    divide();
    return load.reduce((sum, one) => sum + one, 0);
  };
  if (used(AIR) <= AIR) return;
  let [low, high] = [0, AIR];
  for (let times = 0; times < 12; times++) {
    const middle = (low + high) / 2;
    if (used(middle) <= AIR) low = middle;
    else high = middle;
  }
  capacity.fill(low);
}

function run({ create, seed, progress }: Setting, follow: number, told: Told): Aired {
  const far = (pair: number, hop: number) => FIRST_FAR + 2 * pair + hop;
  const client = (i: number) => far(PAIRS, 0) + i;
  const nodes = client(CLIENTS);
  const network = new Network({
    create,
    seed,
    nodes,
    step_us: STEP_US,
    link: (from) => from,
    capacity: new Array(nodes).fill(AIR),
  });
  const rest = { account: AT_REST / 4, mirror: AT_REST / 4, expected: 200_000 };
  network.meet(NEAR, GATEWAY, rest, rest);
  for (let pair = 0; pair < PAIRS; pair++) {
    network.meet(far(pair, 0), far(pair, 1), rest, rest);
    network.meet(far(pair, 1), GATEWAY, rest, rest);
  }
  for (let i = 0; i < CLIENTS; i++) {
    network.meet(client(i), NEAR, rest, rest);
    for (let pair = 0; pair < PAIRS; pair++) network.meet(client(i), far(pair, 0), rest, rest);
  }
  const chance = new Chance(seed, 114);
  const price = new Float64Array(nodes);
  let [next_us, round] = [0, 0];
  while (network.now_us < HOUR_US) {
    for (; next_us <= network.now_us; next_us += chance.exponential(HOUR_US / CONNECTIONS)) {
      const from = client(chance.below(CLIENTS));
      const pair = chance.below(PAIRS);
      const ways = [
        [from, NEAR, GATEWAY],
        [from, far(pair, 0), far(pair, 1), GATEWAY],
      ];
      const highest = Math.max(...price);
      const cost = (way: number[]) =>
        way.slice(1, -1).reduce((sum, node) => sum + HOP + (told === 'carrier' ? highest : (price[node] as number)), 0);
      const looks = told !== 'nothing' && chance.unit() < follow;
      const which = looks && cost(ways[1] as number[]) < cost(ways[0] as number[]) ? 1 : 0;
      round += which;
      const path = ways[which] as number[];
      network.open({ path, own: CLASS, demand: DEMAND, until_us: network.now_us + chance.exponential(STANDS_S * S) });
    }
    const flows = network.connections.map(({ flow }) => flow);
    air(network.fluid, () => network.fluid.divide(flows));
    network.step();
    if (network.now_us % TOLD_US === 0) {
      price[NEAR] = network.node(NEAR).of(network.now_us, GATEWAY, 'price');
      for (let pair = 0; pair < PAIRS; pair++) {
        price[far(pair, 0)] = network.node(far(pair, 0)).of(network.now_us, far(pair, 1), 'price');
        price[far(pair, 1)] = network.node(far(pair, 1)).of(network.now_us, GATEWAY, 'price');
      }
    }
    progress(network.now_us / HOUR_US);
  }
  const found = {
    goodput: (network.moved[0] ?? 0) / (HOUR_US / S),
    round: round / network.opened,
    connections: network.opened,
  };
  network.dispose();
  return found;
}

export const wireless: Scenario = {
  name: 'wireless',
  title: 'load charging on a shared wireless carrier',
  run(setting) {
    const follows = [0, 0.3, 0.6, 1];
    const found = follows.map((follow, i) =>
      run({ ...setting, progress: (part) => setting.progress((i + part) / (follows.length + 1)) }, follow, 'station'),
    );
    const carrier = run(setting, 1, 'carrier');
    const [none, all] = [found[0] as Aired, found.at(-1) as Aired];
    const said = ({ goodput, round }: Aired) =>
      `${(goodput / 1e6).toFixed(3)} MB/s, ${(100 * round).toFixed(0)} % take the way round`;
    return {
      figures: [
        figure(
          'goodput where nobody looks at prices, of half the air',
          none.goodput / (AIR / 2),
          { least: 0.95, most: 1.01 },
          said(none),
        ),
        figure(
          'where all follow stations’ own prices, of that',
          all.goodput / none.goodput,
          { least: 2 / 3, most: 1.01 },
          `${said(all)}: the congestion that the source fears; 2/3 where every byte takes three hops of air instead of two`,
        ),
        figure(
          'where a station’s price is the carrier’s, of that',
          carrier.goodput / none.goodput,
          { least: 0.98 },
          said(carrier),
        ),
      ],
      panels: [
        {
          title: 'goodput, of half the air',
          x: 'part of senders that follow prices',
          curves: [
            {
              name: 'stations’ own prices',
              points: found.map(({ goodput }, i) => [follows[i] as number, goodput / (AIR / 2)] as const),
            },
            { name: 'take the way round', points: found.map(({ round }, i) => [follows[i] as number, round] as const) },
          ],
        },
      ],
      nodes: FIRST_FAR + 2 * PAIRS + CLIENTS,
      connections: found.reduce((sum, { connections }) => sum + connections, carrier.connections),
      virtual_s: ((follows.length + 1) * HOUR_US) / S,
    };
  },
};
