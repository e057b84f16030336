/** What neighbours did for a node against what it does for them when all want its link at once. */
import { figure } from '../../base/figure.js';
import { HOUR_US, type Scenario } from '../scenario.js';
import { CAPACITY, CROWD_S, served } from './crowd.js';

const LEVELS = [0, 1, 2, 4, 8, 16];
const UNIT = 500_000;

export const service: Scenario = {
  name: 'service',
  title: 'share of a bottleneck against what was contributed',
  run(setting) {
    const count = Math.min(setting.nodes, 1000) - 2;
    const contributed = Array.from({ length: count }, (_, i) => (LEVELS[i % LEVELS.length] as number) * UNIT);
    const rates = served(setting, { contributed, demand: Number.MAX_VALUE, counted_us: HOUR_US });
    const sum = contributed.reduce((all, one) => all + one, 0);
    const points: [number, number][] = [];
    let off = 0;
    for (const level of LEVELS) {
      const of = rates.filter((_, i) => i % LEVELS.length === LEVELS.indexOf(level));
      const mean = of.reduce((all, one) => all + one, 0) / of.length;
      points.push([level, mean / CAPACITY]);
      // Income is what was spent there, and a part of the increase in the same proportion: shares are those of contributions.
      if (level > 0) off = Math.max(off, Math.abs(mean / CAPACITY / ((level * UNIT) / sum) - 1));
    }
    const riders = (points[0] as [number, number])[1];
    const average = points.slice(1).reduce((all, [, share]) => all + share, 0) / (points.length - 1);
    const idle = served(
      { ...setting, progress: () => {} },
      { contributed, demand: (0.9 * CAPACITY) / count, counted_us: 60_000_000 },
    );
    return {
      figures: [
        figure('share of the link, off the share of what was contributed', off, { most: 0.05 }),
        figure('a free rider’s share, of a contributor’s', riders / average, { least: 1e-6, most: 0.05 }),
        figure(
          'a free rider’s share where the link has room, of what it asks for',
          Math.min(...idle) / ((0.9 * CAPACITY) / count),
          { least: 0.999 },
        ),
      ],
      panels: [{ title: 'share of the link', x: 'contributed', curves: [{ name: 'share', points }] }],
      nodes: count + 2,
      connections: 2 * count,
      virtual_s: CROWD_S(HOUR_US) + CROWD_S(60_000_000),
    };
  },
};
