/** The packet kernels: criterion measures, in five rounds; this reads its estimates. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output, packetBench } from './cargo.js';
import { compared, type Measurement, type Row } from './rows.js';

const FLOORS = ['aws_lc_rs', 'ring'];
const ROUNDS = [0, 1, 2, 3, 4];

interface Estimates {
  median: { point_estimate: number };
}

async function nanoseconds(folder: string, name: string, round: number): Promise<number> {
  const text = await readFile(join(folder, name, String(round), 'new', 'estimates.json'), 'utf8');
  return (JSON.parse(text) as Estimates).median.point_estimate;
}

export const packets: Measurement = {
  name: 'packets',
  title: 'packet kernels against bare AEAD passes',
  async run() {
    const home = await mkdtemp(join(tmpdir(), 'wayfare-bench-'));
    try {
      const env = { ...process.env, CRITERION_HOME: home };
      await output(await packetBench(), ['--bench', '--quiet'], env, 'ignore');
      const rows: Row[] = [];
      const rounds: Record<string, { ours_ns: number[]; floor_ns: number[] }> = {};
      for (const group of (await readdir(home)).filter((name) => name.includes('_')).sort()) {
        const folder = join(home, group);
        const ours_ns = await Promise.all(ROUNDS.map((round) => nanoseconds(folder, 'ours', round)));
        const floor_ns = await Promise.all(
          ROUNDS.map(async (round) =>
            Math.min(...(await Promise.all(FLOORS.map((f) => nanoseconds(folder, f, round))))),
          ),
        );
        rows.push(compared(group, 'ns', ours_ns, floor_ns));
        rounds[group] = { ours_ns, floor_ns };
      }
      return { rows, rounds };
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  },
};
