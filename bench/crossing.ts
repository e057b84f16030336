/** What TypeScript sees of the packet kernels: the crossing into native code, against the work done there. */
import benny from 'benny';
import { native } from '../ts/platform/native.js';
import { compared, type Measurement } from './rows.js';

const ROUNDS = 5;
const BATCH = 64;
const BATCHES = 200;
const CIRCUITS = 1_000;
const PAYLOAD_BYTES = 1_200;

/** benny announces itself on standard output, which is the table's. */
async function silently<T>(run: () => Promise<T>): Promise<T> {
  const { log } = console;
  console.log = () => {};
  try {
    return await run();
  } finally {
    console.log = log;
  }
}

export const crossing: Measurement = {
  name: 'crossing',
  title: 'the N-API crossing for a batch of packets',
  async run() {
    const bench = new (native().PeelBench)(CIRCUITS, PAYLOAD_BYTES, 'aes128gcm');
    const { stride } = bench;
    const results = new Uint32Array(BATCH);
    const batch = bench.packets(BATCH);
    const [ours_us, floor_us]: [number[], number[]] = [[], []];
    for (let round = 0; round < ROUNDS; round++) {
      // A window takes a packet once, so each batch is new, and made before the clock runs.
      const fresh = Array.from({ length: BATCHES }, () => bench.packets(BATCH));
      const start = process.hrtime.bigint();
      let good = 0;
      for (const packets of fresh) good += bench.peel(packets, stride, results);
      const spent_us = Number(process.hrtime.bigint() - start) / 1e3;
      if (good !== BATCH * BATCHES) throw new Error(`${good} of ${BATCH * BATCHES} packets were peeled`);
      const summary = await silently(() =>
        benny.suite(
          'crossing',
          benny.add('pass', () => {
            bench.pass(batch, stride, results);
          }),
          benny.configure({ cases: { minSamples: 20, maxTime: 0.5 } }),
        ),
      );
      const pass_s = summary.results[0]?.details.median ?? Number.NaN;
      ours_us.push(pass_s * 1e6);
      floor_us.push(spent_us / BATCHES - pass_s * 1e6);
    }
    return { rows: [compared('crossing_64', 'µs', ours_us, floor_us)], rounds: { ours_us, floor_us } };
  },
};
