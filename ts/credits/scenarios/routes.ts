/** Senders that take the cheapest way beside senders that take the shortest: the same graph, the same traffic. */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import { CREDIT_NEIGHBOUR, CreditNeighbour } from '../../core/credit.js';
import { edgesOf, grown, joined, Ways } from '../graph.js';
import { Network } from '../network.js';
import { AT_REST, DECAY, HOUR_US, S, type Scenario, type Setting } from '../scenario.js';
import { gini } from '../spread.js';

/** By each of the two. */
const CONNECTIONS = 50_000;
const STEP_US = 10 * S;
/** Prices are told by neighbours once in 10 s, and are averages over a minute. */
const TOLD_US = 10 * S;
/** Bytes per second of each link with 1,000 nodes; with more, less, as the same traffic is spread over more links. */
const CAPACITY = 40_000;
const BYTES = 250_000;
/** It is given up when it has taken so long. */
const PATIENCE_US = 120 * S;
const CLASS = 5;
/** What a hop more is worth, as a price (a full link's is about 10): with 0.02 ways are 8.5 hops long, and goodput falls to a fifth. */
const HOP = 3;

type Chooser = 'shortest' | 'cheapest';

interface Spread {
  gini: number;
  done: number;
  rate: number;
  hops: number;
  sorted: number[];
  connections: number;
}

function run({ create, seed, nodes, progress }: Setting, chooser: Chooser): Spread {
  const chance = new Chance(seed, 108);
  const graph = grown(nodes, 3, chance);
  const edges = edgesOf(graph);
  const edge = (from: number, to: number) => (edges.first[from] as number) + (graph.place[from]?.get(to) as number);
  const network = new Network({
    create,
    seed,
    nodes,
    step_us: STEP_US,
    reports_us: 120 * S,
    link: edge,
    capacity: new Array(edges.to.length).fill(CAPACITY * Math.sqrt(1000 / nodes)),
  });
  // Everybody starts where increase and decay lead, and what both sides think agrees.
  const rest = (node: number) => AT_REST / (graph.neighbours[node] as number[]).length;
  const opening = (node: number, other: number) => ({
    account: rest(node),
    mirror: rest(other),
    expected: rest(other) * DECAY,
  });
  joined(graph, (node, other) => network.meet(node, other, opening(node, other), opening(other, node)));
  const prices = new Float64Array(edges.to.length);
  const ways = new Ways(graph, edges);
  const cost = chooser === 'shortest' ? () => 1 : (which: number) => HOP + (prices[which] as number);
  let [next_us, hops, done, moved, took_us] = [0, 0, 0, 0, 0];
  network.onEnd = ({ connection }) => {
    if (connection.left <= 0) done += 1;
    moved += connection.moved;
    took_us += network.now_us - connection.opened_us;
  };
  const traffic = new Chance(seed, 118);
  const carried = new Float64Array(nodes);
  let rows = new Float64Array(CREDIT_NEIGHBOUR * 64);
  while (network.now_us < HOUR_US) {
    for (; next_us <= network.now_us; next_us += traffic.exponential(HOUR_US / CONNECTIONS)) {
      const [from, to] = [traffic.below(nodes), traffic.below(nodes)];
      const bytes = traffic.exponential(BYTES);
      const path = from === to ? null : ways.path(from, to, cost);
      if (path === null) continue;
      hops += path.length - 1;
      network.open({ path, own: CLASS, bytes, until_us: network.now_us + PATIENCE_US });
    }
    network.step();
    for (let node = 0; node < nodes; node++)
      for (let which = edges.first[node] as number; which < (edges.first[node + 1] as number); which++)
        carried[node]! += network.fluid.load[which] as number;
    if (chooser === 'cheapest' && network.now_us % TOLD_US === 0)
      network.active((which, node) => {
        const count = (edges.first[which + 1] as number) - (edges.first[which] as number);
        if (rows.length < count * CREDIT_NEIGHBOUR) rows = new Float64Array(2 * count * CREDIT_NEIGHBOUR);
        node.credit.neighbours(network.now_us, 0, rows);
        for (let i = 0; i < count; i++)
          prices[(edges.first[which] as number) + i] = rows[i * CREDIT_NEIGHBOUR + CreditNeighbour.price] as number;
      });
    progress(network.now_us / HOUR_US);
  }
  // A router's use: what it sent of what its links could have sent.
  const use = carried.map((sum, node) => sum / (graph.neighbours[node] as number[]).length);
  const found = {
    gini: gini(use),
    done: done / network.opened,
    rate: moved / (took_us / S),
    hops: hops / network.opened,
    sorted: [...use].sort((a, b) => a - b),
    connections: network.opened,
  };
  network.dispose();
  return found;
}

export const routes: Scenario = {
  name: 'routes',
  title: 'cheapest ways beside shortest ways',
  run(setting) {
    const of = (chooser: Chooser, i: number) =>
      run({ ...setting, progress: (part) => setting.progress((i + part) / 2) }, chooser);
    const [shortest, cheapest] = [of('shortest', 0), of('cheapest', 1)];
    const lorenz = ({ sorted }: Spread) => {
      const sum = sorted.reduce((all, one) => all + one, 0);
      let so = 0;
      return Array.from({ length: 21 }, (_, i): [number, number] => {
        const end = Math.round((i * sorted.length) / 20);
        so = sorted.slice(0, end).reduce((all, one) => all + one, 0);
        return [(100 * end) / sorted.length, (100 * so) / sum];
      });
    };
    const said = ({ gini, done, rate, hops }: Spread) =>
      `Gini ${gini.toFixed(3)}, ${(100 * done).toFixed(1)} % done, ${(rate / 1000).toFixed(1)} kB/s, ${hops.toFixed(2)} hops`;
    return {
      figures: [
        figure(
          'Gini’s coefficient of routers’ use, of the shortest ways’',
          cheapest.gini / shortest.gini,
          { most: 0.95 },
          `${said(cheapest)}; shortest: ${said(shortest)}`,
        ),
        figure('connections done, of the shortest ways’', cheapest.done / shortest.done, {}),
        figure('speed of connections, of the shortest ways’', cheapest.rate / shortest.rate, {}),
      ],
      panels: [
        {
          title: '% of what all carry',
          x: '% of routers, the least used first',
          curves: [
            { name: 'shortest', points: lorenz(shortest) },
            { name: 'cheapest', points: lorenz(cheapest) },
          ],
        },
      ],
      nodes: setting.nodes,
      connections: shortest.connections + cheapest.connections,
      virtual_s: (2 * HOUR_US) / S,
    };
  },
};
