/** The packet kernels against bare AEAD passes over the same bytes, in five rounds. */
import { measurements, output } from './cargo.js';
import { compared, type Measurement, median, type Row } from './rows.js';

type Rounds = Record<string, { ours_ns: number[]; floor_ns: number[] }>;

export const packets: Measurement = {
  name: 'packets',
  title: 'packet kernels against bare AEAD passes',
  async run() {
    const rounds = JSON.parse(await output(await measurements(), ['packets'])) as Rounds;
    const rows = Object.entries(rounds).map(
      ([name, { ours_ns, floor_ns }]): Row =>
        floor_ns.length > 0 ? compared(name, 'ns', ours_ns, floor_ns) : { name, unit: 'ns', ours: median(ours_ns) },
    );
    return { rows, rounds };
  },
};
