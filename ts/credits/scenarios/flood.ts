/** Connections by the thousand against rent: honest ones go on being accepted and kept. */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import { FREE, Network } from '../network.js';
import { AT_REST, HOUR_US, INCREASE, S, type Scenario, type Setting } from '../scenario.js';

const [V, SINK, FIRST] = [0, 1, 2];
const HONEST = 50;
const FLOODERS = 5;
/** An honest one announces so much (1,000 a second, the rent of a full table), stands for half a minute on average. */
const CLASS = 1;
const STANDS_S = 30;
const CONNECTIONS = 100_000;
const RENT = 1_000;
const STEP_US = 5 * S;
/** Openings that each flooder tries in a step. */
const TRIES = 100;

interface Flooded {
  accepted: number;
  kept: number;
  fill: number;
  connections: number;
  curve: [number, number][];
}

function flood(
  { create, seed, progress }: Setting,
  capacity: number,
  rent: number,
  announced: number,
  end_us: number,
): Flooded {
  const network = new Network({
    create,
    seed,
    nodes: FIRST + HONEST + FLOODERS,
    step_us: STEP_US,
    link: () => FREE,
    // What lies beyond has credits for everybody, and a credit is worth the same everywhere: this is about V's table.
    credit: (node) => ({
      valuation: false,
      ...(node === V
        ? { capacity, rent, increase: INCREASE, rule: 'equal' }
        : { capacity: 1_000_000, rent: 0, increase: 2 ** 32 }),
    }),
  });
  const chance = new Chance(seed, 109);
  network.meet(V, SINK, { mirror: 2 ** 42, expected: 2 ** 32 }, { account: 2 ** 42 });
  const peers = HONEST + FLOODERS + 1;
  for (let i = 0; i < HONEST + FLOODERS; i++) network.meet(V, FIRST + i, { account: Math.floor(AT_REST / peers) });
  const rate = CONNECTIONS / (HOUR_US / S);
  let next_us = chance.exponential(S / rate);
  let [asked, accepted, kept, ended] = [0, 0, 0, 0];
  let fill = 0;
  const curve: [number, number][] = [];
  network.onEnd = ({ connection, done }) => {
    if (connection.group !== 0) return;
    ended += 1;
    if (done) kept += 1;
  };
  while (network.now_us < end_us) {
    if (network.now_us >= (HOUR_US / 6) * 1)
      for (let flooder = 0; flooder < FLOODERS; flooder++)
        for (let i = 0; i < TRIES; i++) {
          // One refusal is as good as the rest of this step's.
          if (network.open({ path: [FIRST + HONEST + flooder, V, SINK], own: announced, group: 1 }) === null) break;
        }
    for (; next_us <= network.now_us; next_us += chance.exponential(S / rate)) {
      asked += 1;
      const until_us = network.now_us + chance.exponential(STANDS_S * S);
      const path = [FIRST + chance.below(HONEST), V, SINK];
      if (network.open({ path, own: CLASS, demand: 1000, until_us }) !== null) accepted += 1;
    }
    network.step();
    const here = network.node(V).open / capacity;
    fill = Math.max(fill, here);
    if (network.now_us % (60 * S) === 0) curve.push([network.now_us / 60 / S, here]);
    progress(network.now_us / end_us);
  }
  const found = {
    accepted: accepted / asked,
    kept: ended === 0 ? 0 : kept / ended,
    fill,
    connections: network.opened,
    curve,
  };
  network.dispose();
  return found;
}

const CAPACITY = 4_096;

export const flooded: Scenario = {
  name: 'flood',
  title: 'a flood of connections against rent',
  run(setting) {
    const capacity = CAPACITY;
    const part = (i: number): Setting => ({ ...setting, progress: (of) => setting.progress((i + of) / 3) });
    const paying = flood(part(0), capacity, RENT, 3, HOUR_US);
    const silent = flood(part(1), capacity, RENT, 0, HOUR_US / 2);
    const none = flood(part(2), capacity, 0, 3, HOUR_US / 2);
    const figures = [];
    for (const [name, found] of [
      ['paying flood', paying],
      ['flood that announces nothing', silent],
    ] as const)
      figures.push(
        figure(
          `${name}: honest connections accepted`,
          found.accepted,
          { least: 0.99 },
          `fill up to ${found.fill.toFixed(3)}`,
        ),
        figure(`${name}: honest connections kept, of those accepted`, found.kept, { least: 0.99 }),
      );
    figures.push(
      figure(
        'without rent: honest connections accepted',
        none.accepted,
        { most: 0.5 },
        'for comparison: the table is full',
      ),
    );
    return {
      figures,
      panels: [
        {
          title: 'part of the table in use',
          x: 'minutes',
          curves: [
            { name: 'paying', points: paying.curve },
            { name: 'announces nothing', points: silent.curve },
            { name: 'without rent', points: none.curve },
          ],
        },
      ],
      nodes: 3 + HONEST + FLOODERS,
      connections: paying.connections + silent.connections + none.connections,
      virtual_s: (2 * HOUR_US) / S,
    };
  },
};
