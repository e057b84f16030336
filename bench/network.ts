/** Whole nodes: what the Rust measurements print, as rows. */
import { measurements, output } from './cargo.js';
import { compared, type Measurement, type Row } from './rows.js';

async function measure<T>(name: string): Promise<T> {
  return JSON.parse(await output(await measurements(), [name])) as T;
}

function of<T>(name: string, title: string, rows: (figures: T) => Row[]): Measurement {
  return {
    name,
    title,
    async run() {
      const figures = await measure<T>(name);
      return { rows: rows(figures), rounds: figures };
    },
  };
}

interface Hop {
  ours_ns: number[];
  chacha_ns: number[];
  floor_ns: number[];
  lost_ours: number[];
  lost_floor: number;
}

interface Impaired {
  cases: { rtt_ms: number; loss: number; rounds: { mbit_per_s: number; quinn_mbit_per_s: number }[] }[];
}

interface Cold {
  direct_us: number[];
  cold_us: number[];
}

export const wholeNodes: Measurement[] = [
  of<Hop>('hop', "a relay's CPU per packet over QUIC's datagrams against a bare quinn datagram hop", (f) => [
    compared('relay_hop', 'ns', f.ours_ns, f.floor_ns),
    compared('relay_hop_chacha', 'ns', f.chacha_ns, f.floor_ns),
  ]),
  of<Impaired>('impaired', 'goodput with delay and loss on one link against plain quinn', ({ cases }) =>
    cases.map(({ rtt_ms, loss, rounds }) =>
      compared(
        `goodput_${rtt_ms}ms_${loss * 100}%`,
        'Mbit/s',
        rounds.map((r) => r.mbit_per_s),
        rounds.map((r) => r.quinn_mbit_per_s),
      ),
    ),
  ),
  of<Cold>('cold', 'time to first byte without a circuit', (f) => [
    compared('ttfb_cold', 'µs', f.cold_us, f.direct_us),
  ]),
  of<{ bytes_per_idle_circuit: number }>('memory', 'an idle circuit at a relay', (f) => [
    { name: 'idle_circuit', unit: 'B', ours: f.bytes_per_idle_circuit },
    { name: 'idle_circuits_100000', unit: 'MiB', ours: (f.bytes_per_idle_circuit * 1e5) / 2 ** 20 },
  ]),
  of<{ resident_bytes_per_reader: number }>('stalled', 'a reader that never reads', (f) => [
    { name: 'stalled_reader', unit: 'B', ours: f.resident_bytes_per_reader },
  ]),
];
