/**
 * The Node.js root, and the package's entry: `import { createNode } from 'wayfare'`.
 */
import type { Log } from '../base/ports.js';
import { WayfareNode } from '../embed/node.js';
import { createNodeOn } from '../runtime/create.js';
import { MemoryStore } from '../runtime/memory-store.js';
import type { NodeOptions, Platform } from '../runtime/options.js';
import { openAccounts } from './accounts.js';
import { readAuthority } from './authority.js';
import { systemClock, systemRandom } from './clock.js';
import { createNativeHost, nativeCore, newCertificate } from './native.js';
import { createNativeEgress } from './native-egress.js';
import { reliableTransports } from './reliable.js';
import { FileStore } from './store.js';

export type { Price, Reputation } from '../base/credit.js';
export type { Descriptor, OnionKey } from '../base/directory.js';
export {
  AbortedError,
  ConfigError,
  type ErrorCode,
  type ErrorDetails,
  NetworkError,
  ProtocolError,
  SystemError,
  UsageError,
  WayfareError,
} from '../base/errors.js';
export type { Log, LogFields } from '../base/ports.js';
export type {
  HostLimits,
  HostStats,
  LinkStats,
  LinkTransport,
  ProxyOptions,
  ShardStats,
  SizeClass,
} from '../core/host.js';
export type {
  CircuitCredits,
  CreditBooks,
  FlowCredits,
  KeptAccount,
  NeighbourCredits,
  NodeBooks,
  NodeCredits,
} from '../core/node-credits.js';
export type {
  AccountChange,
  AccountReport,
  AccountsReport,
  CreditCircle,
  CreditRewards,
  CreditsReport,
} from '../credit/report.js';
export type {
  ExitCounts,
  ExitDestination,
  ExitFlowInfo,
  ExitHop,
  ExitVerdict,
  PathsReport,
} from '../egress/report.js';
export { type AgentOptions, FlowAgent, type SecureAgentOptions, SecureFlowAgent } from '../embed/agent.js';
export { FlowDuplex, type FlowDuplexOptions, type FlowStreams } from '../embed/duplex.js';
export { type DispatcherOptions, type FetchInit, type FetchInput, FlowDispatcher } from '../embed/fetch.js';
export type { DialNodeOptions, ListenNodeOptions } from '../embed/node.js';
export type { TlsOptions } from '../embed/tls.js';
export type { ExitOptions } from '../exit/rules.js';
export type { DialedConnection, DialTarget, HostTarget, NodeTarget, OpenedFlow } from '../runtime/dial.js';
export {
  HopEvent,
  type NodeEventListener,
  type NodeEventListenerOptions,
  type NodeEventMap,
  PathEvent,
  PeerEvent,
  VerdictEvent,
} from '../runtime/events.js';
export { type InboundConnection, type ListenOptions, NodeListener } from '../runtime/inbound.js';
export type { DialOptions } from '../runtime/node.js';
export type {
  CreditNodeOptions,
  ExitChoiceOptions,
  Listening,
  ListenProxyOptions,
  NodeOptions,
  NodePeer,
  NodeRole,
  NodeStatus,
  PathHop,
  PingResult,
  SignalOptions,
  WebOptions,
} from '../runtime/options.js';
export type { BootstrapPeer, PeerInfo } from '../session/neighbours.js';
export { WayfareNode };

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/**
 * This machine, as a node sees it.
 * @internal
 */
export function nodePlatform(log: Log = silent): Platform {
  return {
    core: nativeCore(),
    createHost: createNativeHost,
    createEgress: createNativeEgress,
    newCertificate,
    reliable: reliableTransports,
    readAuthority,
    clock: systemClock,
    random: systemRandom,
    log,
    async openStore(dataDir) {
      if (dataDir === undefined) return { store: new MemoryStore() };
      const store = await FileStore.open(dataDir);
      return { store, pathOf: (name) => store.path(name) };
    },
    openAccounts,
  };
}

/**
 * Makes a node and starts it: its socket is bound and, with bootstrap peers, it is joining when this resolves.
 *
 * Rejects with a `WayfareError` that names the mending: `argument_invalid`, `config_invalid`, `address_in_use`,
 * `address_unavailable`, `permission_denied`, `store_failed`, `native_missing`, `aborted`.
 */
export function createNode(options: NodeOptions = {}): Promise<WayfareNode> {
  return createNodeOn(options, nodePlatform(options.log), WayfareNode);
}
