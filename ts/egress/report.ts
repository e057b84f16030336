/** What `wayfare paths` shows: the window, each hop's weights and data, verdicts and flows. */
import {
  EGRESS_DESTINATION,
  EGRESS_HOP,
  EGRESS_PAIR,
  type EgressBinding,
  EgressDestination,
  EgressHop,
  EgressPair,
  type EgressStats,
} from '../core/egress.js';
import type { ExitFlow } from './flow.js';
import type { EgressPolicy } from './policy.js';
import { type WindowHop, windowFloor } from './window.js';

/** Destinations whose weights are shown at most. */
const DESTINATIONS = 64;
const PAIRS = 64;

/** A hop: an exit and the path to it. Data are those of the past K seconds. */
export interface ExitHop {
  /** The exit's id, 64 hex digits. */
  exit: string;
  /** Node ids, the first hop first. Where a relay was lost, its circuits go another way. */
  path: string[];
  /** Whether it has left the window and only keeps the flows it has. */
  draining: boolean;
  /** Whether nothing came of it in the past K, so that its estimate counts. */
  untried: boolean;
  /** What it weighs by all data, before hops are put into buckets of like weight. */
  weight: number;
  /** What an untried hop is taken for, bytes per second. */
  estimate: number;
  /** Bytes that weigh. */
  data: number;
  /** Bytes per second, by its packet interval. */
  speed: number;
  /** Bytes sent. */
  sent: number;
  /** Bytes received. */
  received: number;
  /** Connections tried. */
  opened: number;
  /** Those of them that nothing came of. */
  failed: number;
  /** Flows that run. */
  flows: number;
  /** Since it entered the window, milliseconds. */
  age_ms: number;
  /** Since something moved, milliseconds; `null`: never. */
  last_ms: number | null;
  /** By the landmarks; `null` where they say nothing. Milliseconds. */
  latency_ms: number | null;
  /** How old its descriptor was when it entered, milliseconds. */
  confirmed_ms: number;
}

/** A destination and what hops weigh there. */
export interface ExitDestination {
  /** `host:port`, as exits are told. */
  destination: string;
  /** Connections tried in the past K. */
  connections: number;
  /** The same in the past L. */
  connections_sequence: number;
  /** Hops that were tried there, each with what it weighs there. */
  hops: Pick<ExitHop, 'exit' | 'weight' | 'data' | 'speed' | 'opened' | 'failed'>[];
}

/** What is held against an exit, and until when. */
export interface ExitVerdict {
  /** As `VerdictEvent` has it. */
  kind: 'bad' | 'blocked' | 'disappeared';
  /** The exit's id, 64 hex digits. */
  exit: string;
  /** Of *blocked*: the destination. */
  destination?: string;
  /** What it rests on. */
  evidence: {
    /** It said nothing, it was slow, or it was gone. */
    what: 'silent' | 'slow' | 'gone';
    /** Destinations that answered others meanwhile. */
    destinations: number;
    /** How often in a row it has come to this. */
    strikes: number;
  };
  /** Since when it holds, milliseconds. */
  age_ms: number;
  /** How much longer, milliseconds. */
  left_ms: number;
}

/** A connection that runs. */
export interface ExitFlowInfo {
  /** The exit's id, 64 hex digits. */
  exit: string;
  /** `host:port`, as the exit was told. */
  destination: string;
  /** What it carries. */
  protocol: 'tcp' | 'udp';
  /** Bytes sent. */
  sent: number;
  /** Bytes received. */
  received: number;
  /** Since when it runs, milliseconds. */
  age_ms: number;
}

/** What is counted since the start. */
export interface ExitCounts {
  /** Connections that were wanted. */
  connections: number;
  /** Exits that were asked for them: what is above their number were races and further tries. */
  attempts: number;
  /** Connections that an exit made. */
  answered: number;
  /** Verdicts passed: *bad*. */
  bad: number;
  /** *Blocked*. */
  blocked: number;
  /** *Disappeared*. */
  disappeared: number;
  /** Draws in which every exit was excluded. */
  forced: number;
  /** Tuples of connections that are over, remembered. */
  tuples: number;
  /** Tuples forgotten to make room. */
  tuples_evicted: number;
  /** Destinations forgotten to make room. */
  destinations_evicted: number;
  /** Memory of all that, bytes. */
  memory_bytes: number;
}

/** The choice of exits as it is now. */
export interface PathsReport {
  /** How large the window is. */
  window: {
    /** Hops that flows may be given. */
    size: number;
    /** The least there may be by now, as far as the directory has them. */
    floor: number;
    /** N. */
    baseline: number;
    /** Hops that left and still have flows. */
    draining: number;
    /** Exits that the directory has. */
    exits: number;
  };
  /** First hops of all paths. */
  entries: string[];
  /** The window's hops, and those that drain. */
  hops: ExitHop[];
  /** Where connections went in the past L, and what hops weigh there. */
  destinations: ExitDestination[];
  /** What is held against exits. */
  verdicts: ExitVerdict[];
  /** Connections that run. */
  flows: ExitFlowInfo[];
  /** What is counted since the start. */
  counts: ExitCounts;
}

export interface ReportParts {
  now_us: number;
  egress: EgressBinding;
  policy: EgressPolicy;
  flows: readonly ExitFlow[];
  hops: ReadonlyMap<number, WindowHop>;
  exits: number;
  entries: readonly string[];
  counts: Pick<ExitCounts, 'connections' | 'attempts' | 'answered' | 'bad' | 'blocked' | 'disappeared'>;
}

const ms = (us: number): number => Math.round(us / 1000);

export function describeExits(parts: ReportParts): PathsReport {
  const { now_us, egress, policy, flows, hops, exits, entries } = parts;
  const { window, options } = policy;
  return {
    window: {
      size: window.size,
      floor: windowFloor(options.window, egress.connectionsPeak(now_us)),
      baseline: options.window.baseline,
      draining: window.draining,
      exits,
    },
    entries: [...entries],
    hops: hopsOf(parts),
    destinations: destinationsOf(parts),
    verdicts: policy.verdicts(now_us).map(({ since_us, until_us, ...rest }) => ({
      ...rest,
      age_ms: ms(now_us - since_us),
      left_ms: ms(until_us - now_us),
    })),
    flows: flows.map(({ choice, destination, protocol, sent, received, since_us }) => {
      const exit = hops.get(choice.hop)?.exit ?? '';
      return { exit, destination, protocol, sent, received, age_ms: ms(now_us - since_us) };
    }),
    counts: { ...parts.counts, ...remembered(policy.stats()) },
  };
}

const remembered = (stats: EgressStats) => ({
  forced: stats.forced,
  tuples: stats.tuplesIdle,
  tuples_evicted: stats.tuplesEvicted,
  destinations_evicted: stats.destinationsEvicted,
  memory_bytes: stats.memoryBytes,
});

function hopsOf({ now_us, policy, hops }: ReportParts): ExitHop[] {
  const rows = policy.window.rows(now_us);
  const found: ExitHop[] = [];
  for (let at = 0; at < rows.length; at += EGRESS_HOP) {
    const number = (name: keyof typeof EgressHop) => rows[at + EgressHop[name]] as number;
    const of = hops.get(number('hop'));
    if (of === undefined) continue;
    const last_us = number('last_us');
    found.push({
      exit: of.exit,
      path: [...of.path],
      draining: number('draining') === 1,
      untried: number('untried') === 1,
      weight: number('weight'),
      estimate: number('estimate'),
      data: number('data'),
      speed: number('speed'),
      sent: number('sent'),
      received: number('received'),
      opened: number('opened'),
      failed: number('failed'),
      flows: number('flows'),
      age_ms: ms(now_us - of.added_us),
      last_ms: last_us < 0 ? null : ms(now_us - last_us),
      latency_ms: Number.isNaN(of.latency_us) ? null : ms(of.latency_us),
      confirmed_ms: ms(of.confirmedAge_us),
    });
  }
  return found;
}

function destinationsOf({ now_us, egress, hops }: ReportParts): ExitDestination[] {
  const found: ExitDestination[] = [];
  const rows = new Float64Array(DESTINATIONS * EGRESS_DESTINATION);
  const pairs = new Float64Array(PAIRS * EGRESS_PAIR);
  egress.destinations(now_us, 0, rows);
  for (let at = 0; at < rows.length; at += EGRESS_DESTINATION) {
    const number = (name: keyof typeof EgressDestination) => rows[at + EgressDestination[name]] as number;
    const id = number('destination');
    if (id < 0 || (number('connectionsL') === 0 && number('flows') === 0)) continue;
    const count = Math.min(PAIRS, egress.pairs(now_us, id, pairs));
    found.push({
      destination: egress.destinationKey(id),
      connections: number('connections'),
      connections_sequence: number('connectionsL'),
      hops: Array.from({ length: count }, (_, row) => {
        const of = (name: keyof typeof EgressPair) => pairs[row * EGRESS_PAIR + EgressPair[name]] as number;
        const exit = hops.get(of('hop'))?.exit ?? '';
        return {
          exit,
          weight: of('weight'),
          data: of('data'),
          speed: of('speed'),
          opened: of('opened'),
          failed: of('failed'),
        };
      }),
    });
  }
  return found;
}
