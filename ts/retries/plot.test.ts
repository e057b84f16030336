import { expect, test } from 'vitest';
import type { RunFigures } from './counts.js';
import { plot } from './plot.js';

const figures = (retries: number) =>
  ({ all: { retries, time_ms: 1000 * retries }, entropy: { ratio: retries } }) as unknown as RunFigures;

test('a plot has a curve per policy and panel, with a point per P where its value lies', () => {
  const points = [2, 4, 8].map((block) => ({ block, figures: figures(1 / block) }));
  const svg = plot([
    { name: 'one', points },
    { name: 'two', points: points.map(({ block }) => ({ block, figures: figures(0) })) },
  ]);
  const curves = [...svg.matchAll(/<polyline points="([^"]+)"/g)].map(([, all]) =>
    (all as string).split(' ').map((point) => point.split(',').map(Number)),
  );
  expect(curves).toHaveLength(6);
  for (const curve of curves) expect(curve.map(([x]) => x)).toEqual([0, 165, 330]);
  // From 0.0001 to 1, four decades in 250: a halving is log10(2) / 4 of them lower.
  const [y2, y4, y8] = (curves[0] as number[][]).map(([, y]) => y as number) as [number, number, number];
  expect(y4 - y2).toBeCloseTo((250 * Math.log10(2)) / 4, 0);
  expect(y8 - y4).toBeCloseTo((250 * Math.log10(2)) / 4, 0);
  // Zero lies on a logarithmic axis' end.
  expect((curves[1] as number[][]).map(([, y]) => y)).toEqual([250, 250, 250]);
  expect(svg.match(/<svg |<\/svg>/g)).toHaveLength(2);
});
