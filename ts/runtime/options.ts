/** What a node is made of, and what it tells of itself. */
import type { Descriptor } from '../base/directory.js';
import { UsageError } from '../base/errors.js';
import { isNodeId } from '../base/hex.js';
import type { Clock, Log, Random, Store } from '../base/ports.js';
import type { Core } from '../core/core.js';
import type { CreateHost, HostLimits, HostStats, ProxyOptions } from '../core/host.js';
import type { ExitOptions } from '../exit/rules.js';
import type { BootstrapPeer, PeerInfo } from '../session/neighbours.js';

const HOPS_MAX = 5;

export interface NodeOptions {
  /** What this node does, any mix. Default: a client. */
  roles?: ('client' | 'relay' | 'exit')[];
  /** Where its keys are kept (made with 0700). Without one the node has new keys each time, and forgets them. */
  dataDir?: string;
  /** UDP addresses, `ip:port`; port 0 picks one. Default: `0.0.0.0:0` for a client, `0.0.0.0:4433` otherwise. */
  listen?: string[];
  /** Addresses others reach it at, if they differ from those it listens on. */
  advertise?: string[];
  /** Where it enters the network. */
  bootstrap?: BootstrapPeer[];
  exit?: ExitOptions;
  /** Hops of a path, the exit included: 1 to 5. Default 3. */
  hops?: number;
  /** Payload of its circuits' packets: M 1,202 bytes, L 1,314. Default L; links too small for either carry them in halves. */
  sizeClass?: 'M' | 'L';
  limits?: Partial<HostLimits>;
  log?: Log;
  /** Ends the start: what is half made is closed, and `createNode()` rejects with `aborted`. */
  signal?: AbortSignal;
}

/** The runtime root's part: the machine. */
export interface Platform {
  core: Core;
  createHost: CreateHost;
  clock: Clock;
  random: Random;
  log: Log;
  /** The store in `dataDir`, and the path of a file in it that the core writes itself. */
  openStore(dataDir: string | undefined): Promise<{ store: Store; pathOf?: (name: string) => string }>;
}

export interface PathHop {
  id: string;
  address: string;
  role: 'relay' | 'exit';
}

export interface NodeStatus {
  id: string;
  addresses: string[];
  roles: string[];
  /** A client has a path, a relay or exit is reachable as far as it can tell. */
  ready: boolean;
  /** Why it is not, one sentence each. */
  reasons: string[];
  draining: boolean;
  uptime_ms: number;
  descriptors: number;
  path: PathHop[];
  /** Milliseconds until its descriptor expires; 0 where it publishes none. */
  descriptor_expires_ms: number;
  host: HostStats;
}

export interface NodePeer extends PeerInfo {
  rtt_us: number;
  mtu: number;
  packets_received: number;
  packets_sent: number;
  bytes_received: number;
  bytes_sent: number;
  roles: string[];
}

export interface Listening {
  /** The bound address, `ip:port`. */
  address: string;
  /** Takes no new connections; those that run go on. */
  close(): Promise<void>;
  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

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
  const unknown = (options.roles ?? []).find((role) => !['client', 'relay', 'exit'].includes(role));
  if (unknown !== undefined) throw new UsageError('argument_invalid', `"${unknown}" is no role: client, relay or exit`);
  const bad = (options.bootstrap ?? []).find((peer) => !isNodeId(peer.id));
  if (bad !== undefined)
    throw new UsageError('argument_invalid', `the bootstrap peer "${bad.id}" is no node id: 64 hex digits`);
}

export type { BootstrapPeer, Descriptor, ProxyOptions };
