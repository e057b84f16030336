/** How much faster a contributor is served than who does nothing, by how much is asked of the link. */
import { figure } from '../../base/figure.js';
import { HOUR_US, type Scenario } from '../scenario.js';
import { CAPACITY, CROWD_S, served } from './crowd.js';

const LOADS = [0.5, 0.9, 1.25, 1.5, 1.75, 3];
const CONTRIBUTED = 4_000_000;
const COUNTED_US = HOUR_US / 2;

export const boost: Scenario = {
  name: 'boost',
  title: 'a contributor’s boost, by load',
  run(setting) {
    const count = 2 * Math.floor(Math.min(setting.nodes, 200) / 2);
    const points: [number, number][] = [];
    const figures = [];
    for (const [i, load] of LOADS.entries()) {
      const demand = (load * CAPACITY) / count;
      const contributed = Array.from({ length: count }, (_, node) => (node % 2) * CONTRIBUTED);
      const rates = served(
        { ...setting, progress: (part) => setting.progress((i + part) / LOADS.length) },
        { contributed, demand, counted_us: COUNTED_US },
      );
      const sum = (odd: number) => rates.reduce((all, rate, node) => all + (node % 2 === odd ? rate : 0), 0);
      const boosted = sum(1) / sum(0);
      points.push([load, boosted]);
      // Contributors have all they ask for as long as there is so much; riders share what is left.
      const expected = load <= 1 ? 1 : load / (2 - load);
      if (load < 2)
        figures.push(
          figure(
            `load ${load}: boost, of its closed form`,
            boosted / expected,
            { least: 0.95, most: 1.05 },
            `${boosted.toFixed(3)} times`,
          ),
        );
      else
        figures.push(
          figure(`load ${load}: boost`, boosted, { least: 20, most: 1e6 }, 'riders have their part of the increase'),
        );
    }
    return {
      figures,
      panels: [
        {
          title: 'goodput of a contributor over a free rider’s',
          x: 'load',
          yLog: 1,
          curves: [{ name: 'boost', points }],
        },
      ],
      nodes: count + 2,
      connections: LOADS.length * count,
      virtual_s: LOADS.length * CROWD_S(COUNTED_US),
    };
  },
};
