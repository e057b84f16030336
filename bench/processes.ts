/** A real network: `wayfare up` in a process for each node, a download and short connections through its SOCKS5 proxy. */
import { readFileSync } from 'node:fs';
import { Cleanup } from '../tests/harness/cleanup.js';
import { type Network, startNetwork } from '../tests/harness/network.js';
import type { Node } from '../tests/harness/node.js';
import { measurements, output } from './cargo.js';
import { compared, type Measurement, median, type Row } from './rows.js';

interface Download {
  rounds: { gbit_per_s: number; quinn_gbit_per_s: number }[];
  /** All bytes of all rounds. */
  bytes: number;
}

interface Short {
  direct_us: number[];
  warm_us: number[];
  rounds: { per_s: number; p50_us: number; p99_us: number }[];
}

/** Clock ticks of Linux's accounting, which the kernel has always told user space in hundredths. */
const TICK_NS = 1e7;

/** User and system time of a process so far. */
function cpu_ns({ process: { pid } }: Node): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_NS;
}

function resident_bytes({ process: { pid } }: Node): number {
  const kib = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

async function measure(network: Network): Promise<{ rows: Row[]; rounds: unknown }> {
  const program = await measurements();
  const roles = new Map<string, Node>([
    ['client', network.client],
    ...network.relays.map((relay, i): [string, Node] => [`relay_${i + 1}`, relay]),
    ...network.exits.map((exit): [string, Node] => ['exit', exit]),
  ]);
  const idle_mib = network.relays.map((relay) => resident_bytes(relay) / 2 ** 20);
  const short = JSON.parse(await output(program, ['short', network.socksText])) as Short;
  const before = new Map([...roles].map(([role, node]) => [role, cpu_ns(node)]));
  const download = JSON.parse(await output(program, ['download', network.socksText])) as Download;
  const cpu_ns_per_byte = Object.fromEntries(
    [...roles].map(([role, node]) => [role, (cpu_ns(node) - (before.get(role) ?? 0)) / download.bytes]),
  );
  const rows: Row[] = [
    compared(
      'download',
      'Gbit/s',
      download.rounds.map((r) => r.gbit_per_s),
      download.rounds.map((r) => r.quinn_gbit_per_s),
    ),
    ...Object.entries(cpu_ns_per_byte).map(([role, ours]) => ({ name: `cpu_${role}`, unit: 'ns/B', ours })),
    compared('ttfb_warm', 'µs', short.warm_us, short.direct_us),
    { name: 'short_connections', unit: '1/s', ours: median(short.rounds.map((r) => r.per_s)) },
    { name: 'short_connections_p50', unit: 'µs', ours: median(short.rounds.map((r) => r.p50_us)) },
    { name: 'short_connections_p99', unit: 'µs', ours: median(short.rounds.map((r) => r.p99_us)) },
    { name: 'idle_node_resident', unit: 'MiB', ours: median(idle_mib) },
  ];
  return { rows, rounds: { download, cpu_ns_per_byte, short, idle_mib } };
}

export const processes: Measurement = {
  name: 'processes',
  title: 'three hops of separate processes through SOCKS5',
  async run() {
    const cleanup = new Cleanup();
    try {
      const log = { level: 'warn' };
      return await measure(await startNetwork(cleanup, { relays: 2, exits: 1, client: { log } }));
    } finally {
      await cleanup.run();
    }
  },
};
