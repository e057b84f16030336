/** Circles: rates that begin anyhow, traffic that bends them, and nodes that take the profit there is until there is none. */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import { CREDIT_BOOKS, CREDIT_NEIGHBOUR, CreditBooks, CreditNeighbour } from '../../core/credit.js';
import { CIRCLE_DEFAULTS, type Quotes } from '../../credit/circles.js';
import { circle, type Rates } from '../arbitrage.js';
import { type Edges, edgeOf, edgesOf, type Graph, grown, joined, Ways } from '../graph.js';
import { FREE, Network } from '../network.js';
import { AT_REST, DECAY, HOUR_US, S, type Scenario, type Setting } from '../scenario.js';
import { Seekers } from '../seekers.js';
import { lately, standing } from './standing-circle.js';

const STEP_US = 10 * S;
/** Spread of the values at first, in octaves: circles of four hops then gain up to tens of times. */
const SIGMA = 1;
/**
 * Traffic beside: connections of each node in an hour, and of all at most, as hubs of a larger network carry more each and mint no more for
 * it; how long they stand, the share that goes to one of a few servers.
 */
const CONNECTIONS_EACH = 20;
const CONNECTIONS_MOST = 20_000;
const STANDS_S = 30;
const SERVERS = 0.02;
const CLASS = 3;
const ALWAYS = 0.01;
/** How often a node looks, and the profit it looks for. */
const LOOKS_US = 60 * S;
const GAIN = CIRCLE_DEFAULTS.gain;

interface Run {
  network: Network;
  graph: Graph;
  edges: Edges;
  /** log2 of what a credit is worth to the node where an edge begins, at the other end: where it comes from, and where it goes to. */
  from: Float64Array;
  to: Float64Array;
  /** log2 of a hop's gain, by edge, as of the latest look. */
  rates: Float64Array;
}

/** What a credit becomes over each edge: worth more where it comes to, less where it left, less what the hop keeps. */
function look({ network, graph, edges, from, to, rates }: Run): void {
  let rows = new Float64Array(CREDIT_NEIGHBOUR * 64);
  for (let node = 0; node < graph.nodes; node++) {
    const [first, end] = [edges.first[node] as number, edges.first[node + 1] as number];
    if (rows.length < (end - first) * CREDIT_NEIGHBOUR) rows = new Float64Array(2 * (end - first) * CREDIT_NEIGHBOUR);
    network.node(node).credit.neighbours(network.now_us, 0, rows);
    for (let edge = first; edge < end; edge++) {
      const at = (edge - first) * CREDIT_NEIGHBOUR;
      const [now, lately] = [rows[at + CreditNeighbour.value], rows[at + CreditNeighbour.valueLately]] as [
        number,
        number,
      ];
      from[edge] = Math.min(now, lately);
      to[edge] = Math.max(now, lately);
    }
  }
  const kept = Math.log2(1 - ALWAYS);
  for (let edge = 0; edge < rates.length; edge++)
    rates[edge] = (from[edges.back[edge] as number] as number) - (to[edge] as number) + kept;
}

function ratesOf({ graph, edges, rates }: Run): Rates {
  const from = new Int32Array(edges.to.length);
  for (let node = 0; node < graph.nodes; node++) from.fill(node, edges.first[node], edges.first[node + 1]);
  return { nodes: graph.nodes, from, to: edges.to, log2: rates };
}

function run({ create, seed, nodes, progress }: Setting, seeks: boolean, end_us: number) {
  const chance = new Chance(seed, 107);
  const graph = grown(nodes, 2, chance);
  const edges = edgesOf(graph);
  const network = new Network({ create, seed, nodes, step_us: STEP_US, link: () => FREE, reports_us: 30 * S });
  const rest = (node: number) => AT_REST / (graph.neighbours[node] as number[]).length;
  const opening = (node: number, other: number) => {
    const [account, mirror] = [rest(node), rest(other)];
    return { account, mirror, expected: mirror * DECAY, value: SIGMA * chance.normal() };
  };
  joined(graph, (node, other) => network.meet(node, other, opening(node, other), opening(other, node)));
  const rates = new Float64Array(edges.to.length);
  const [from, to] = [new Float64Array(edges.to.length), new Float64Array(edges.to.length)];
  const run: Run = { network, graph, edges, from, to, rates };
  const quotes: Quotes = {
    nodes,
    neighbours: (node) => graph.neighbours[node] as number[],
    log2: (from, to) => rates[edgeOf(edges, from, to)] as number,
  };
  const seekers = new Seekers(network, quotes);
  const ways = new Ways(graph, edges);
  const books = new Float64Array(CREDIT_BOOKS);
  const turnover = () => {
    let [rested, added] = [0, 0];
    network.active((_, node) => {
      node.credit.books(network.now_us, books);
      rested += books[CreditBooks.rest] as number;
      added += (books[CreditBooks.valuedUp] as number) - (books[CreditBooks.valuedDown] as number);
    });
    return [rested, added] as const;
  };
  const connections = Math.min(nodes * CONNECTIONS_EACH, CONNECTIONS_MOST);
  const servers = Math.max(1, Math.round(nodes * SERVERS));
  const best: [number, number][] = [];
  const amplified: [number, number][] = [];
  let before = turnover();
  let next_us = 0;
  let sure = true;
  while (network.now_us < end_us) {
    for (; next_us <= network.now_us; next_us += chance.exponential(HOUR_US / connections)) {
      const [from, to] = [chance.below(nodes), chance.below(2) === 0 ? chance.below(servers) : chance.below(nodes)];
      const path = from === to ? null : ways.path(from, to, () => 1);
      if (path !== null)
        network.open({ path, own: CLASS, until_us: network.now_us + chance.exponential(STANDS_S * S) });
    }
    network.step();
    if (network.now_us % (30 * S) === 0) {
      look(run);
      if (seeks)
        for (let node = (network.now_us / (30 * S)) % (LOOKS_US / (30 * S)); node < nodes; node += LOOKS_US / (30 * S))
          seekers.look(node);
    }
    if (network.now_us % (300 * S) === 0 || network.now_us === 30 * S) {
      const found = circle(ratesOf(run), GAIN);
      sure = found.sure;
      best.push([network.now_us / 60 / S, found.circle?.gain ?? 1]);
      const now = turnover();
      if (now[0] > before[0])
        amplified.push([network.now_us / 60 / S, 1 + (now[1] - before[1]) / (now[0] - before[0])]);
      before = now;
      progress(network.now_us / end_us);
    }
  }
  const found = { best, amplified, sure, running: seekers.running, connections: network.opened };
  network.dispose();
  return found;
}

export const circles: Scenario = {
  name: 'circles',
  title: 'circles on random graphs, and nodes that take their profit',
  run(setting) {
    const sought = run({ ...setting, progress: (part) => setting.progress((2 * part) / 3) }, true, HOUR_US);
    const left = run({ ...setting, progress: (part) => setting.progress((2 + part) / 3) }, false, HOUR_US / 2);
    const [taken, untouched] = [standing(setting, true), standing(setting, false)];
    const [first, last] = [sought.best[0]?.[1] ?? 0, sought.best.at(-1)?.[1] ?? 0];
    return {
      figures: [
        figure('gain of the best circle after half a minute', first, { least: 1.5 }, 'there is something to find'),
        figure(
          'gain of the best circle at the end',
          last,
          { most: GAIN },
          `${sought.sure ? 'an exhaustive search' : 'a search up to 12 hops'}; ${sought.running} circles still run; without seekers ${(left.best.at(-1)?.[1] ?? 0).toFixed(2)}`,
        ),
        figure('total amplification in the last 5 min', sought.amplified.at(-1)?.[1] ?? Number.NaN, {
          least: 0.8,
          most: 1.25,
        }),
        figure('a circle that traffic makes again and again: gain without seekers', lately(untouched), { least: 2 }),
        figure(
          'the same with seekers',
          lately(taken),
          { most: 1.25 },
          `at most ${Math.max(...taken.slice(taken.length >> 1).map(([, gain]) => gain)).toFixed(2)}, without ${Math.max(...untouched.slice(untouched.length >> 1).map(([, gain]) => gain)).toFixed(2)}`,
        ),
      ],
      panels: [
        {
          title: 'gain of the best circle',
          x: 'minutes',
          yLog: 1,
          curves: [
            { name: 'with seekers', points: sought.best },
            { name: 'without', points: left.best },
          ],
        },
        {
          title: 'gain of a circle that traffic makes again and again',
          x: 'minutes',
          yLog: 1,
          curves: [
            { name: 'with seekers', points: taken },
            { name: 'without', points: untouched },
          ],
        },
        {
          title: 'total amplification',
          x: 'minutes',
          curves: [
            { name: 'with seekers', points: sought.amplified },
            { name: 'without', points: left.amplified },
          ],
        },
      ],
      nodes: setting.nodes,
      connections: sought.connections + left.connections,
      virtual_s: (1.5 * HOUR_US) / S,
    };
  },
};
