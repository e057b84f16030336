import { expect, test } from 'vitest';
import { Chance } from '../base/chance.js';
import { Fluid, type FluidFlow } from './fluid.js';

const flow = (links: number[], weights: number[], demand = Number.POSITIVE_INFINITY): FluidFlow => ({
  links,
  weights,
  demand,
  rate: 0,
  waits: -1,
});
const rates = (flows: FluidFlow[]) => flows.map(({ rate }) => rate);

test('two flows on one link get what their weights say, and what one does not ask for the other has', () => {
  const fluid = new Fluid([120]);
  const flows = [flow([0], [1]), flow([0], [3])];
  fluid.divide(flows);
  expect(rates(flows)).toEqual([30, 90]);
  expect(flows.map(({ waits }) => waits)).toEqual([0, 0]);
  flows[1]!.demand = 20;
  fluid.divide(flows);
  expect(rates(flows)).toEqual([100, 20]);
  expect(flows.map(({ waits }) => waits)).toEqual([0, -1]);
  flows[0]!.demand = 50;
  fluid.divide(flows);
  expect(rates(flows)).toEqual([50, 20]);
  expect([fluid.full(0), fluid.load[0]]).toEqual([false, 70]);
});

test('on a line of two bottlenecks the long flow gets the lesser share, the others the rest', () => {
  // Capacities 10 and 4, equal weights: 2 for both on the second, 8 for the short one on the first (max–min).
  const fluid = new Fluid([10, 4]);
  const flows = [flow([0, 1], [1, 1]), flow([0], [1]), flow([1], [1])];
  fluid.divide(flows);
  expect(rates(flows).map((rate) => Math.round(rate * 1e6) / 1e6)).toEqual([2, 8, 2]);
  expect(flows.map(({ waits }) => waits)).toEqual([1, 0, 0]);
  // Weight 1/9 of 9/9 on the first link: 1 of 10; it waits there, and the second link's other flow has 3.
  flows[0]!.weights = [1, 1];
  flows[1]!.weights = [9];
  fluid.divide(flows);
  expect(rates(flows).map((rate) => Math.round(rate * 1e6) / 1e6)).toEqual([1, 9, 3]);
  expect(flows[0]!.waits).toBe(0);
});

test('a flow that crosses a carrier twice takes twice its rate of it', () => {
  const fluid = new Fluid([30]);
  const flows = [{ ...flow([0], [1]), uses: [2] }, flow([0], [1])];
  fluid.divide(flows);
  expect(rates(flows)).toEqual([10, 10]);
  expect(fluid.load[0]).toBe(30);
});

test('whatever the weights: no link is over its capacity, and whoever does not get all he asks for waits at a full one', () => {
  for (let seed = 0; seed < 50; seed++) {
    const chance = new Chance(seed, 1);
    const fluid = new Fluid(Array.from({ length: 12 }, () => 1 + 99 * chance.unit()));
    const flows = Array.from({ length: 60 }, () => {
      const links = [...new Set(Array.from({ length: 1 + chance.below(4) }, () => chance.below(12)))];
      return flow(
        links,
        links.map(() => Math.exp(3 * chance.normal())),
        40 * chance.unit(),
      );
    });
    fluid.divide(flows);
    for (let link = 0; link < 12; link++) {
      const load = flows.reduce((sum, { links, rate }) => sum + (links.includes(link) ? rate : 0), 0);
      expect(load).toBeLessThanOrEqual((fluid.capacity[link] as number) * (1 + 1e-6));
      if (fluid.full(link)) expect(load).toBeGreaterThan((fluid.capacity[link] as number) * (1 - 1e-6));
    }
    for (const { links, weights, rate, demand, waits } of flows) {
      if (waits < 0) expect(rate).toBe(demand);
      else expect(rate).toBeCloseTo((weights[waits] as number) * (fluid.level[links[waits] as number] as number), 9);
    }
  }
});
