/** Floods at the honest rate while a relay runs at half of what it can do: what honest traffic keeps. */
import { measurements, output } from './cargo.js';
import { compared, type Measurement } from './rows.js';

interface FloodFigures {
  half_per_s: number;
  packet_bytes: number;
  kinds: Record<
    string,
    { flooded_per_s: number[]; clean_per_s: number[]; hostile_per_honest: number[]; counted: number }
  >;
}

export const flood: Measurement = {
  name: 'flood',
  title: 'honest goodput of a relay at half load beside as many hostile packets, against none',
  async run() {
    const figures = JSON.parse(await output(await measurements(), ['flood'])) as FloodFigures;
    const rows = Object.entries(figures.kinds).map(([kind, { flooded_per_s, clean_per_s }]) =>
      compared(`flood_${kind}`, 'packets/s', flooded_per_s, clean_per_s),
    );
    return { rows, rounds: figures };
  },
};
