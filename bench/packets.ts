/** The packet kernels against bare AEAD passes over the same bytes, and a saturated link's queue against updates of a slot. */
import { measurements, output } from './cargo.js';
import { compared, type Measurement, median, type Row } from './rows.js';

type Rounds = Record<string, { ours_ns: number[]; floor_ns: number[] }>;

export const packets: Measurement = {
  name: 'packets',
  title: 'packet kernels against bare AEAD passes',
  async run() {
    const program = await measurements();
    const kernels = JSON.parse(await output(program, ['packets'])) as Rounds;
    const rounds = { ...kernels, ...(JSON.parse(await output(program, ['schedule'])) as Rounds) };
    const rows = Object.entries(rounds).map(
      ([name, { ours_ns, floor_ns }]): Row =>
        floor_ns.length > 0 ? compared(name, 'ns', ours_ns, floor_ns) : { name, unit: 'ns', ours: median(ours_ns) },
    );
    return { rows, rounds };
  },
};
