/** What one seed does: who is there, what the paths are like, what breaks when, what is fetched. */
import type { Weather } from './path.js';
import { SeededRandom } from './random.js';

export interface NodePlan {
  name: string;
  address: string;
  role: 'relay' | 'exit' | 'client';
  /** How wrong its clock is. */
  skew_ms: number;
  /** Whether its transport proves identities, as QUIC does, or the link has to, as in a browser. */
  proves: boolean;
}

export type Fault =
  /** Nothing gets from `from` to `to`; other ways it does. */
  | { kind: 'partition'; at_ms: number; until_ms: number; from: string; to: string }
  /** Nothing gets from `node` to anyone, or from anyone to it. */
  | { kind: 'deaf' | 'mute'; at_ms: number; until_ms: number; node: string }
  /** Off, and on again with what its store holds. */
  | { kind: 'crash'; at_ms: number; until_ms: number; node: string };

export interface FlowPlan {
  key: number;
  at_ms: number;
  kind: 'echo' | 'bytes' | 'refused';
  bytes: number;
  /** Flows of different keys share no circuit. */
  isolation: string | undefined;
  /** How its client takes its time: it writes and reads a piece of so many bytes, and then waits. */
  pace: { bytes: number; pause_ms: number } | undefined;
  /** Breaks off after so long. */
  abort_ms: number | undefined;
}

export interface Plan {
  seed: number;
  nodes: NodePlan[];
  faults: Fault[];
  flows: FlowPlan[];
  /** When every fault is over. */
  heal_ms: number;
  /** How the client ends: it only falls silent, it says good-bye, or it loses power. */
  end: 'idle' | 'close' | 'crash';
  weather(from: string, to: string): Weather;
  mtu(from: string, to: string): number;
}

const RUN_MS = 20_000;
const SKEW_MS_MAX = 45_000;

export function planOf(seed: number): Plan {
  const random = new SeededRandom(`plan ${seed}`);
  const nodes: NodePlan[] = [];
  const add = (role: NodePlan['role'], count: number) => {
    for (let i = 0; i < count; i++) {
      nodes.push({
        name: `${role}${i}`,
        address: `10.0.0.${nodes.length + 1}:4433`,
        role,
        skew_ms: Math.round(random.between(-SKEW_MS_MAX, SKEW_MS_MAX)),
        proves: random.chance(0.6),
      });
    }
  };
  add('relay', 4 + random.below(2));
  add('exit', 2);
  add('client', 1);
  const servers = nodes.filter((node) => node.role !== 'client');

  const faults: Fault[] = [];
  for (let i = 2 + random.below(7); i > 0; i--) {
    const at_ms = random.between(0, RUN_MS * 0.8);
    const until_ms = Math.min(RUN_MS, at_ms + random.between(300, 8_000));
    const kind = random.pick(['partition', 'partition', 'partition', 'deaf', 'mute', 'crash', 'crash'] as const);
    if (kind === 'partition') {
      const from = random.pick(nodes);
      const to = random.pick(nodes.filter((node) => node !== from));
      faults.push({ kind, at_ms, until_ms, from: from.address, to: to.address });
    } else {
      faults.push({ kind, at_ms, until_ms, node: random.pick(servers).name });
    }
  }

  const flows: FlowPlan[] = [];
  for (let key = 0, count = 4 + random.below(4); key < count; key++) {
    const kind = random.pick(['echo', 'echo', 'echo', 'bytes', 'bytes', 'refused'] as const);
    // Half of them last through faults.
    const paced = random.chance(0.5);
    const pace = { bytes: 200 + random.below(4_000), pause_ms: random.between(20, 400) };
    const pieces = random.between(5, 50);
    flows.push({
      key,
      kind,
      at_ms: random.between(0, paced ? RUN_MS / 2 : RUN_MS),
      bytes: paced ? Math.floor(pace.bytes * pieces) : Math.floor(10 ** random.between(1, 5.3)),
      isolation: random.chance(0.2) ? `key ${random.below(2)}` : undefined,
      pace: paced ? pace : undefined,
      abort_ms: random.chance(0.12) ? random.between(0, 3_000) : undefined,
    });
  }

  const harsh = random.chance(0.7);
  const paths = random.fork('paths');
  return {
    seed,
    nodes,
    faults,
    flows,
    heal_ms: RUN_MS,
    end: random.pick(['idle', 'close', 'crash'] as const),
    weather: (from, to) => {
      const path = paths.fork(`${from}>${to}`);
      const bad = harsh && path.chance(0.25);
      return {
        latency_ms: path.between(0.5, 40),
        jitter_ms: path.between(0, 10),
        loss: bad ? path.between(0, 0.3) : path.between(0, 0.02),
        duplicate: path.chance(0.3) ? path.between(0, 0.1) : 0,
        reorder: path.chance(0.3) ? path.between(0, 0.1) : 0,
      };
    },
    // Some are too small for a packet, which then travels in halves.
    mtu: (from, to) => (paths.fork(`mtu ${[from, to].sort().join()}`).chance(0.25) ? 1200 : 1400),
  };
}
