/** One measurement over one peer: load on the client's host, and what it cost each process on the way. */
import type { Child } from '../../tests/harness/process.js';
import { until } from '../../tests/harness/wait.js';
import { measurements } from '../cargo.js';
import { cpu_ns } from './cpu.js';
import { ORIGIN_PORT, type Running } from './peer.js';
import { addressOf, type Space } from './space.js';

export interface Transfer {
  gbit_per_s: number;
  /** By flow, over the measured time. */
  flows_bytes: number[];
  /** Nanoseconds of CPU per byte, by host. */
  cpu_ns_per_byte: Record<string, number>;
  /** What the client of the load spends, which is no part of the path. */
  load_ns_per_byte: number;
}

export interface Datagrams {
  sent: number;
  arrived: number;
  per_s: number;
  loss: number;
  payload_bytes: number;
}

const ANSWER_MS = 60_000;

let built: Promise<string> | undefined;
/** Built once: a transfer is not to wait for cargo. */
function program(): Promise<string> {
  built ??= measurements();
  return built;
}

/** The far end on its host, ready. */
export async function startOrigin(space: Space): Promise<Child> {
  // On all addresses: a peer may bring its own.
  const origin = space.start('origin', await program(), ['serve', `[::]:${ORIGIN_PORT}`]);
  await until('the origin', () => {
    if (!origin.running) throw new Error(origin.stderr);
    return origin.stdout.includes('listening');
  });
  return origin;
}

async function load<T>(space: Space, { proxy, origin }: Running, kind: string, ...rest: number[]): Promise<T> {
  const to = origin ?? `${addressOf('origin')}:${ORIGIN_PORT}`;
  const text = await space.run('client', await program(), ['path', kind, to, proxy, ...rest.map(String)]);
  return JSON.parse(text) as T;
}

/** Resolves once a byte has come over it. */
export async function answering(space: Space, running: Running, name: string, deadline_ms = ANSWER_MS): Promise<void> {
  const look = async () => {
    const ended = running.processes.find(({ child }) => !child.running);
    if (ended !== undefined) return 'ended';
    await load(space, running, 'first-byte', 1);
    return 'answered';
  };
  const result = await until(`a byte over ${name}`, look, deadline_ms);
  if (result === 'ended') throw new Error(`a process of ${name} ended: ${complaint(running)}`);
}

function complaint({ processes }: Running): string {
  const ended = processes.filter(({ child }) => !child.running);
  return ended.map(({ role, child }) => `${role}: ${child.stderr}${child.stdout.toString('utf8')}`).join('\n');
}

export async function transfer(
  space: Space,
  running: Running,
  kind: 'download' | 'upload',
  seconds: number,
  flows = 1,
): Promise<Transfer> {
  const before = cpu_ns(running.processes);
  const figures = await load<{ gbit_per_s: number; flows_bytes: number[]; bytes: number; cpu_ns: number }>(
    space,
    running,
    kind,
    seconds,
    flows,
  );
  const after = cpu_ns(running.processes);
  const cpu_ns_per_byte = Object.fromEntries(
    [...after].map(([role, now]) => [role, (now - (before.get(role) ?? 0)) / figures.bytes]),
  );
  const { gbit_per_s, flows_bytes } = figures;
  return { gbit_per_s, flows_bytes, cpu_ns_per_byte, load_ns_per_byte: figures.cpu_ns / figures.bytes };
}

export async function firstByte_us(space: Space, running: Running, times: number): Promise<number[]> {
  return (await load<{ us: number[] }>(space, running, 'first-byte', times)).us;
}

export const datagrams = (space: Space, running: Running, seconds: number, rate: number): Promise<Datagrams> =>
  load<Datagrams>(space, running, 'udp', seconds, rate);

/** Jain's index: 1 when all are equal, 1/n when one has everything (Jain, Chiu, Hawe 1984). */
export function jain(values: readonly number[]): number {
  const sum = values.reduce((a, b) => a + b, 0);
  return sum ** 2 / (values.length * values.reduce((a, b) => a + b * b, 0));
}
