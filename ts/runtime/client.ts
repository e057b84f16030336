/**
 * A node as a client: the supply of hops, circuits to them, the choice among them, and whoever asks for connections.
 *
 * Invariant: every flow through an exit is asked for here, whether a proxy or this program wants it.
 */
import type { Directory } from '../base/directory.js';
import { NetworkError } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import { Builder } from '../circuit/builder.js';
import { hasPath } from '../circuit/path.js';
import { CircuitPool, type Route } from '../circuit/pool.js';
import { Suspicion } from '../circuit/suspicion.js';
import type { HostEvent, NodeHost } from '../core/host.js';
import type { FlowAsked } from '../credit/priorities.js';
import { Egress, type ExitChange } from '../egress/egress.js';
import { isolationKey } from '../egress/isolation.js';
import type { PathsReport } from '../egress/report.js';
import { DirectorySupply } from '../egress/supply.js';
import { ProxyDesk } from '../proxy/desk.js';
import { type BegunFlow, type DialedConnection, dialFlow, flowConnection, type Lease, type WatchFlow } from './dial.js';
import type { KeptEntries } from './entries.js';
import { exitChoice, type NodeOptions, type Platform } from './options.js';
import type { CheckedTarget } from './target.js';

/** First hops of all paths. */
const ENTRIES = 3;

/** After these a circuit may take no more streams. */
const CIRCUIT_CHANGES: ReadonlySet<HostEvent['type']> = new Set([
  'circuit_down',
  'circuit_worn',
  'connection_down',
  'connection_stalled',
  'connection_moved',
]);

export interface ClientParts {
  /** This node. */
  self: string;
  options: NodeOptions;
  platform: Platform;
  host: NodeHost;
  log: Log;
  directory: Directory;
  entries: KeptEntries;
  /** Brings a link to this node up. */
  link(id: string): Promise<unknown>;
  watch: WatchFlow;
  onPath(change: 'made' | 'moved' | 'lost', path: readonly string[]): void;
  onExit(change: ExitChange): void;
  /** A circuit is somebody's, or another has taken its place. */
  onUse(): void;
  /** The class of credits that circuits begin with. */
  flow: number;
  /** The isolation key of a flow of this priority. */
  keyFor(isolation: string, flow: FlowAsked): string;
}

export class ClientSide {
  readonly #parts: ClientParts;
  readonly #hops: number;
  readonly #supply: DirectorySupply;
  readonly #pool: CircuitPool;
  readonly #egress: Egress<Route>;
  readonly #desk: ProxyDesk;

  constructor(parts: ClientParts) {
    this.#parts = parts;
    const { self, options, platform, host, log, directory, entries } = parts;
    const { clock, random } = platform;
    const hops = options.hops ?? 3;
    this.#hops = hops;
    const supply = new DirectorySupply({
      directory,
      clock,
      random,
      self,
      hops,
      entries: options.egress?.entries ?? ENTRIES,
      kept: entries.ids,
      onEntries: (ids) => entries.keep(ids),
    });
    this.#supply = supply;
    const suspicion = new Suspicion(clock);
    const builder = new Builder({
      host,
      descriptors: () => directory.descriptors(),
      link: parts.link,
      clock,
      random,
      log,
      suspicion,
      self,
      hops,
      entries: () => supply.entries(),
      sizeClass: options.sizeClass ?? 'X',
      flow: parts.flow,
    });
    const spares = options.egress?.ahead;
    this.#pool = new CircuitPool({
      host,
      builder,
      clock,
      log,
      suspicion,
      options: { ...(spares !== undefined && { spares }) },
      onChange: parts.onPath,
      onUse: () => parts.onUse(),
      onLost: (exit) => this.#egress.lost(exit),
    });
    this.#egress = new Egress({
      createEgress: platform.createEgress,
      clock,
      random,
      log,
      supply,
      routes: this.#pool,
      choice: exitChoice(options.egress),
      missing: () => this.missing(),
      tell: parts.onExit,
      collect: () => this.#desk.collect(),
    });
    this.#desk = new ProxyDesk({ host, egress: this.#egress, log, keyFor: parts.keyFor });
  }

  handle(event: HostEvent): void {
    this.#pool.handle(event);
    if (CIRCUIT_CHANGES.has(event.type)) this.#egress.changed();
    this.#desk.handle(event);
  }

  /** Why there can be no path, if there can be none. */
  missing(): string | undefined {
    const { directory, self, platform } = this.#parts;
    const descriptors = directory.descriptors();
    const now_s = platform.clock.now_ms() / 1000;
    if (hasPath({ descriptors, self, hops: this.#hops, now_s, entries: this.#supply.entries() })) return undefined;
    const exits = descriptors.filter((d) => d.roles.exit).length;
    const relays = descriptors.filter((d) => d.roles.relay).length;
    return `no path yet: ${exits} exits and ${relays} relays are known, a path has ${this.#hops} hops`;
  }

  dial(target: CheckedTarget, isolation: string | undefined, signal?: AbortSignal): DialedConnection {
    const { host, watch } = this.#parts;
    const own = isolation === undefined ? '' : isolationKey({ inlet: 'dial', user: isolation });
    const key = this.#parts.keyFor(own, { inlet: 'dial', user: isolation, host: target.host, port: target.port });
    const { node } = target;
    if (node !== undefined) return dialFlow(host, target, () => this.#lease(key, node), watch, signal);
    return flowConnection(host, () => this.#begin(target, key, signal), watch, signal);
  }

  /** A flow through an exit of the window. */
  async #begin({ host: name, port }: CheckedTarget, isolation: string, signal?: AbortSignal): Promise<BegunFlow> {
    const { host } = this.#parts;
    const { value, flow } = await this.#egress.connect(
      { host: name, port, isolation, protocol: 'tcp' },
      {
        begin: (connection) => host.flowOpen(connection, name, port),
        discard: (late) => host.flowReset(late.flow),
      },
      signal,
    );
    return { ...value, release: () => flow.end(), count: (sent, received) => flow.count(sent, received) };
  }

  /** The right to open a flow on a connection to `node` itself, which is its own exit: there is nothing to choose. */
  async #lease(isolation: string, node: string): Promise<Lease> {
    if (this.#parts.directory.get(node)?.roles.listener !== true) {
      throw new NetworkError('peer_unknown', `node ${node.slice(0, 8)} is not known to listen`, {
        hint: 'wait for its descriptor; it must have the role "listener"',
      });
    }
    const route = await this.#pool.route(isolation, { exit: node });
    return { connection: route.connection, release: this.#pool.hold(route) };
  }

  /** Opens the path of the next flow without isolation, and gives it. */
  async connect(): Promise<readonly string[]> {
    return (await this.#egress.reserve()).circuit.path;
  }

  path(): readonly string[] {
    return this.#egress.path();
  }

  routes(): readonly Route[] {
    return this.#pool.routes();
  }

  paths(): PathsReport {
    return this.#egress.report();
  }

  /** Proxied requests that are not over. */
  get open(): number {
    return this.#desk.open;
  }

  /** Takes nothing new from proxies. */
  drain(): void {
    this.#desk.drain();
    this.#egress.drain();
  }

  close(): void {
    this.#egress.close();
    this.#pool.close();
  }
}
