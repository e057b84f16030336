/**
 * The relay's figures as a picture: CPU per packet, ours and the floor, against size, circuits, neighbours and threads. Plain SVG
 * that reads the same on a light and on a dark page.
 */
import type { RelayFigures, ShardFigures } from './relay.js';
import { median } from './rows.js';

interface Bar {
  label: string;
  ours_ns: number;
  floor_ns: number;
}

interface Panel {
  title: string;
  bars: Bar[];
}

const PANEL = { width: 430, height: 230, left: 58, right: 12, top: 46, bottom: 40 };
const OURS = '#2a78d6';
const FLOOR = '#8a8f98';
const TEXT = '#6b7280';

const text = (x: number, y: number, content: string, anchor = 'start', size = 12, fill = TEXT) =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}" fill="${fill}">${content}</text>`;

const rect = (x: number, y: number, width: number, height: number, fill: string, title: string) =>
  `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="2" fill="${fill}"><title>${title}</title></rect>`;

const mpps = (ns: number) => (1e3 / ns).toFixed(2);

/** A round number not below the largest. */
function ceiling(value: number): number {
  const step = 10 ** Math.floor(Math.log10(value));
  return Math.ceil(value / step) * step;
}

function panel({ title, bars }: Panel, x: number, y: number): string {
  const { width, height, left, right, top, bottom } = PANEL;
  const [inner_width, inner_height] = [width - left - right, height - top - bottom];
  const most = ceiling(Math.max(...bars.flatMap((b) => [b.ours_ns, b.floor_ns])));
  const parts = [text(0, 18, title, 'start', 14)];
  for (const share of [0, 0.5, 1]) {
    const line_y = top + inner_height * (1 - share);
    parts.push(
      `<line x1="${left}" x2="${width - right}" y1="${line_y.toFixed(1)}" y2="${line_y.toFixed(1)}" stroke="${TEXT}" stroke-opacity="0.25"/>`,
      text(left - 6, line_y + 4, `${most * share}`, 'end', 11),
    );
  }
  const slot = inner_width / bars.length;
  const bar_width = Math.min(34, slot / 3);
  bars.forEach(({ label, ours_ns, floor_ns }, i) => {
    const middle = left + slot * (i + 0.5);
    const tall = (ns: number) => (ns / most) * inner_height;
    const at = (ns: number) => top + inner_height - tall(ns);
    parts.push(
      rect(
        middle - bar_width - 1,
        at(ours_ns),
        bar_width,
        tall(ours_ns),
        OURS,
        `${label}: relay ${ours_ns.toFixed(0)} ns`,
      ),
      rect(middle + 1, at(floor_ns), bar_width, tall(floor_ns), FLOOR, `${label}: floor ${floor_ns.toFixed(0)} ns`),
      text(middle, at(Math.max(ours_ns, floor_ns)) - 5, `${mpps(ours_ns)} M/s`, 'middle', 11, OURS),
      text(middle, height - bottom + 16, label, 'middle', 11),
    );
  });
  return `<g transform="translate(${x} ${y})">${parts.join('')}</g>`;
}

type Case = RelayFigures & { name: string };

const bar = (label: string, c: Case): Bar => ({
  label,
  ours_ns: median(c.ours_ns),
  floor_ns: median(c.floor_ns),
});

/** Four panels of the cases that there are. */
export function picture(cases: readonly Case[], shards?: ShardFigures): string {
  const named = (name: string, label: string): Bar[] => {
    const found = cases.find((c) => c.name === name);
    return found === undefined ? [] : [bar(label, found)];
  };
  // Measured as ratios to the floor of the same round.
  const [eight] = named('relay_8_neighbours', '');
  const by_floor = (label: string, ratios: readonly number[], { floor_ns }: Bar): Bar => ({
    label,
    ours_ns: median(ratios) * floor_ns,
    floor_ns,
  });
  const threads =
    shards === undefined || eight === undefined
      ? []
      : [by_floor('1', shards.one_by_floor, eight), by_floor('2', shards.two_by_floor, eight)];
  const panels: Panel[] = [
    {
      title: 'by packet size (payload bytes)',
      bars: [
        ...named('relay_1000', '1,202'),
        ...named('relay_L', '1,314'),
        ...named('relay_J', '8,854'),
        ...named('relay_X', '16,238'),
      ],
    },
    {
      title: 'by circuits, drawn per packet',
      bars: [...named('relay_1', '1'), ...named('relay_1000', '1,000'), ...named('relay_100000', '100,000')],
    },
    {
      title: 'by neighbours, drawn per packet',
      bars: [...named('relay_1000', '2'), ...named('relay_8_neighbours', '8'), ...named('relay_64_neighbours', '64')],
    },
    { title: 'by threads of the relay, all on one core, 8 neighbours', bars: threads },
  ];
  const { width, height } = PANEL;
  const drawn = panels
    .filter(({ bars }) => bars.length > 0)
    .map((p, i) => panel(p, 20 + (i % 2) * (width + 20), 64 + Math.floor(i / 2) * (height + 10)));
  const legend = [
    rect(20, 36, 12, 12, OURS, 'relay'),
    text(38, 46, 'relay on fast links'),
    rect(170, 36, 12, 12, FLOOR, 'floor'),
    text(188, 46, 'floor: receive, one AEAD pass of the fastest library, send'),
  ];
  const size = `width="${2 * width + 60}" height="${2 * height + 84}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} viewBox="0 0 ${2 * width + 60} ${2 * height + 84}" font-family="system-ui, sans-serif" role="img" aria-label="A relay's CPU per packet beside its floor">
${text(20, 22, 'CPU nanoseconds per packet at a relay; above each pair, what one core passes a second', 'start', 15)}
${legend.join('')}
${drawn.join('\n')}
</svg>
`;
}
