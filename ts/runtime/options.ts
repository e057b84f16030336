/** What a node is made of, and what it tells of itself. */

import type { AccountStore } from '../base/credit.js';
import type { Descriptor } from '../base/directory.js';
import { UsageError } from '../base/errors.js';
import { isNodeId } from '../base/hex.js';
import type { Clock, Log, Random, Store } from '../base/ports.js';
import type { Core } from '../core/core.js';
import type { CreditOptions } from '../core/credit.js';
import type { CreateEgress } from '../core/egress.js';
import type { CreateHost, HostLimits, HostStats, NewCertificate, ProxyOptions, SizeClass } from '../core/host.js';
import { parseAddition } from '../credit/additions.js';
import { parsePriority } from '../credit/priorities.js';
import { EGRESS_DEFAULTS, type EgressPolicyChoice } from '../egress/options.js';
import type { ExitOptions } from '../exit/rules.js';
import type { BootstrapPeer, PeerInfo } from '../session/neighbours.js';
import type { AuthorityCertificate, ReliableTransports } from '../transport/reliable-ports.js';

const HOPS_MAX = 5;

/**
 * `client` opens circuits for you. `relay` forwards for others. `exit` connects to destinations for others. `listener` takes
 * streams to itself (`node.listen()`).
 */
export type NodeRole = 'client' | 'relay' | 'exit' | 'listener';

const ROLES: readonly string[] = ['client', 'relay', 'exit', 'listener'] satisfies NodeRole[];

/** How browsers whose UDP is blocked reach a relay: by a name that an authority of the web vouches for. */
export interface WebOptions {
  /** `name:port` at which they reach the TCP listeners; the name is in the certificate. */
  host: string;
  /** PEM, the relay's own certificate first. Read again when it changes, so that a renewed one needs no new start. */
  certificateFile: string;
  /** PEM, not encrypted. */
  keyFile: string;
}

/** How flows are spread over exits (docs/decisions/0009-egress-choice.md). */
export interface ExitChoiceOptions {
  /** N: exits that flows are spread over at least, as far as the directory has them. Default 8. */
  hops?: number;
  /** S: how many join where one destination is asked for often. Default 2. */
  step?: number;
  /** R: connections to one destination within K above which they do. Default 4. */
  per?: number;
  /** K: the seconds for which data weigh. Default 10. */
  window_s?: number;
  /** L: the seconds over which connections to one destination are counted, at most 62. Default 60. */
  sequence_s?: number;
  /** Exits asked at once for a destination that nothing has come from within K. Default 1: no other exit learns of it. */
  race?: number;
  /** Exits asked at once where one is tried although another is known to serve. Default 1. */
  raceExplore?: number;
  /** Exits asked for one connection at most. Default 4. */
  raceMost?: number;
  /** After so many milliseconds without an answer one more exit is asked; 0: never. Default 500. */
  stagger_ms?: number;
  /** Circuits built ahead while there are connections, one to each exit. Default 8. */
  ahead?: number;
  /** First hops that all paths begin with; drawn once and kept. Default 3. */
  entries?: number;
}

/** How credits are counted, and what this node's own flows announce (docs/credits.md). Rates are credits per second. */
export interface CreditNodeOptions {
  /** Charges nothing: a free contribution. Default false. */
  free?: boolean;
  /** What own flows announce that no priority fits; rounded down to a class (0, 1,000, 4,000, 16,000 and so on). Default 1,000. */
  flow?: number;
  /** Rules such as `"port 22 = 256000"`, `"host *.example.org = 1000"`, `"user alice = 64000"`, `"inlet http = 4000"`; the first that fits decides. */
  priorities?: readonly string[];
  /**
   * What this node, as an exit or where streams to it end, adds to what it sends back while something runs: `"port 8080 = 64000"`,
   * `"host *.example.org = 16000"`, `"any = 1000"`, by destination; the first that fits decides.
   */
  add?: readonly string[];
  /** Whether a relay looks for circles of credits that gain, and tells neighbours what it values theirs at for that. Default true. */
  circles?: boolean;
  /** What all neighbours together get here without having done anything yet. Default 1,000,000. */
  increase?: number;
  /** Seconds in which what is on an account halves. Default 600. */
  halfLife_s?: number;
  /** Kept of what passes, however idle this node is, 0 to 1. Default 0.01. */
  alwaysShare?: number;
  /** Of a circuit while the table is full. Default 1,000. */
  rent?: number;
}

/** How a node is made. Everything may be left out: that is a client that knows nobody yet. */
export interface NodeOptions {
  /** What this node does, any mix. Default: a client. */
  roles?: NodeRole[];
  /** Where its keys are kept (made with 0700). Without one the node has new keys each time, and forgets them. */
  dataDir?: string;
  /** UDP addresses, `ip:port`; port 0 picks one. Default: `0.0.0.0:0` for a client, `0.0.0.0:4433` otherwise. */
  listen?: string[];
  /** TCP addresses where a relay or exit takes links of nodes whose UDP is blocked, `ip:port`; port 0: as UDP. Default: none. */
  listenReliable?: string[];
  /** A certificate of the web's authorities, with which these listeners answer browsers as well, by WebSocket. Default: none. */
  web?: WebOptions;
  /** Addresses others reach it at, if they differ from those it listens on. */
  advertise?: string[];
  /** Where it enters the network. */
  bootstrap?: BootstrapPeer[];
  /** What it refuses and allows as an exit. */
  exit?: ExitOptions;
  /** Hops of a path, the exit included: 1 to 5. Default 3. */
  hops?: number;
  /** How its flows are spread over exits. */
  egress?: ExitChoiceOptions;
  /** What it takes and gives for traffic. */
  credit?: CreditNodeOptions;
  /**
   * The largest payload of its circuits' packets: M 1,202 bytes, L 1,314; J 8,854 and X 16,238 where every link of a path is fast
   * and takes them, else the next smaller class. Default X. Links too small for M or L carry those in halves.
   */
  sizeClass?: SizeClass;
  /** What it does at most; a default for each. */
  limits?: Partial<HostLimits>;
  /** Where it writes what it does. Default: nowhere. */
  log?: Log;
  /** Ends the start: what is half made is closed, and `createNode()` rejects with `aborted`. */
  signal?: AbortSignal;
}

/** The runtime root's part: the machine. */
export interface Platform {
  core: Core;
  createHost: CreateHost;
  createEgress: CreateEgress;
  /** Where hosts can listen to browsers. */
  newCertificate?: NewCertificate;
  /** Sessions over TCP, for where UDP is blocked. */
  reliable?: ReliableTransports;
  /** Reads what `web` names, and checks that it fits. Throws `config_missing` or `config_invalid`, naming the file and the mending. */
  readAuthority?: (web: WebOptions, now_ms: number) => Promise<AuthorityCertificate>;
  clock: Clock;
  random: Random;
  log: Log;
  /** The store in `dataDir`, and the path of a file in it that the core writes itself. */
  openStore(dataDir: string | undefined): Promise<{ store: Store; pathOf?: (name: string) => string }>;
  /** Accounts in this file of the data directory. Default: they end with the process. */
  openAccounts?(path: string): AccountStore;
}

/** A node on a client's path. */
export interface PathHop {
  /** Its id, 64 hex digits. */
  id: string;
  /** Where its descriptor says it is, `ip:port`; empty where that is not known any more. */
  address: string;
  /** `exit` for the last one. */
  role: 'relay' | 'exit';
}

/** What a node is and does now. */
export interface NodeStatus {
  /** Its id, 64 hex digits. */
  id: string;
  /** The UDP addresses its socket is bound to, `ip:port`. */
  addresses: string[];
  /** `NodeRole`s, in any mix. */
  roles: string[];
  /** A client has a path, a relay or exit is reachable as far as it can tell. */
  ready: boolean;
  /** Why it is not, one sentence each. */
  reasons: string[];
  /** Whether it takes nothing new any more. */
  draining: boolean;
  /** Since its start, milliseconds. */
  uptime_ms: number;
  /** Nodes that it knows of, itself included if it serves. */
  descriptors: number;
  /** The path of flows without isolation; empty before the first. */
  path: PathHop[];
  /** Milliseconds until its descriptor expires; 0 where it publishes none. */
  descriptor_expires_ms: number;
  /** What it counts. */
  host: HostStats;
}

/** A neighbour and the link to it. */
export interface NodePeer extends PeerInfo {
  /** The smoothed round trip, microseconds. */
  rtt_us: number;
  /** The largest UDP payload that passes, bytes. */
  mtu: number;
  /** The largest onion packet that goes beside the session, header included; 0 where all go as its datagrams. */
  fast_bytes: number;
  /** Onion packets that came. */
  packets_received: number;
  /** Onion packets that left. */
  packets_sent: number;
  /** Bytes of UDP payload that came. */
  bytes_received: number;
  /** Bytes of UDP payload that left. */
  bytes_sent: number;
  /** What its descriptor says it does; empty where it has none. */
  roles: string[];
}

/** A proxy that listens. */
export interface Listening {
  /** The bound address, `ip:port`. */
  address: string;
  /** Takes no new connections; those that run go on. */
  close(): Promise<void>;
  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Round trips over a link. */
export interface PingResult {
  /** The shortest of them, microseconds. */
  rtt_us: number;
  /** Each of them in order, microseconds. */
  rtts_us: number[];
}

/** What waits may be called off. */
export interface SignalOptions {
  /** Ends the waiting, with an `aborted` error. */
  signal?: AbortSignal;
}

/** Where a proxy listens and whom it serves; the signal closes it. */
export type ListenProxyOptions = ProxyOptions & SignalOptions;

/** Throws `argument_invalid` where an option cannot be. */
export function checkOptions(options: NodeOptions): void {
  const hops = options.hops ?? 3;
  if (!Number.isInteger(hops) || hops < 1 || hops > HOPS_MAX)
    throw new UsageError('argument_invalid', `hops must be 1 to ${HOPS_MAX}, not ${hops}`);
  checkExitChoice(options.egress ?? {});
  checkCredit(options.credit ?? {});
  const unknown = (options.roles ?? []).find((role) => !ROLES.includes(role));
  if (unknown !== undefined) throw new UsageError('argument_invalid', `"${unknown}" is no role: ${ROLES.join(', ')}`);
  const bad = (options.bootstrap ?? []).find((peer) => !isNodeId(peer.id));
  if (bad !== undefined)
    throw new UsageError('argument_invalid', `the bootstrap peer "${bad.id}" is no node id: 64 hex digits`);
}

/** The least and the most of each. */
const EXIT_CHOICE: Record<keyof ExitChoiceOptions, [least: number, most: number]> = {
  hops: [1, 1024],
  step: [0, 256],
  per: [1, 1_000_000],
  window_s: [1, 62],
  sequence_s: [1, 62],
  race: [1, 8],
  raceExplore: [1, 8],
  raceMost: [1, 16],
  stagger_ms: [0, 60_000],
  ahead: [0, 64],
  entries: [1, 64],
};

function checkExitChoice(options: ExitChoiceOptions): void {
  for (const [name, [least, most]] of Object.entries(EXIT_CHOICE)) {
    const value = options[name as keyof ExitChoiceOptions];
    if (value !== undefined && (!Number.isInteger(value) || value < least || value > most))
      throw new UsageError('argument_invalid', `egress.${name} must be ${least} to ${most}, not ${value}`);
  }
  const { window } = exitChoice(options);
  if (window.window_us > window.sequence_us)
    throw new UsageError('argument_invalid', 'egress.window_s must not be longer than egress.sequence_s');
}

const CREDIT: Record<
  Exclude<keyof CreditNodeOptions, 'free' | 'priorities' | 'add' | 'circles'>,
  [least: number, most: number]
> = {
  flow: [0, 1e9],
  increase: [0, 1e12],
  halfLife_s: [1, 1e6],
  alwaysShare: [0, 1],
  rent: [0, 1e9],
};

function checkCredit(options: CreditNodeOptions): void {
  for (const [name, [least, most]] of Object.entries(CREDIT)) {
    const value = options[name as keyof typeof CREDIT];
    if (value !== undefined && !(value >= least && value <= most))
      throw new UsageError('argument_invalid', `credit.${name} must be ${least} to ${most}, not ${value}`);
  }
  (options.priorities ?? []).forEach(parsePriority);
  (options.add ?? []).forEach(parseAddition);
}

/** The same in the host's terms. */
export function creditOptions({
  free,
  increase,
  halfLife_s,
  alwaysShare,
  rent,
}: CreditNodeOptions = {}): CreditOptions {
  return {
    ...(free !== undefined && { free }),
    ...(increase !== undefined && { increase }),
    ...(halfLife_s !== undefined && { halfLife_us: halfLife_s * 1e6 }),
    ...(alwaysShare !== undefined && { alwaysShare }),
    ...(rent !== undefined && { rent }),
  };
}

/** The same in the policy's terms. */
export function exitChoice(options: ExitChoiceOptions = {}) {
  const { window, race } = EGRESS_DEFAULTS;
  const { hops = window.baseline, step = window.step, per = window.per } = options;
  const { window_s = window.window_us / 1e6, sequence_s = window.sequence_us / 1e6 } = options;
  const { stagger_ms = race.stagger_us / 1000 } = options;
  return {
    window: { baseline: hops, step, per, window_us: window_s * 1e6, sequence_us: sequence_s * 1e6 },
    race: {
      // Each exit that is asked learns of the destination: a node asks one at first, whatever the simulator finds fastest.
      cold: options.race ?? 1,
      explore: options.raceExplore ?? 1,
      most: options.raceMost ?? 4,
      stagger_us: stagger_ms * 1000,
    },
  } satisfies EgressPolicyChoice;
}

export type { BootstrapPeer, Descriptor, ProxyOptions };
