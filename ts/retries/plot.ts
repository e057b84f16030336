/** Retries, time and entropy over P, policy by policy, as one SVG. */
import { chart } from '../base/chart.js';
import type { RunFigures } from './counts.js';

export interface Curve {
  name: string;
  points: { block: number; figures: RunFigures }[];
}

interface Panel {
  title: string;
  of: (figures: RunFigures) => number;
  yLog?: number;
}

const PANELS: Panel[] = [
  { title: 'retries per connection', of: ({ all }) => all.retries, yLog: 1e-4 },
  { title: 'total time, seconds', of: ({ all }) => all.time_ms / 1000, yLog: 0.1 },
  { title: 'entropy in K, × log2 of the window', of: ({ entropy }) => entropy.ratio },
];

export function plot(curves: readonly Curve[]): string {
  return chart(
    PANELS.map(({ of, ...panel }) => ({
      ...panel,
      x: 'P',
      xLog: true,
      curves: curves.map(({ name, points }) => ({
        name,
        points: points.map(({ block, figures }) => [block, of(figures)] as const),
      })),
    })),
  );
}
