/**
 * A circle that traffic makes again and again: node 2 spends all the time, through 1, at 0, which mints little for 1. So to 1 a credit of 0's is
 * worth several of 2's, and whoever sends some from 0 over 1 to 2 and back has more of it than was sent.
 */
import { CREDIT_NEIGHBOUR, CreditNeighbour } from '../../core/credit.js';
import type { Quotes } from '../../credit/circles.js';
import { FREE, Network } from '../network.js';
import { DECAY, HOUR_US, S, type Setting } from '../scenario.js';
import { Seekers } from '../seekers.js';

const NODES = [0, 1, 2];
/** Credits per second that each mints for its two neighbours. */
const INCREASE = [50_000, 1_000_000, 1_000_000];
/** What 2 announces: 1,024,000 a second, more than 1 mints for it. */
const CLASS = 6;
const LOOKS_US = 60 * S;
const KEPT_LOG2 = Math.log2(1 - 0.01);

/** Minutes, and the gain of the best circle then. */
export function standing({ create, seed }: Pick<Setting, 'create' | 'seed'>, seeks: boolean): [number, number][] {
  const credit = (node: number) => ({ increase: INCREASE[node] as number });
  const network = new Network({ create, seed, nodes: 3, link: () => FREE, reports_us: 30 * S, credit });
  const increase = (node: number) => (INCREASE[node] as number) / 2;
  const opening = (node: number, other: number) => ({
    account: increase(node) / DECAY,
    mirror: increase(other) / DECAY,
    expected: increase(other),
  });
  for (const node of NODES)
    for (const other of NODES.slice(node + 1)) network.meet(node, other, opening(node, other), opening(other, node));
  network.open({ path: [2, 1, 0], own: CLASS });
  const row = new Float64Array(CREDIT_NEIGHBOUR);
  const values = (at: number, of: number): [number, number] => {
    const node = network.node(at);
    node.credit.neighbour(network.now_us, node.id(of), row);
    return [row[CreditNeighbour.value] as number, row[CreditNeighbour.valueLately] as number];
  };
  const quotes: Quotes = {
    nodes: NODES.length,
    neighbours: (node) => NODES.filter((other) => other !== node),
    log2: (from, to) => Math.min(...values(to, from)) - Math.max(...values(from, to)) + KEPT_LOG2,
  };
  const seekers = new Seekers(network, quotes);
  const best: [number, number][] = [];
  while (network.now_us < HOUR_US) {
    network.step();
    if (network.now_us % LOOKS_US !== 0) continue;
    best.push([network.now_us / LOOKS_US, Math.max(1, ...NODES.map((node) => seekers.best(node)?.gain ?? 1))]);
    if (seeks) NODES.forEach((node) => void seekers.look(node));
  }
  network.dispose();
  return best;
}

/** The geometric mean over the latest half. */
export function lately(best: readonly [number, number][]): number {
  const last = best.slice(best.length >> 1);
  return Math.exp(last.reduce((sum, [, gain]) => sum + Math.log(gain), 0) / last.length);
}
