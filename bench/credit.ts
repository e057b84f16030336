/** Credits: the kernel beside updates of a plain array's slot, and a node's period across the bindings. */
import { CREDIT_CHANGE, type CreateCredit } from '../ts/core/credit.js';
import { createNativeCredit } from '../ts/platform/native-credit.js';
import { createWasmCredit } from '../ts/platform/wasm.js';
import { initWasmInNode } from '../ts/platform/wasm-node.js';
import { measurements, output } from './cargo.js';
import { compared, type Measurement, median, type Row } from './rows.js';

type Rounds = Record<string, { ours_ns: number[]; floor_ns: number[] }>;

const ROUNDS = 5;
const NODES = 200;
const NEIGHBOURS = 8;
const CONNECTIONS = 30;
const PERIODS = 20;

/** Microseconds per node and period, as a simulator has it: charges in a batch, weights, settlement, changes. */
function period_us(create: CreateCredit): number {
  const nodes = Array.from({ length: NODES }, (_, i) => {
    const credit = create({}, new Uint8Array(32).fill(i), 0);
    for (let n = 0; n < NEIGHBOURS; n++) credit.neighbourAdd(0, Float64Array.of(1e9, 1e9, 0, 0, 100_000));
    for (let n = 0; n < CONNECTIONS; n++)
      credit.connectionOpen(0, n % NEIGHBOURS, (n + 1 + i) % NEIGHBOURS, 1 + (n % 6));
    return credit;
  });
  const charges = new Float64Array(4 * CONNECTIONS);
  for (let n = 0; n < CONNECTIONS; n++) charges.set([n, 0, 500, 1500], 4 * n);
  const weights = new Uint32Array(2 * CONNECTIONS);
  const out = new Float64Array(64 * CREDIT_CHANGE);
  const start = process.hrtime.bigint();
  for (let period = 1; period <= PERIODS; period++)
    for (const credit of nodes) {
      credit.charges(charges, CONNECTIONS);
      credit.weights(weights);
      for (let left = credit.settle(period * 1e6); left > 0; ) left -= credit.changes(out);
    }
  const took_us = Number(process.hrtime.bigint() - start) / 1e3;
  for (const credit of nodes) credit.close();
  return took_us / (NODES * PERIODS);
}

export const credit: Measurement = {
  name: 'credit',
  title: 'credits against updates of a slot',
  async run() {
    const { neighbour_bytes, connection_bytes, ...rounds } = JSON.parse(
      await output(await measurements(), ['credit']),
    ) as Rounds & { neighbour_bytes: number; connection_bytes: number };
    const rows = Object.entries(rounds as Rounds).map(
      ([name, { ours_ns, floor_ns }]): Row => compared(name, 'ns', ours_ns, floor_ns),
    );
    rows.push({ name: 'credit_neighbour', unit: 'bytes', ours: neighbour_bytes });
    rows.push({ name: 'credit_connection', unit: 'bytes', ours: connection_bytes });
    await initWasmInNode();
    const crossing: Record<string, number[]> = { credit_period: [], credit_period_wasm: [] };
    for (let round = 0; round < ROUNDS; round++) {
      crossing.credit_period?.push(period_us(createNativeCredit));
      crossing.credit_period_wasm?.push(period_us(createWasmCredit));
    }
    rows.push(...Object.entries(crossing).map(([name, us]): Row => ({ name, unit: 'µs', ours: median(us) })));
    return { rows, rounds: { ...rounds, ...crossing } };
  },
};
