/** Curves side by side as one SVG: a simulation's figures for people who read pages. */

export interface Curve {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
}

export interface Panel {
  title: string;
  curves: readonly Curve[];
  /** Under the axis. */
  x: string;
  /** Logarithmic, with a mark at each x of a curve; else evenly from the least x to the largest, with round marks. */
  xLog?: boolean;
  /** The y axis begins there and goes by factors of ten; undefined: from 0, evenly. */
  yLog?: number;
}

const WIDTH = 330;
const HEIGHT = 250;
const LEFT = 52;
const TOP = 40;
const GAP = 78;
/** A mark's words do not run into those before it. */
const MARK_WIDTH = 20;
const COLORS = ['#888888', '#444444', '#b07aa1', '#f28e2b', '#9c755f', '#59a14f', '#4e79a7', '#e15759', '#000000'];
const DASHES = ['', '4 3'];

/** Even numbers of marks: 1, 2 or 5 times a power of ten apart. */
function step(range: number): number {
  const power = 10 ** Math.floor(Math.log10(range / 4));
  const [times = 10] = [1, 2, 5].filter((factor) => range / (factor * power) <= 5);
  return times * power;
}

interface Scale {
  at: (value: number) => number;
  marks: number[];
}

function vertical(values: readonly number[], log: number | undefined): Scale {
  const top = Math.max(...values, 1e-9);
  if (log === undefined) {
    const by = step(top);
    const end = Math.ceil(top / by) * by;
    const marks = Array.from({ length: Math.round(end / by) + 1 }, (_, i) => i * by);
    return { at: (value) => HEIGHT * (1 - value / end), marks };
  }
  const [low, high] = [Math.log10(log), Math.ceil(Math.log10(top))];
  const marks = Array.from({ length: Math.round(high - low) + 1 }, (_, i) => 10 ** (low + i));
  return { at: (value) => HEIGHT * (1 - (Math.log10(Math.max(value, log)) - low) / (high - low)), marks };
}

function horizontal(values: readonly number[], log: boolean): Scale {
  const each = [...new Set(values)].sort((a, b) => a - b);
  const of = log ? Math.log : (value: number) => value;
  const [first = 0, last = 0] = [each[0], each.at(-1)];
  const [low, high] = [of(first), of(last)];
  const at = (value: number) => (high === low ? WIDTH / 2 : (WIDTH * (of(value) - low)) / (high - low));
  if (log || each.length <= 8) return { at, marks: each };
  const by = step(last - first);
  const begin = Math.ceil(first / by);
  return { at, marks: Array.from({ length: Math.floor(last / by) - begin + 1 }, (_, i) => (begin + i) * by) };
}

const said = (value: number): string => String(Number(value.toPrecision(3)));
const escaped = (words: string): string => words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const text = (x: number, y: number, words: string, more = ''): string =>
  `<text x="${x}" y="${y}" ${more}>${escaped(words)}</text>`;
const look = (which: number): string =>
  `stroke="${COLORS[which % COLORS.length]}" stroke-dasharray="${DASHES[which & 1]}"`;

function drawn(panel: Panel, left: number, top: number, names: readonly string[]): string {
  const points = panel.curves.flatMap((curve) => curve.points);
  const x = horizontal(
    points.map(([at]) => at),
    panel.xLog === true,
  );
  const y = vertical(
    points.map(([, at]) => at),
    panel.yLog,
  );
  const lines = [text(0, -14, panel.title, 'class="title"')];
  for (const mark of y.marks) {
    const height = y.at(mark).toFixed(1);
    lines.push(`<line x1="0" x2="${WIDTH}" y1="${height}" y2="${height}" class="grid"/>`);
    lines.push(text(-6, y.at(mark) + 4, said(mark), 'text-anchor="end"'));
  }
  const marks = x.marks.filter((mark, i) => i === 0 || x.at(mark) - x.at(x.marks[i - 1] as number) >= MARK_WIDTH);
  for (const mark of marks) lines.push(text(x.at(mark), HEIGHT + 18, said(mark), 'text-anchor="middle"'));
  const note = panel.yLog === undefined ? '' : ' · y logarithmic';
  lines.push(text(WIDTH / 2, HEIGHT + 36, `${panel.x}${note}`, 'text-anchor="middle"'));
  for (const curve of panel.curves) {
    const path = curve.points.map(([a, b]) => `${x.at(a).toFixed(1)},${y.at(b).toFixed(1)}`);
    lines.push(`<polyline points="${path.join(' ')}" class="curve" ${look(names.indexOf(curve.name))}/>`);
  }
  return `<g transform="translate(${left},${top})">${lines.join('')}</g>`;
}

/** What is named under each panel of a row: its own curves; where all panels have the same ones, these once, spread over the row. */
function legends(row: readonly Panel[], names: readonly string[]): string[][] {
  if (row.some(({ curves }) => curves.length < names.length))
    return row.map(({ curves }) => curves.map(({ name }) => name));
  return row.map((_, i) => names.filter((_, at) => at % row.length === i));
}

/** Panels in rows of `across`; curves of one name look the same in all of a row. */
export function chart(panels: readonly Panel[], across = 3): string {
  const parts: string[] = [];
  let top = 0;
  for (let first = 0; first < panels.length; first += across) {
    const row = panels.slice(first, first + across);
    const names = [...new Set(row.flatMap(({ curves }) => curves.map(({ name }) => name)))];
    row.forEach((panel, i) => {
      parts.push(drawn(panel, LEFT + i * (WIDTH + GAP), top + TOP, names));
    });
    const named = legends(row, names);
    named.forEach((under, i) => {
      const x = LEFT + i * (WIDTH + GAP);
      under.forEach((name, at) => {
        const y = top + TOP + HEIGHT + 62 + 18 * at;
        const line = `x1="${x}" x2="${x + 28}" y1="${y - 4}" y2="${y - 4}"`;
        parts.push(`<line ${line} class="curve" ${look(names.indexOf(name))}/>`, text(x + 36, y, name));
      });
    });
    top += TOP + HEIGHT + 50 + 18 * Math.max(...named.map((under) => under.length)) + 10;
  }
  const width = LEFT + Math.min(across, panels.length) * (WIDTH + GAP);
  const style =
    'text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.grid{stroke:#ddd}.curve{fill:none;stroke-width:2}';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" width="${width}" height="${top}"><style>${style}</style><rect width="100%" height="100%" fill="#fff"/>${parts.join('')}</svg>\n`;
}
