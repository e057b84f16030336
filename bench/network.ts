/** Whole nodes: what the Rust measurements print, as rows. */
import { measurements, output } from './cargo.js';
import { compared, type Measurement, median, type Row } from './rows.js';

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
  floor_ns: number[];
  lost_ours: number;
  lost_floor: number;
}

interface Download {
  rounds: {
    gbit_per_s: number;
    quinn_gbit_per_s: number;
    cpu_ns_per_byte: Record<'client' | 'first_relay' | 'second_relay' | 'exit', number>;
  }[];
}

interface Impaired {
  cases: { rtt_ms: number; loss: number; rounds: { mbit_per_s: number; quinn_mbit_per_s: number }[] }[];
}

interface Short {
  ttfb_direct_us: number[];
  ttfb_cold_us: number[];
  ttfb_warm_us: number[];
  rounds: { per_s: number; p50_us: number; p99_us: number }[];
}

export const wholeNodes: Measurement[] = [
  of<Hop>('hop', "a relay's CPU per packet against a bare quinn datagram hop", (f) => [
    compared('relay_hop', 'ns', f.ours_ns, f.floor_ns),
  ]),
  of<Download>('download', 'three-hop download through SOCKS5', ({ rounds }) => [
    compared(
      'download',
      'Gbit/s',
      rounds.map((r) => r.gbit_per_s),
      rounds.map((r) => r.quinn_gbit_per_s),
    ),
    ...(['client', 'first_relay', 'second_relay', 'exit'] as const).map((role) => ({
      name: `cpu_${role}`,
      unit: 'ns/B',
      ours: median(rounds.map((r) => r.cpu_ns_per_byte[role])),
    })),
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
  of<Short>('short', 'time to first byte and short connections', (f) => [
    compared('ttfb_cold', 'µs', f.ttfb_cold_us, f.ttfb_direct_us),
    compared('ttfb_warm', 'µs', f.ttfb_warm_us, f.ttfb_direct_us),
    { name: 'short_connections', unit: '1/s', ours: median(f.rounds.map((r) => r.per_s)) },
    { name: 'short_connections_p50', unit: 'µs', ours: median(f.rounds.map((r) => r.p50_us)) },
    { name: 'short_connections_p99', unit: 'µs', ours: median(f.rounds.map((r) => r.p99_us)) },
  ]),
  of<{ bytes_per_idle_circuit: number }>('memory', 'an idle circuit at a relay', (f) => [
    { name: 'idle_circuit', unit: 'B', ours: f.bytes_per_idle_circuit },
  ]),
  of<{ resident_bytes_per_reader: number }>('stalled', 'a reader that never reads', (f) => [
    { name: 'stalled_reader', unit: 'B', ours: f.resident_bytes_per_reader },
  ]),
];
