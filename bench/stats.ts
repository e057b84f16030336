/** The choice of exits: its kernel beside updates of a plain array's slot, and whole connections across the bindings. */
import type { CreateEgress } from '../ts/core/egress.js';
import { createNativeEgress } from '../ts/platform/native-egress.js';
import { createWasmEgress } from '../ts/platform/wasm.js';
import { initWasmInNode } from '../ts/platform/wasm-node.js';
import { simulate } from '../ts/retries/compare.js';
import { WORLD_DEFAULTS } from '../ts/retries/options.js';
import { measurements, output } from './cargo.js';
import { compared, type Measurement, median, type Row } from './rows.js';

type Rounds = Record<string, { ours_ns: number[]; floor_ns: number[] }>;

/** Of a run of `wayfare sim retries`. */
const SIMULATED_US = 260_000_000;
const ROUNDS = 5;
const CONNECTIONS = 20_000;
const DESTINATIONS = 200;
const HOPS = 20;

/** Microseconds per connection, opened, counted in a batch with others and closed, one call each as policy makes them. */
function connection_us(create: CreateEgress): number {
  const egress = create({}, new Uint8Array(32).fill(1), 0);
  for (let i = 0; i < HOPS; i++) egress.hopAdd(0, 1_000_000);
  const source = new Uint8Array(19);
  const records = new Float64Array(6 * 64);
  const out = new Float64Array(4);
  const none = new Uint32Array();
  const keys = Array.from({ length: DESTINATIONS }, (_, i) => `host-${i}.test:443`);
  let waiting = 0;
  const start = process.hrtime.bigint();
  for (let i = 0; i < CONNECTIONS; i++) {
    const now_us = i * 10_000;
    source[15] = i >> 16;
    source[16] = i >> 8;
    source[17] = i;
    const destination = egress.destination(now_us, keys[(i * i) % DESTINATIONS] as string);
    const flow = egress.flowOpen(now_us, source, destination, -1, none, out);
    records.set([flow, now_us, 300, 20_000, 4, 16], 6 * waiting);
    waiting += 1;
    if (waiting === 64) {
      egress.record(now_us, records, waiting);
      waiting = 0;
    }
    egress.flowClose(now_us, flow, i % 20 === 0);
  }
  const took_us = Number(process.hrtime.bigint() - start) / 1e3;
  egress.close();
  return took_us / CONNECTIONS;
}

/** The same per connection that `wayfare sim retries` simulates with the shipping policy, its world included. */
function simulated_us(seed: number): number {
  const options = { seed, world: WORLD_DEFAULTS, warm_us: 0, counted_us: SIMULATED_US };
  const start = process.hrtime.bigint();
  const { connections } = simulate(createNativeEgress, options, 'dual-buckets-race');
  return Number(process.hrtime.bigint() - start) / 1e3 / connections;
}

export const stats: Measurement = {
  name: 'stats',
  title: 'the choice of exits against updates of a slot',
  async run() {
    const { tuple_bytes, ...rounds } = JSON.parse(await output(await measurements(), ['stats'])) as Rounds & {
      tuple_bytes: number;
    };
    const rows = Object.entries(rounds as Rounds).map(
      ([name, { ours_ns, floor_ns }]): Row =>
        floor_ns.length > 0 ? compared(name, 'ns', ours_ns, floor_ns) : { name, unit: 'ns', ours: median(ours_ns) },
    );
    rows.push({ name: 'stats_tuple', unit: 'bytes', ours: tuple_bytes });
    await initWasmInNode();
    const crossing: Record<string, number[]> = { stats_binding: [], stats_binding_wasm: [] };
    for (let round = 0; round < ROUNDS; round++) {
      crossing.stats_binding?.push(connection_us(createNativeEgress));
      crossing.stats_binding_wasm?.push(connection_us(createWasmEgress));
    }
    rows.push(...Object.entries(crossing).map(([name, us]): Row => ({ name, unit: 'µs', ours: median(us) })));
    const simulated = Array.from({ length: ROUNDS }, (_, round) => 1000 * simulated_us(round));
    rows.push(compared('stats_simulated_connection', 'ns', simulated, rounds.stats_record?.floor_ns ?? []));
    return { rows, rounds: { ...rounds, ...crossing, stats_simulated_connection: simulated } };
  },
};
