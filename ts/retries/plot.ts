/** Retries, time and entropy over P, policy by policy, as one SVG. */
import type { RunFigures } from './counts.js';

export interface Curve {
  name: string;
  points: { block: number; figures: RunFigures }[];
}

interface Panel {
  title: string;
  of: (figures: RunFigures) => number;
  /** The axis begins there and goes by factors of ten; undefined: from 0, evenly. */
  log?: number;
  note: string;
}

const PANELS: Panel[] = [
  { title: 'retries per connection', of: ({ all }) => all.retries, log: 1e-4, note: 'logarithmic' },
  { title: 'total time, seconds', of: ({ all }) => all.time_ms / 1000, log: 0.1, note: 'logarithmic' },
  { title: 'entropy in K, × log2 of the window', of: ({ entropy }) => entropy.ratio, note: '' },
];

const WIDTH = 330;
const HEIGHT = 250;
const LEFT = 52;
const TOP = 40;
const GAP = 78;
const COLORS = ['#888888', '#444444', '#b07aa1', '#f28e2b', '#9c755f', '#59a14f', '#4e79a7', '#e15759', '#000000'];
const DASHES = ['', '4 3'];

/** Even numbers of marks: 1, 2 or 5 times a power of ten apart. */
function step(range: number): number {
  const power = 10 ** Math.floor(Math.log10(range / 4));
  const [times = 10] = [1, 2, 5].filter((factor) => range / (factor * power) <= 5);
  return times * power;
}

function scale(panel: Panel, values: readonly number[]): { y: (value: number) => number; marks: number[] } {
  const top = Math.max(...values, 1e-9);
  if (panel.log === undefined) {
    const by = step(top);
    const end = Math.ceil(top / by) * by;
    const marks = Array.from({ length: Math.round(end / by) + 1 }, (_, i) => i * by);
    return { y: (value) => HEIGHT * (1 - value / end), marks };
  }
  const [low, high] = [Math.log10(panel.log), Math.ceil(Math.log10(top))];
  const marks = Array.from({ length: Math.round(high - low) + 1 }, (_, i) => 10 ** (low + i));
  const y = (value: number) => HEIGHT * (1 - (Math.log10(Math.max(value, panel.log as number)) - low) / (high - low));
  return { y, marks };
}

const said = (value: number): string => String(Number(value.toPrecision(3)));
const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${x}" y="${y}" ${more}>${words}</text>`;

function drawn(panel: Panel, at: number, curves: readonly Curve[]): string {
  const blocks = [...new Set(curves.flatMap(({ points }) => points.map(({ block }) => block)))].sort((a, b) => a - b);
  const [low, high] = [Math.log(blocks[0] as number), Math.log(blocks.at(-1) as number)];
  const x = (block: number) => (high === low ? WIDTH / 2 : (WIDTH * (Math.log(block) - low)) / (high - low));
  const { y, marks } = scale(
    panel,
    curves.flatMap(({ points }) => points.map(({ figures }) => panel.of(figures))),
  );
  const lines = [text(0, -14, panel.title, 'class="title"')];
  for (const mark of marks) {
    const height = y(mark).toFixed(1);
    lines.push(`<line x1="0" x2="${WIDTH}" y1="${height}" y2="${height}" class="grid"/>`);
    lines.push(text(-6, y(mark) + 4, said(mark), 'text-anchor="end"'));
  }
  for (const block of blocks) lines.push(text(x(block), HEIGHT + 18, String(block), 'text-anchor="middle"'));
  lines.push(text(WIDTH / 2, HEIGHT + 36, `P${panel.note === '' ? '' : ` · ${panel.note}`}`, 'text-anchor="middle"'));
  curves.forEach(({ points }, which) => {
    const path = points.map(({ block, figures }) => `${x(block).toFixed(1)},${y(panel.of(figures)).toFixed(1)}`);
    const look = `stroke="${COLORS[which % COLORS.length]}" stroke-dasharray="${DASHES[which & 1]}"`;
    lines.push(`<polyline points="${path.join(' ')}" class="curve" ${look}/>`);
  });
  return `<g transform="translate(${at},${TOP})">${lines.join('')}</g>`;
}

export function plot(curves: readonly Curve[]): string {
  const width = LEFT + PANELS.length * (WIDTH + GAP);
  const height = TOP + HEIGHT + 50 + 18 * Math.ceil(curves.length / 3) + 10;
  const panels = PANELS.map((panel, i) => drawn(panel, LEFT + i * (WIDTH + GAP), curves));
  const legend = curves.map(({ name }, i) => {
    const [x, y] = [LEFT + (i % 3) * (WIDTH + GAP), TOP + HEIGHT + 62 + 18 * Math.floor(i / 3)];
    const look = `stroke="${COLORS[i % COLORS.length]}" stroke-dasharray="${DASHES[i & 1]}"`;
    return `<line x1="${x}" x2="${x + 28}" y1="${y - 4}" y2="${y - 4}" class="curve" ${look}/>${text(x + 36, y, name)}`;
  });
  const style =
    'text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.grid{stroke:#ddd}.curve{fill:none;stroke-width:2}';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"><style>${style}</style><rect width="100%" height="100%" fill="#fff"/>${panels.join('')}${legend.join('')}</svg>\n`;
}
