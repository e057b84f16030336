import { expect, test } from 'vitest';
import { createNativeCredit } from '../platform/native-credit.js';
import { FREE, Network } from './network.js';
import { creditsPlot, simulateCredits } from './run.js';
import { SCENARIO_NAMES } from './scenarios.js';

const RICH = 2 ** 48;
const rich = { account: RICH, mirror: RICH };

function line(up: boolean) {
  const network = new Network({
    create: createNativeCredit,
    seed: 1,
    nodes: 4,
    // Two clients, 0 and 1, a router and a server; the link between the last two is full, whichever way data go.
    link: (from, to) => (from + to === 5 ? 0 : FREE),
    capacity: [1_000_000],
    credit: () => ({ valuation: false }),
  });
  for (const [a, b] of [
    [0, 2],
    [1, 2],
    [2, 3],
  ] as const)
    network.meet(a, b, rich, rich);
  const open = (client: number, own: number) => network.open({ path: [client, 2, 3], own, up, group: client });
  return { network, connections: [open(0, 4), open(1, 5)] };
}

test('on a full link bytes are in proportion to what is announced, and every router keeps its hundredth', () => {
  const { network } = line(true);
  for (let i = 0; i < 60; i++) network.step();
  network.moved = [];
  for (let i = 0; i < 60; i++) network.step();
  const [less = 0, more = 0] = network.moved;
  expect(more / less).toBeCloseTo(4, 1);
  expect(more + less).toBeCloseTo(60 * 1_000_000, -2);
  const router = network.node(2);
  for (const client of [0, 1]) {
    const [spent, always, load] = (['spent', 'always', 'load'] as const).map((what) =>
      router.of(network.now_us, client, what),
    );
    expect((always as number) / (spent as number)).toBeCloseTo(0.01, 4);
    // What waits pays all that is left: 99 %.
    expect((load as number) / (spent as number)).toBeGreaterThan(0.9);
  }
  network.dispose();
});

test('a link with room charges nothing for load, and what comes home is what was sent less what three hops keep', () => {
  const { network, connections } = line(false);
  for (const connection of connections) if (connection !== null) connection.flow.demand = 1000;
  for (let i = 0; i < 600; i++) network.step();
  const router = network.node(2);
  for (const client of [0, 1]) {
    expect(router.of(network.now_us, client, 'load')).toBe(0);
    expect(router.of(network.now_us, client, 'price')).toBe(0);
    // There, at the server and back: 0.99³ of it, up to rounding by classes, which a carry bounds.
    const [spent, earned] = (['spent', 'earned'] as const).map((what) => router.of(network.now_us, client, what));
    expect((earned as number) / (spent as number)).toBeGreaterThan(0.85);
    expect((earned as number) / (spent as number)).toBeLessThan(1.0001);
  }
  for (const connection of connections) if (connection !== null) network.close(connection);
  expect(network.connections).toEqual([]);
  network.dispose();
});

test('the same seed gives the same figures, and every panel has its curves', () => {
  const options = { seed: 5, nodes: 200, scenarios: ['convergence', 'server-pays', 'split'] };
  const once = simulateCredits(createNativeCredit, options);
  expect(simulateCredits(createNativeCredit, options)).toEqual(once);
  expect(once.scenarios.map(({ name }) => name)).toEqual(options.scenarios);
  const svg = creditsPlot(once);
  const curves = once.scenarios.flatMap(({ panels }) => panels.flatMap((panel) => panel.curves));
  expect([...svg.matchAll(/<polyline /g)]).toHaveLength(curves.length);
  expect(new Set(SCENARIO_NAMES).size).toBe(14);
});
