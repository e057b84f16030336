/** A relay on fast links beside its floor: by circuits, neighbours and size; each case in a process of its own. */
import { measurements, output } from './cargo.js';
import { compared, type Measurement, type Row } from './rows.js';

export interface RelayFigures {
  circuits: number;
  neighbours: number;
  payload_bytes: number;
  packet_bytes: number;
  floor_library: string;
  ours_ns: number[];
  floor_ns: number[];
  /** A bare quinn datagram hop, in the same rounds; only where nothing is drawn. */
  quinn_ns: number[];
  lost_ours: number;
  lost_floor: number;
}

/** A relay of two threads and one of one thread, each beside the same floor in the same rounds. */
export interface ShardFigures {
  two_by_floor: number[];
  one_by_floor: number[];
  passed_by_shard: number[];
}

/** A relay whose circuits pay beside one that has nothing to schedule, each beside the same floor in the same rounds. */
export interface ScheduledFigures {
  scheduled_by_floor: number[];
  plain_by_floor: number[];
}

/** Circuits, neighbours and payload bytes of the size class. */
const CASES: [name: string, circuits: number, neighbours: number, payload_bytes: number][] = [
  ['relay_1', 1, 2, 1202],
  ['relay_1000', 1_000, 2, 1202],
  ['relay_100000', 100_000, 2, 1202],
  ['relay_8_neighbours', 1_000, 8, 1202],
  ['relay_64_neighbours', 1_000, 64, 1202],
  ['relay_L', 1_000, 2, 1314],
  ['relay_J', 1_000, 2, 8854],
  ['relay_X', 1_000, 2, 16_238],
];

export const relay: Measurement = {
  name: 'relay',
  title: "a relay's CPU per packet on fast links against receive, one AEAD pass and send (four minutes)",
  async run() {
    const program = await measurements();
    const rows: Row[] = [];
    const cases: (RelayFigures & { name: string })[] = [];
    for (const [name, ...numbers] of CASES) {
      const figures = JSON.parse(await output(program, ['relay', ...numbers.map(String)])) as RelayFigures;
      rows.push(compared(name, 'ns', figures.ours_ns, figures.floor_ns));
      if (figures.quinn_ns.length > 0) rows.push(compared('relay_quinn', 'ns', figures.ours_ns, figures.quinn_ns));
      cases.push({ name, ...figures });
    }
    const shards = JSON.parse(await output(program, ['shards', '1000', '8', '1202'])) as ShardFigures;
    rows.push(compared('relay_2_shards', '× floor', shards.two_by_floor, shards.one_by_floor));
    const scheduled = JSON.parse(await output(program, ['scheduled', '1000', '2', '1202'])) as ScheduledFigures;
    rows.push(compared('relay_scheduled', '× floor', scheduled.scheduled_by_floor, scheduled.plain_by_floor));
    return { rows, rounds: { cases, shards, scheduled } };
  },
};
