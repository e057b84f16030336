/** Routers that everything passes and that are no bottleneck: what they earn by the always-share, and by load alone. */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import { FREE, Network } from '../network.js';
import { AT_REST, HOUR_US, S, type Scenario, type Setting } from '../scenario.js';

/** Two crowds of clients and servers at four hubs each; between the hubs two routers with room for everything. */
const HUBS = 4;
const BRIDGES = 2;
const CAPACITY = 1_000_000;
const CLASS = 5;
const CONNECTIONS = 10_000;
const STANDS_S = 20;
const STEP_US = 10 * S;

interface Earned {
  /** Charged at the bridges and at the hubs of the right; paid at the bridges. */
  bridges: number;
  hubs: number;
  paid: number;
  connections: number;
}

function earned({ create, seed, progress, nodes }: Setting, alwaysShare: number): Earned {
  const crowd = Math.max(8, Math.floor((Math.min(nodes, 1000) - 2 * HUBS - BRIDGES) / 2));
  const bridge = (i: number) => i;
  const hub = (side: number, i: number) => BRIDGES + side * HUBS + i;
  const leaf = (side: number, i: number) => BRIDGES + 2 * HUBS + side * crowd + i;
  const first = leaf(0, 0);
  const network = new Network({
    create,
    seed,
    nodes: first + 2 * crowd,
    step_us: STEP_US,
    // Hubs' lines to their crowds are shared and full; all else has room.
    link: (from, to) => (from >= BRIDGES && from < first && to >= first ? from : FREE),
    capacity: new Array(first).fill(CAPACITY),
    credit: () => ({ alwaysShare, capacity: 1_000_000 }),
  });
  for (let side = 0; side < 2; side++) {
    for (let i = 0; i < HUBS; i++)
      for (let x = 0; x < BRIDGES; x++) {
        const rest = { account: AT_REST / 8, mirror: AT_REST / 8, expected: 100_000 };
        network.meet(hub(side, i), bridge(x), rest, rest);
      }
    for (let i = 0; i < crowd; i++) {
      const rest = { account: AT_REST / 8, mirror: AT_REST / 8, expected: 10_000 };
      network.meet(hub(side, i % HUBS), leaf(side, i), rest, rest);
    }
  }
  const chance = new Chance(seed, 111);
  let next_us = 0;
  while (network.now_us < HOUR_US) {
    for (; next_us <= network.now_us; next_us += chance.exponential(HOUR_US / CONNECTIONS)) {
      const [from, to] = [chance.below(crowd), chance.below(crowd)];
      const path = [leaf(0, from), hub(0, from % HUBS), bridge(chance.below(BRIDGES)), hub(1, to % HUBS), leaf(1, to)];
      network.open({ path, own: CLASS, until_us: network.now_us + chance.exponential(STANDS_S * S) });
    }
    network.step();
    progress(network.now_us / HOUR_US);
  }
  const charged = (node: number, neighbours: Iterable<number>) => {
    let [sum, paid] = [0, 0];
    for (const other of neighbours) {
      const of = (what: 'always' | 'load' | 'spent') => network.node(node).of(network.now_us, other, what);
      sum += of('always') + of('load');
      paid += of('spent');
    }
    return { sum, paid };
  };
  const hubs = Array.from({ length: HUBS }, (_, i) => i);
  const found = { bridges: 0, hubs: 0, paid: 0, connections: network.opened };
  for (let x = 0; x < BRIDGES; x++) {
    const { sum, paid } = charged(bridge(x), [...hubs.map((i) => hub(0, i)), ...hubs.map((i) => hub(1, i))]);
    found.bridges += sum / BRIDGES;
    found.paid += paid / BRIDGES;
    for (const i of hubs) found.hubs += charged(hub(1, i), [bridge(x)]).sum / HUBS;
  }
  network.dispose();
  return found;
}

export const always: Scenario = {
  name: 'always',
  title: 'income of critical routers with and without the always-share',
  run(setting) {
    const shares = [0, 0.01, 0.03];
    const figures = [];
    const points: [number, number][] = [];
    let connections = 0;
    for (const [i, share] of shares.entries()) {
      const found = earned({ ...setting, progress: (part) => setting.progress((i + part) / shares.length) }, share);
      connections += found.connections;
      points.push([100 * share, (100 * found.bridges) / found.paid]);
      const note = `${(found.bridges / 1e6).toFixed(1)} M credits in an hour; a bottleneck behind it ${(found.hubs / 1e6).toFixed(1)} M`;
      if (share === 0)
        figures.push(figure('without it: income of a critical router', found.bridges, { most: 0 }, note));
      else
        figures.push(
          figure(
            `with ${100 * share} %: income of what was paid there, of the share`,
            found.bridges / found.paid / share,
            { least: 0.99, most: 1.01 },
            note,
          ),
        );
    }
    return {
      figures,
      panels: [
        {
          title: 'income of a critical router, % of what was paid there',
          x: 'always-share, %',
          curves: [{ name: 'income', points }],
        },
      ],
      nodes: setting.nodes,
      connections,
      virtual_s: (shares.length * HOUR_US) / S,
    };
  },
};
