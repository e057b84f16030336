/** A phone with few credits calls home; the server at home has plenty and adds its own. */
import { figure } from '../../base/figure.js';
import { creditRate } from '../../core/credit.js';
import { FREE, Network } from '../network.js';
import { HOUR_US, S, type Scenario, type Setting } from '../scenario.js';

const [PHONE, R1, R2, HOME, CROSS, SINK] = [0, 1, 2, 3, 4, 5];
const CAPACITY = 1_000_000;
const PHONES = 2;
/** What others announce that want the same link, and how many these are. */
const OTHERS = 4;
const COUNT = 10;
const RICH = 2 ** 45;

function goodput({ create, seed }: Setting, serverOwn: number): number {
  const network = new Network({
    create,
    seed,
    nodes: 6,
    // Towards the phone, the link between the routers is full.
    link: (from, to) => (from === R2 && to === R1 ? 0 : FREE),
    capacity: [CAPACITY],
    credit: () => ({ valuation: false }),
  });
  for (const [a, b] of [
    [PHONE, R1],
    [R1, R2],
    [R2, HOME],
    [CROSS, R2],
    [R1, SINK],
  ] as const)
    network.meet(a, b, { account: RICH, mirror: RICH }, { account: RICH, mirror: RICH });
  for (let i = 0; i < COUNT; i++) network.open({ path: [CROSS, R2, R1, SINK], own: OTHERS, group: 1 });
  network.open({ path: [PHONE, R1, R2, HOME], own: PHONES, up: false, serverOwn, group: 0 });
  while (network.now_us < HOUR_US) {
    network.step();
    if (network.now_us === 60 * S) network.moved = [];
  }
  const found = (network.moved[0] ?? 0) / ((HOUR_US - 60 * S) / S);
  network.dispose();
  return found;
}

export const serverPays: Scenario = {
  name: 'server-pays',
  title: 'a server pays for its mobile client',
  run(setting) {
    const figures = [];
    const points: [number, number][] = [];
    const others = COUNT * creditRate(OTHERS);
    const classes = [0, 3, 4, 5, 6];
    for (const [i, added] of classes.entries()) {
      setting.progress(i / classes.length);
      const rate = goodput(setting, added);
      // Three hops have kept 1 % each of what the phone announced when it turns round.
      const flow = creditRate(PHONES) * 0.99 ** 3 + creditRate(added);
      const expected = (CAPACITY * flow) / (flow + others);
      points.push([creditRate(added) / 1000, rate / 1000]);
      figures.push(
        figure(
          `${creditRate(added) / 1000}k a second added: goodput, of its closed form`,
          rate / expected,
          { least: added === 0 ? 0.5 : 0.9, most: added === 0 ? 1.5 : 1.1 },
          `${(rate / 1000).toFixed(1)} kB/s`,
        ),
      );
    }
    return {
      figures,
      panels: [
        {
          title: 'goodput of the phone, kB/s',
          x: 'thousand credits a second added',
          curves: [{ name: 'phone', points }],
        },
      ],
      nodes: 6,
      connections: classes.length * (COUNT + 1),
      virtual_s: (classes.length * HOUR_US) / S,
    };
  },
};
