/** `wayfare bench relay|path|kernel`: what this machine's packet code does, and what a running node's path does. */
import type { Command } from 'commander';
import { UsageError } from '../../base/errors.js';
import { native } from '../../platform/native.js';
import { table } from '../format.js';
import { type Io, print, printJson } from '../io.js';
import { wholeNumber } from '../settings.js';
import { Status } from '../status-line.js';
import { benchPath } from './bench-path.js';

const ROUND_MS = 250;
/** Payload bytes of the size classes; see docs/decisions/0002. */
const CLASSES: Record<string, number> = { M: 1202, L: 1314, J: 8854, X: 16238 };

interface Flags {
  duration: number;
  size: number;
  circuits: number;
  neighbours: number;
  json?: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.NaN;
}

function classBytes(text: string): number {
  const bytes = CLASSES[text.toUpperCase()] ?? Number(text);
  if (!Object.values(CLASSES).includes(bytes)) {
    throw new UsageError('argument_invalid', `--size cannot be "${text}"`, {
      hint: 'a relay carries packets of the size classes M, L, J and X',
    });
  }
  return bytes;
}

const rate = (ns: number): string => `${(1e3 / ns).toFixed(2)} Mpacket/s`;

async function relay(io: Io, flags: Flags): Promise<void> {
  const { circuits, neighbours, size: payloadBytes } = flags;
  const bench = new (native().RelayBench)({ circuits, neighbours, payloadBytes });
  const stop = io.stop();
  try {
    const setup = new Status(io.stderr, `Setting up ${circuits} circuits between ${neighbours} neighbours`);
    const shown = setInterval(() => setup.detail(`${bench.standing} stand`), 100);
    await bench.start().finally(() => clearInterval(shown));
    setup.done();
    const measuring = new Status(io.stderr, 'Passing packets through a relay and through its floor, in turn');
    const rounds: Awaited<ReturnType<typeof bench.round>>[] = [];
    const end_ms = performance.now() + flags.duration * 1000;
    do {
      const round = await bench.round(ROUND_MS);
      rounds.push(round);
      measuring.detail(
        `${round.oursNs.toFixed(0)} ns a packet, ${(round.oursNs / round.floorNs).toFixed(2)} × the floor`,
      );
    } while (performance.now() < end_ms && !stop.signal.aborted);
    measuring.done();
    const ours_ns = median(rounds.map((r) => r.oursNs));
    const floor_ns = median(rounds.map((r) => r.floorNs));
    const ratio = median(rounds.map((r) => r.oursNs / r.floorNs));
    const packets = rounds.reduce((sum, r) => sum + r.packets, 0);
    const { packetBytes: packet_bytes, lost } = rounds.at(-1)!;
    if (flags.json) {
      const figures = { circuits, neighbours, packet_bytes, ours_ns, floor_ns, ratio, packets, lost };
      return printJson(io, { schema: 'wayfare.bench-relay', version: 1, ...figures, rounds });
    }
    const gbit = (ns: number) => `${((packet_bytes * 8) / ns).toFixed(2)} Gbit/s`;
    print(
      io,
      table([
        ['', 'CPU A PACKET', 'ONE CORE', ''],
        ['relay', `${ours_ns.toFixed(0)} ns`, rate(ours_ns), gbit(ours_ns)],
        ['floor', `${floor_ns.toFixed(0)} ns`, rate(floor_ns), gbit(floor_ns)],
        ['ratio', ratio.toFixed(2), `${packets} packets of ${packet_bytes} B`, `${lost} lost`],
      ]),
    );
    print(io, '\nThe floor receives, makes one pass of the fastest AEAD over each packet and sends: nothing else.');
  } finally {
    stop.dispose();
    bench.close();
  }
}

async function kernel(io: Io, flags: Flags): Promise<void> {
  const stop = io.stop();
  const status = new Status(io.stderr, `Working packets of ${flags.size} bytes payload`);
  const kernels = new Map<string, { ours: number[]; floor: number[] }>();
  try {
    const end_ms = performance.now() + flags.duration * 1000;
    let rounds = 0;
    do {
      for (const { name, oursNs, floorNs } of await native().benchKernels(flags.size, flags.circuits, 20)) {
        const figures = kernels.get(name) ?? { ours: [], floor: [] };
        figures.ours.push(oursNs);
        if (floorNs !== null) figures.floor.push(floorNs);
        kernels.set(name, figures);
      }
      status.detail(`round ${++rounds}`);
    } while (performance.now() < end_ms && !stop.signal.aborted);
    status.done();
  } finally {
    stop.dispose();
  }
  const rows = [...kernels].map(([name, { ours, floor }]) => ({
    name,
    ours_ns: median(ours),
    floor_ns: floor.length > 0 ? median(floor) : null,
    ratio: floor.length > 0 ? median(ours.map((ns, i) => ns / floor[i]!)) : null,
  }));
  if (flags.json) {
    const { size: payload_bytes, circuits } = flags;
    return printJson(io, { schema: 'wayfare.bench-kernel', version: 1, payload_bytes, circuits, kernels: rows });
  }
  const cells = rows.map(({ name, ours_ns, floor_ns, ratio }) => [
    name,
    `${ours_ns.toFixed(0)} ns`,
    floor_ns === null ? '' : `${floor_ns.toFixed(0)} ns`,
    ratio === null ? '' : ratio.toFixed(2),
    rate(ours_ns),
  ]);
  print(io, table([['KERNEL', 'OURS', 'BARE AEAD', 'RATIO', 'ONE CORE'], ...cells]));
}

export function bench(program: Command, io: Io): void {
  const group = program
    .command('bench')
    .description("measure this machine's packet code, or a running node's path")
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare bench relay --circuits 1000\n  wayfare bench path --config client.toml --duration 10\n  wayfare bench kernel --size 64 --json',
    );
  const timed = (command: Command, seconds: number) =>
    command
      .option('--duration <S>', 'seconds to measure for', wholeNumber('--duration', 1, 3600), seconds)
      .option('--json', 'print one JSON object');

  timed(group.command('relay'), 5)
    .description("a relay's CPU per packet in this process, beside its floor; the running node is left alone")
    .option('--size <CLASS>', 'size class of the packets: M, L, J or X', classBytes, CLASSES.M)
    .option('--circuits <N>', 'each packet is of one drawn at random', wholeNumber('--circuits', 1, 100_000), 1)
    .option('--neighbours <N>', 'between which the circuits run', wholeNumber('--neighbours', 2, 128), 2)
    .addHelpText('after', '\nExample:\n  wayfare bench relay --circuits 1000 --neighbours 64 --duration 10')
    .action((flags: Flags) => relay(io, flags));

  timed(group.command('kernel'), 5)
    .description('layers on and off, beside bare AEAD passes over the same bytes')
    .option('--size <BYTES>', 'payload of a packet', wholeNumber('--size', 16, 65_000), 1200)
    .option('--circuits <N>', 'among which a relay finds the packet’s', wholeNumber('--circuits', 1, 100_000), 1000)
    .addHelpText('after', '\nExample:\n  wayfare bench kernel --size 64')
    .action((flags: Flags) => kernel(io, flags));

  benchPath(timed(group.command('path'), 5), io);
}
