/** What announced classes tell a hop, or two that talk to each other, of where on the path they are. */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import { CREDIT_CONNECTION, CreditConnection, CreditFlow, creditRate } from '../../core/credit.js';
import type { Connection, Hop } from '../connection.js';
import { FREE, Network } from '../network.js';
import { AT_REST, DECAY, S, type Scenario, type Setting } from '../scenario.js';

const RELAYS = 30;
const CLIENTS = 30;
/** Relays on a path, the exit included. */
const HOPS = 3;
/** In each of four cases. */
const CONNECTIONS = 25_000;
const AT_ONCE = 500;
/** Steps until a path's announcements have come to its end, and then some. */
const STEPS = 5;
/** Those that are watched for longer: what is announced alternates, and its average says more. */
const WATCHED_STEPS = 120;
const WATCHED = 5_000;
/** Averages are told apart by quarters of an octave. */
const PARTS = 4;
const CLASSES = 9;
const ALWAYS = 0.01;

/** How much more often than by chance the best guess is right: learnt on half of what was seen, tried on the other half. */
function advantage(seen: readonly (readonly number[])[][], prior: number): number {
  const [learnt, tried] = [0, 1].map((half) => {
    const counts = new Map<string, number[]>();
    for (const [i, views] of seen.entries()) {
      if (i % 2 !== half) continue;
      for (const [position, view] of views.entries()) {
        const key = view.join();
        const of = counts.get(key) ?? new Array(views.length).fill(0);
        of[position] += 1;
        counts.set(key, of);
      }
    }
    return counts;
  }) as [Map<string, number[]>, Map<string, number[]>];
  let [right, all] = [0, 0];
  for (const [key, counts] of tried) {
    const of = learnt.get(key);
    const guess = of === undefined ? 0 : of.indexOf(Math.max(...of));
    right += counts[guess] as number;
    all += counts.reduce((sum, one) => sum + one, 0);
  }
  return right / all - prior;
}

interface Seen {
  one: number;
  two: number;
  /** Part of connections at each class, by position. */
  classes: number[][];
  connections: number;
}

interface Case {
  own: readonly number[];
  /** Of links, over what they have room for. */
  load: number;
  valuation: boolean;
  /** For two minutes, instead of one look after a few seconds. */
  long?: boolean;
}

function watch({ create, seed, progress }: Setting, { own, load, valuation, long }: Case): Seen {
  const network = new Network({
    create,
    seed,
    nodes: RELAYS + CLIENTS,
    link: (from) => (load > 0 && from < RELAYS ? from : FREE),
    capacity: new Array(RELAYS).fill(load > 0 ? 1_000_000 / load : 1),
    reports_us: 30 * S,
    credit: () => ({ valuation, alwaysShare: ALWAYS, increase: 2 ** 32, capacity: 1_000_000 }),
  });
  for (let a = 0; a < RELAYS; a++)
    for (let b = a + 1; b < RELAYS + CLIENTS; b++) {
      const rest = (AT_REST * 2 ** 32) / 1e6 / (RELAYS + CLIENTS - 1);
      const opening = { account: rest, mirror: rest, expected: rest * DECAY };
      network.meet(a, b, opening, opening);
    }
  const chance = new Chance(seed, 112);
  const row = new Float64Array(CREDIT_CONNECTION);
  const seen: number[][] = [];
  const classes = Array.from({ length: HOPS }, () => new Array<number>(CLASSES).fill(0));
  const [wanted, steps] = long ? [WATCHED, WATCHED_STEPS] : [CONNECTIONS, STEPS];
  while (seen.length < wanted) {
    const opened: Connection[] = [];
    for (let i = 0; i < AT_ONCE; i++) {
      const path = [RELAYS + chance.below(CLIENTS)];
      while (path.length <= HOPS) {
        const relay = chance.below(RELAYS);
        if (!path.includes(relay)) path.push(relay);
      }
      // What a flow asks for, with the load 1 a link has room for just that.
      const demand = load > 0 ? (1_000_000 * RELAYS) / (AT_ONCE * (HOPS - 1)) : 0;
      const connection = network.open({ path, own: own[chance.below(own.length)] as number, demand });
      if (connection !== null) opened.push(connection);
    }
    const sums = opened.map(() => new Array<number>(HOPS).fill(0));
    const look = (hop: Hop) => {
      hop.node.credit.connection(hop.id, row);
      return row[CreditConnection.forward + CreditFlow.in] as number;
    };
    for (let step = 1; step <= steps; step++) {
      network.step();
      if (step < STEPS) continue;
      for (const [i, connection] of opened.entries())
        for (const [at, hop] of connection.hops.slice(1).entries()) (sums[i] as number[])[at]! += creditRate(look(hop));
    }
    for (const [i, connection] of opened.entries()) {
      const views = connection.hops.slice(1).map((hop, at) => {
        const now = look(hop);
        (classes[at] as number[])[now]! += 1;
        const mean = ((sums[i] as number[])[at] as number) / (steps - STEPS + 1);
        return long ? Math.round(PARTS * Math.log2(1 + mean)) : now;
      });
      seen.push(views);
      network.close(connection);
    }
    progress(seen.length / wanted);
  }
  const found = {
    one: advantage(
      seen.map((views) => views.map((view) => [view])),
      1 / HOPS,
    ),
    // Two that are neighbours know that much; whether they are the first and second or the second and third, they guess.
    two: advantage(
      seen.map((views) => views.slice(1).map((view, i) => [views[i] as number, view])),
      1 / (HOPS - 1),
    ),
    classes: classes.map((counts) => counts.map((count) => count / seen.length)),
    connections: network.opened,
  };
  network.dispose();
  return found;
}

export const positions: Scenario = {
  name: 'positions',
  title: 'what announced classes betray of a hop’s position',
  run(setting) {
    const cases: [string, Case, number][] = [
      ['no load, one value for all, every client announces the same', { own: [5], load: 0, valuation: false }, 0.02],
      ['no load, valuated, the same', { own: [5], load: 0, valuation: true }, 0.02],
      ['no load, valuated, one of three classes', { own: [4, 5, 6], load: 0, valuation: true }, 0.03],
      ['links at twice their load, one of three', { own: [4, 5, 6], load: 2, valuation: true }, 0.4],
      ['the same, watched for two minutes', { own: [4, 5, 6], load: 2, valuation: true, long: true }, 0.4],
    ];
    // A hop keeps 1 %; what is left is the class or, with chance d, the one below, a quarter of it.
    const falls = ALWAYS / (1 - 1 / 4);
    const expected = (1 + (1 - (1 - falls) ** (HOPS - 1))) / HOPS - 1 / HOPS;
    const figures = [];
    let connections = 0;
    const curves = [];
    for (const [i, [name, watched, most]] of cases.entries()) {
      const found = watch({ ...setting, progress: (part) => setting.progress((i + part) / cases.length) }, watched);
      connections += found.connections;
      const low = found.classes
        .map((of) => of.reduce((sum, part, which) => sum + part * which, 0).toFixed(2))
        .join(', ');
      figures.push(
        figure(
          `${name}: one hop’s advantage over 1/3`,
          found.one,
          { most },
          `mean class by position ${low}${i === 0 ? `; closed form ${expected.toFixed(4)}` : ''}`,
        ),
        figure(`${name}: two hops’ over 1/2`, found.two, { most }),
      );
      curves.push({
        name,
        points: found.classes.map((of, at): [number, number] => [
          at + 1,
          of.reduce((sum, part, which) => sum + part * which, 0),
        ]),
      });
    }
    return {
      figures,
      panels: [{ title: 'mean class announced', x: 'position', curves }],
      nodes: RELAYS + CLIENTS,
      connections,
      virtual_s: (4 * CONNECTIONS * STEPS) / AT_ONCE,
    };
  },
};
