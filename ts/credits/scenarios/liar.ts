/**
 * A neighbour that takes and does not give: it is paid for what it should pass on and lets it wait for ever, or says that it has more
 * than it has. Its neighbour moves a connection that stalls, and asks again after a pause that doubles, as a node does.
 */
import { Chance } from '../../base/chance.js';
import { figure } from '../../base/figure.js';
import type { Connection } from '../connection.js';
import { FREE, Network } from '../network.js';
import { HOUR_US, S, type Scenario, type Setting } from '../scenario.js';

const [SUSPECT, B, SERVER, BEYOND, RIVALS] = [0, 1, 2, 3, 4];
const COUNT = 8;
const CAPACITY = 10_000_000;
const GREEDY = 7;
/** What B's own connections announce. */
const OWN = 4;
const EVERY_US = 10 * S;
/** A stalled connection is noticed after so long; the node that it stalled at is asked again after a pause that doubles, up to an hour. */
const STALL_US = 2 * S;
const PAUSE_US = 30 * S;
const PAUSE_MOST_US = HOUR_US;

type Kind = 'honest' | 'starves' | 'boasts';

function goodput(
  { create, seed }: Setting,
  kind: Kind,
): { goodput: number; paid: number; contributed: number; connections: number } {
  const network = new Network({
    create,
    seed,
    nodes: RIVALS + COUNT,
    link: (from, to) => (from === B && to === SERVER ? 0 : FREE),
    capacity: [CAPACITY],
  });
  const chance = new Chance(seed, 104);
  network.meet(B, SERVER);
  const peers = [SUSPECT, ...Array.from({ length: COUNT }, (_, i) => RIVALS + i)];
  for (const peer of peers) {
    network.meet(B, peer);
    network.meet(peer, BEYOND);
    network.open({ path: [peer, B, SERVER], own: GREEDY, group: peer });
  }
  // B's own traffic takes each of its neighbours in turn; what it announces there is what they earn here.
  const uses = peers.map((peer) => ({
    peer,
    next_us: EVERY_US * chance.unit(),
    pause_us: PAUSE_US,
    connection: null as Connection | null,
    stalls_us: Number.POSITIVE_INFINITY,
  }));
  while (network.now_us < 2 * HOUR_US) {
    for (const use of uses) {
      if (use.connection !== null && network.now_us >= use.stalls_us) {
        network.close(use.connection);
        use.connection = null;
        use.next_us = network.now_us + use.pause_us;
        use.pause_us = Math.min(PAUSE_MOST_US, 2 * use.pause_us);
      }
      if (network.now_us < use.next_us) continue;
      if (use.connection !== null) network.close(use.connection);
      const starves = kind === 'starves' && use.peer === SUSPECT;
      use.connection = network.open({
        path: [B, use.peer, BEYOND],
        own: OWN,
        demand: starves ? 0 : 50_000,
        group: 100,
      });
      use.stalls_us = starves ? network.now_us + STALL_US : Number.POSITIVE_INFINITY;
      use.next_us = network.now_us + EVERY_US;
    }
    if (kind === 'boasts') {
      const node = network.node(B);
      node.credit.neighbourReport(network.now_us, node.id(SUSPECT), chance.unit() * 2 ** 53, 2 ** 40);
    }
    network.step();
    if (network.now_us === HOUR_US) network.moved = [];
  }
  const node = network.node(B);
  const found = {
    goodput: (network.moved[SUSPECT] ?? 0) / (HOUR_US / S),
    paid: node.of(network.now_us, SUSPECT, 'earned'),
    contributed: node.of(network.now_us, SUSPECT, 'contributed'),
    connections: network.opened,
  };
  network.dispose();
  return found;
}

export const liar: Scenario = {
  name: 'liar',
  title: 'a neighbour that does not throttle back, and one that boasts',
  run(setting) {
    const honest = goodput(setting, 'honest');
    setting.progress(1 / 3);
    const starves = goodput(setting, 'starves');
    setting.progress(2 / 3);
    const boasts = goodput(setting, 'boasts');
    const kb = (one: { goodput: number }) => `${(one.goodput / 1000).toFixed(1)} kB/s`;
    return {
      figures: [
        figure(
          'goodput of a neighbour that serves nothing, of an honest one’s',
          starves.goodput / honest.goodput,
          { most: 1 },
          `${kb(starves)} and ${kb(honest)}`,
        ),
        figure('what it was paid for its services, of an honest one', starves.paid / honest.paid, { most: 1 }),
        figure('what it counts as having contributed, of an honest one', starves.contributed / honest.contributed, {
          most: 0,
        }),
        figure(
          'goodput of one that reports what it likes, of an honest one’s',
          boasts.goodput / honest.goodput,
          { least: 1, most: 1 },
          'a report moves no account',
        ),
      ],
      panels: [],
      nodes: RIVALS + COUNT,
      connections: honest.connections + starves.connections + boasts.connections,
      virtual_s: (3 * 2 * HOUR_US) / S,
    };
  },
};
