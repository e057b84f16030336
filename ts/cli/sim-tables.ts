/** What a simulation found, for people. */
import type { Figure } from '../base/figure.js';
import type { SeedFound } from '../credits/run.js';
import type { Checked } from '../retries/check.js';
import type { Compared } from '../retries/compare.js';
import type { RunFigures } from '../retries/counts.js';
import { table } from './format.js';

const HEAD = ['POLICY', 'RETRIES', 'WARM', 'COLD', 'FIRST', 'ATTEMPTS', 'TIME', 'USEFUL', 'WASTED'];
const SPREAD = ['BITS IN K', 'OF WINDOW', 'LOWEST', 'BITS IN ALL', 'LARGEST', 'WINDOW'];

const kb = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
export const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

function row(name: string, { all, warm, cold, first, entropy, largest, window }: RunFigures): string[] {
  const retries = [all, warm, cold, first].map((of) => of.retries.toFixed(3));
  const moved = [`${all.time_ms.toFixed(0)} ms`, kb(all.useful_bytes), kb(all.wasted_bytes)];
  const parts = [entropy.slice.toFixed(2), percent(entropy.ratio), percent(entropy.ratioLeast), entropy.run.toFixed(2)];
  return [
    name,
    ...retries,
    all.attempts.toFixed(2),
    ...moved,
    ...parts,
    percent(largest.run),
    `${window.least}–${window.most}`,
  ];
}

export function comparison({ policies, oracle }: Compared): string {
  const rows = Object.entries(policies).map(([name, figures]) => row(name, figures));
  return table([[...HEAD, ...SPREAD], ...rows, row('oracle', oracle)]);
}

/** What the columns mean. */
export const LEGEND = `Per connection. WARM: to destinations from which data came in the past K; COLD: to the others; FIRST: to destinations that
nobody asked before, beside all the rest. ATTEMPTS counts what races send out. WASTED: what was moved for tries that were given
up, and attempts that lost. BITS: entropy of the exits used in slices of K, also as a part of log2 of the window's size then, and
in the lowest slice; over the whole run; the largest part that one exit had. The oracle knows every limit and black hole, and keeps
the entropy of the policy above it.`;

const number = (value: number): string => (Number.isInteger(value) ? String(value) : value.toPrecision(3));

function limitOf({ least, most }: Figure): string {
  if (least === undefined) return most === undefined ? '' : `≤ ${number(most)}`;
  return most === undefined ? `≥ ${number(least)}` : `${number(least)} … ${number(most)}`;
}

function figureRow(figure: Figure): string[] {
  const limit = limitOf(figure);
  const { held, name, value, note = '' } = figure;
  const state = limit === '' ? 'shown' : held ? 'held' : 'MISSED';
  return [state, name, number(value), limit, note];
}

export function checkTable({ closed, seeds }: Checked): string {
  const rows = seeds.flatMap(({ seed, figures }) => [[`seed ${seed}`], ...figures.map(figureRow)]);
  return table([['', 'FIGURE', 'FOUND', 'LIMIT', ''], ...closed.map(figureRow), ...rows]);
}

/** A scenario's figures under its name, seed by seed. */
export function creditsTable(seeds: readonly SeedFound[]): string {
  const rows = seeds.flatMap(({ seed, scenarios }) => [
    ...(seeds.length > 1 ? [[`seed ${seed}`]] : []),
    ...scenarios.flatMap(({ name, figures }) =>
      figures.map((one, i) => {
        const [held = '', ...rest] = figureRow(one);
        return [i === 0 ? name : '', held, ...rest];
      }),
    ),
  ]);
  return table([['SCENARIO', '', 'FIGURE', 'FOUND', 'LIMIT', ''], ...rows]);
}
