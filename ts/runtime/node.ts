/**
 * `createNode()`: a whole node, real or embedded, client, relay or exit.
 *
 * Invariant: what it opens it closes; after `close()` nothing of it runs, and every call says so.
 */
import type { AccountStore, Price, Reputation } from '../base/credit.js';
import type { Descriptor } from '../base/directory.js';
import { AbortedError, asWayfareError, NetworkError, UsageError } from '../base/errors.js';
import { isNodeId } from '../base/hex.js';
import type { Log } from '../base/ports.js';
import { Drops } from '../core/drops.js';
import type { FlowId, HostEvent, NodeHost } from '../core/host.js';
import { after, delay, every, unlessAborted } from '../core/timing.js';
import type { AccountsReport, CreditsReport } from '../credit/report.js';
import { GOSSIP_PROTOCOL, GossipDirectory } from '../directory/gossip.js';
import type { ExitChange } from '../egress/egress.js';
import type { PathsReport } from '../egress/report.js';
import { exitRules } from '../exit/rules.js';
import { Neighbours } from '../session/neighbours.js';
import { answerPings, PING_PROTOCOL, ping } from '../session/ping.js';
import { openProtocol, Protocols } from '../session/protocols.js';
import { LINK_VERSIONS } from './announce.js';
import type { Certificates } from './certificates.js';
import { ClientSide } from './client.js';
import { CreditSide } from './credits.js';
import type { DialedConnection } from './dial.js';
import type { KeptEntries } from './entries.js';
import { HopEvent, NodeEventTarget, PathEvent, PeerEvent, VerdictEvent } from './events.js';
import { Inbound, type ListenOptions, type NodeListener } from './inbound.js';
import { idOf, type OnionKeys } from './keys.js';
import type {
  Listening,
  ListenProxyOptions,
  NodeOptions,
  NodePeer,
  NodeRole,
  NodeStatus,
  PathHop,
  PingResult,
  Platform,
  SignalOptions,
} from './options.js';
import { Presence } from './presence.js';
import { listenProxy } from './proxies.js';
import { checkTarget, type DialTarget } from './target.js';

const CHORES_EVERY_MS = 30_000;
/** How long a drain waits for flows to end. */
const DRAIN_MS = 10_000;
const POLL_MS = 50;

/** How a connection is made. */
export interface DialOptions {
  /** Breaks the connection off, whether it is open yet or not. */
  signal?: AbortSignal;
  /** Flows of different keys never share a circuit. */
  isolation?: string;
}

/** What a node is made of; `createNodeOn()` puts it together. */
export interface NodeParts {
  options: NodeOptions;
  platform: Platform;
  keys: OnionKeys;
  /** Of a relay or exit that browsers can call. */
  certificates: Certificates | null;
  entries: KeptEntries;
  identitySeed: Uint8Array;
  host: NodeHost;
  /** Where accounts outlive the process. */
  accounts?: AccountStore;
  onEvents: (take: (events: HostEvent[]) => void) => void;
}

/** A running node. Its events are those of `NodeEventMap`. */
export class WayfareNode extends NodeEventTarget {
  /** Its id, 64 hex digits: the Ed25519 public key that is its identity. */
  readonly id: string;
  /** The UDP addresses its socket is bound to, `ip:port`. */
  addresses: string[] = [];
  readonly #options: NodeOptions;
  readonly #platform: Platform;
  readonly #host: NodeHost;
  readonly #drops: Drops;
  readonly #log: Log;
  readonly #directory: GossipDirectory;
  readonly #neighbours: Neighbours;
  readonly #presence: Presence;
  readonly #entries: KeptEntries;
  readonly #client: ClientSide;
  readonly #inbound: Inbound;
  readonly #credits: CreditSide;
  /** Who wants to know when a dialled flow breaks. */
  readonly #flows = new Map<FlowId, (reason: string) => void>();
  readonly #started_ms: number;
  readonly #stops: (() => void)[] = [];
  #draining = false;
  #closing: Promise<void> | null = null;

  /**
   * Use `createNode()`.
   * @internal
   */
  constructor(parts: NodeParts) {
    super();
    const { options, platform, host } = parts;
    const { core, clock, random } = platform;
    const log = options.log ?? platform.log;
    this.#options = options;
    this.#platform = platform;
    this.#host = host;
    this.id = idOf(core, parts.identitySeed);
    this.#started_ms = clock.monotonic_ms();
    this.#drops = new Drops();
    this.#log = log;
    const protocols = new Protocols(this.#drops);
    protocols.handle(PING_PROTOCOL, (_, stream) => void answerPings(stream).catch(() => {}));
    this.#directory = new GossipDirectory({ core, clock, random, log, drops: this.#drops });
    protocols.handle(GOSSIP_PROTOCOL, (peer, stream) => void this.#directory.attach(peer, stream).catch(() => {}));
    this.#neighbours = new Neighbours({
      host,
      directory: this.#directory,
      protocols,
      drops: this.#drops,
      clock,
      random,
      log,
      self: this.id,
      versionMax: LINK_VERSIONS.max,
      bootstrap: (options.bootstrap ?? []).filter((peer) => peer.id !== this.id),
      ...(platform.reliable !== undefined && { reliable: platform.reliable }),
      onDialled: (peer, session) =>
        void openProtocol(session, GOSSIP_PROTOCOL)
          .then((stream) => this.#directory.attach(peer, stream))
          .catch(() => {}),
    });
    this.#presence = new Presence({
      self: this.id,
      options,
      platform,
      log,
      host,
      keys: parts.keys,
      certificates: parts.certificates,
      identitySeed: parts.identitySeed,
      directory: this.#directory,
      neighbours: this.#neighbours,
      rtt_us: (id) => this.ping(id).then(({ rtt_us }) => rtt_us),
      closing: () => this.#closing !== null,
    });
    this.#entries = parts.entries;
    this.#credits = new CreditSide({
      self: this.id,
      host,
      clock,
      random,
      log,
      protocols,
      options: options.credit ?? {},
      ...(parts.accounts !== undefined && { store: parts.accounts }),
      routes: () => this.#client.routes(),
      descriptor: () => this.#presence.descriptor,
      descriptorOf: (id) => this.#directory.get(id),
      session: (id) => this.#neighbours.session(id),
    });
    this.#client = new ClientSide({
      self: this.id,
      options,
      platform,
      host,
      log,
      directory: this.#directory,
      entries: parts.entries,
      link: (id) => this.#neighbours.reach(id),
      watch: this.#watch,
      onPath: (change, path) => void this.dispatchEvent(new PathEvent(change, this.#hops(path))),
      onExit: (change) => this.#tell(change),
      onUse: () => this.#credits.used(),
      flow: this.#credits.usual,
      keyFor: (isolation, flow) => this.#credits.keyFor(isolation, flow),
    });
    const listens = this.#roles.includes('listener');
    this.#inbound = new Inbound({ host, self: this.id, listens, watch: this.#watch });
    parts.onEvents((events) => {
      for (const event of events) {
        this.#neighbours.handle(event);
        this.#client.handle(event);
        this.#inbound.handle(event);
        if (event.type === 'flow_closed' && event.reason !== 'done') this.#flows.get(event.flow)?.(event.reason);
        if (event.type === 'link_up') this.dispatchEvent(new PeerEvent('peerup', event.peer));
        if (event.type === 'link_down') this.dispatchEvent(new PeerEvent('peerdown', event.peer, event.reason));
      }
    });
  }

  /**
   * Binds and joins; `createNode()` has called it.
   * @internal
   */
  async start(): Promise<void> {
    const { clock, log } = this.#platform;
    this.addresses = await this.#host.start();
    // In the same turn: no neighbour has had time to come.
    this.#credits.open();
    this.#host.setExitRules(exitRules(this.#options.exit));
    await this.#presence.start(this.addresses);
    this.#neighbours.start();
    this.#credits.start();
    this.#stops.push(
      every(
        clock,
        () => CHORES_EVERY_MS,
        () =>
          void this.#presence
            .chores()
            .catch((error) => log.error('chores failed', { code: asWayfareError(error).code })),
      ),
    );
    this.#announceReady();
    log.info('node started', { id: this.id, roles: this.#roles.join() });
  }

  get #roles(): NodeRole[] {
    return this.#options.roles ?? ['client'];
  }

  /** Its own signed descriptor's content; `null` for a mere client, which tells nobody that it exists. */
  descriptor(): Descriptor | null {
    return this.#presence.descriptor;
  }

  /** Tells once, not before whoever made the node can listen. */
  #announceReady(): void {
    const { clock } = this.#platform;
    let told = false;
    const tell = () => {
      if (told || this.#missing().length > 0) return;
      told = true;
      unsubscribe();
      this.dispatchEvent(new Event('ready'));
    };
    let cancel = after(clock, 0, tell);
    const unsubscribe = this.#directory.subscribe(() => {
      cancel();
      cancel = after(clock, 0, tell);
    });
    this.#stops.push(unsubscribe, () => cancel());
  }

  /** Resolves when a path can be drawn (a client) or at once; rejects with `aborted`, or with `closed`. */
  async ready(signal?: AbortSignal): Promise<void> {
    while (this.#missing().length > 0) {
      this.#open();
      if (signal?.aborted) throw new AbortedError('aborted', 'the wait was aborted', { cause: signal.reason });
      await delay(this.#platform.clock, POLL_MS);
    }
  }

  /** The descriptor of a node, as soon as it is known here. Rejects with `argument_invalid`, `aborted` or `closed`. */
  async find(id: string, { signal }: SignalOptions = {}): Promise<Descriptor> {
    if (!isNodeId(id)) throw new UsageError('argument_invalid', `"${id}" is no node id: 64 hex digits`);
    for (;;) {
      this.#open();
      const found = this.#directory.get(id);
      if (found !== undefined) return found;
      await unlessAborted(signal, 'the search', delay(this.#platform.clock, POLL_MS));
    }
  }

  #missing(): string[] {
    if (!this.#roles.includes('client')) return [];
    const missing = this.#client.missing();
    return missing === undefined ? [] : [missing];
  }

  /**
   * A TCP connection from an exit to `target`, as web streams.
   *
   * Throws `argument_invalid`, `closed` or `draining`; whatever fails later rejects `opened` and `closed`: `no_path`,
   * `connection_failed`, `aborted`, or what the exit says (`exit_connect_failed`, `exit_name_unresolved`, …).
   */
  dial(target: DialTarget, options: DialOptions = {}): DialedConnection {
    this.#open();
    const checked = checkTarget(target, this.id);
    if (this.#draining) throw new AbortedError('draining', 'the node is draining and takes no new flows');
    return this.#client.dial(checked, options.isolation, options.signal);
  }

  readonly #watch = (flow: FlowId, broken: (reason: string) => void): (() => void) => {
    this.#flows.set(flow, broken);
    return () => void this.#flows.delete(flow);
  };

  /**
   * Takes streams that clients open to this node by its id, through a path of which it is the last hop: `dial({ node, port })` or
   * the host `<id>.wayfare`. Needs the role `listener`.
   *
   * Throws `argument_invalid` where the port is taken or the node does not listen, `closed`, or `draining`.
   */
  listen(options: ListenOptions): NodeListener {
    this.#open();
    if (this.#draining) throw new AbortedError('draining', 'the node is draining and takes no new streams');
    return this.#inbound.listen(options);
  }

  /** The path of the latest flow without isolation, or what `connect()` has opened for the next; empty before the first. */
  path(): PathHop[] {
    return this.#hops(this.#client.path());
  }

  /** What neighbours may spend here and this node there, what flows, what it keeps, and what it costs. */
  credits(): CreditsReport {
    this.#open();
    return this.#credits.report();
  }

  /** The same without the circuits, of which there may be many. */
  accounts(): AccountsReport {
    this.#open();
    return this.#credits.accounts();
  }

  /** Looks for a circle of credits that gains, as is done once a minute. Without effect where this node serves nobody. */
  seekCircle(): Promise<void> {
    this.#open();
    return this.#credits.seekCircle();
  }

  /** What neighbours have done for this node, less what they have had of it. */
  get reputation(): Reputation {
    return this.#credits.reputation;
  }

  /** What it costs to send over this node's links. */
  get price(): Price {
    return this.#credits.price;
  }

  /** The exits that flows are spread over, what is known of each, and the flows that run. */
  paths(): PathsReport {
    this.#open();
    return this.#client.paths();
  }

  #tell(change: ExitChange): void {
    if (change.type === 'hop') {
      this.dispatchEvent(new HopEvent(change.change, change.hop.exit));
      return;
    }
    const { kind, exit, since_us, until_us } = change.verdict;
    this.dispatchEvent(new VerdictEvent(kind, exit, Math.round((until_us - since_us) / 1000)));
  }

  #hops(ids: readonly string[]): PathHop[] {
    return ids.map((id, i) => ({
      id,
      address: this.#directory.get(id)?.addresses[0] ?? '',
      role: i === ids.length - 1 ? 'exit' : 'relay',
    }));
  }

  /** Opens the path that the next flow without isolation will take, and gives it. */
  async connect({ signal }: SignalOptions = {}): Promise<PathHop[]> {
    this.#open();
    return this.#hops(await unlessAborted(signal, 'the connecting', this.#client.connect()));
  }

  /** A SOCKS5 proxy (CONNECT and UDP ASSOCIATE); names are resolved at the exit. */
  async listenSocks(options: ListenProxyOptions): Promise<Listening> {
    this.#open();
    return listenProxy(this.#host, 'socksListen', options);
  }

  /** An HTTP proxy (CONNECT and plain `http://`). */
  async listenHttp(options: ListenProxyOptions): Promise<Listening> {
    this.#open();
    return listenProxy(this.#host, 'httpListen', options);
  }

  /**
   * `count` round trips (64 at most) over a link to a node, dialled where there is none.
   *
   * Rejects with `argument_invalid`, `peer_unknown`, `peer_unreachable` or `aborted`.
   */
  async ping(id: string, count = 3, options: SignalOptions = {}): Promise<PingResult> {
    this.#open();
    if (!isNodeId(id)) throw new UsageError('argument_invalid', `"${id}" is no node id: 64 hex digits`);
    if (id === this.id) throw new UsageError('argument_invalid', 'this is the node itself');
    const { signal } = options;
    await unlessAborted(signal, 'the ping', this.#neighbours.reach(id));
    const session = this.#neighbours.session(id);
    if (session === undefined) throw new NetworkError('peer_unreachable', 'the link was lost');
    const { clock, random } = this.#platform;
    const rtts_ms = await unlessAborted(signal, 'the ping', ping(session, clock, random, count));
    const rtts_us = rtts_ms.map((ms) => Math.round(ms * 1000));
    return { rtt_us: Math.min(...rtts_us), rtts_us };
  }

  /** What the node is and does, with all it counts. */
  async status(): Promise<NodeStatus> {
    this.#open();
    const host = await this.#host.stats();
    const reasons = [...this.#missing(), ...(this.#draining ? ['draining'] : [])];
    const { clock } = this.#platform;
    const descriptor = this.descriptor();
    const expires_ms = descriptor === null ? 0 : descriptor.expires_s * 1000 - clock.now_ms();
    return {
      id: this.id,
      addresses: this.addresses,
      roles: this.#roles,
      ready: reasons.length === 0,
      reasons,
      draining: this.#draining,
      uptime_ms: Math.round(clock.monotonic_ms() - this.#started_ms),
      descriptors: this.#directory.descriptors().length,
      path: this.path(),
      descriptor_expires_ms: Math.max(0, Math.round(expires_ms)),
      host: { ...host, drops: this.#drops.merge(host.drops) },
    };
  }

  /** The neighbours to which a link is up. */
  async peers(): Promise<NodePeer[]> {
    this.#open();
    const { links } = await this.#host.stats();
    return this.#neighbours.peers().flatMap((peer) => {
      const stats = links.find((link) => link.link === peer.link);
      if (stats === undefined) return [];
      const { rtt_us, mtu, fast_bytes = 0, packets_received, packets_sent, bytes_received, bytes_sent } = stats;
      const roles = Object.entries(this.#directory.get(peer.id)?.roles ?? {}).flatMap(([role, is]) =>
        is ? [role] : [],
      );
      return [{ ...peer, rtt_us, mtu, fast_bytes, packets_received, packets_sent, bytes_received, bytes_sent, roles }];
    });
  }

  /** Whether packets are passed on; off for self-checks, it drops them by reason `forwarding_stopped`. */
  setForwarding(on: boolean): void {
    this.#open();
    this.#host.setForwarding(on);
  }

  /** Takes nothing new, and waits for what runs to end, up to `timeout_ms`; a signal ends the waiting alone. */
  async drain(timeout_ms = DRAIN_MS, { signal }: SignalOptions = {}): Promise<void> {
    this.#open();
    this.#draining = true;
    this.#client.drain();
    this.#inbound.drain();
    this.#host.drain();
    const { clock } = this.#platform;
    const deadline_ms = clock.monotonic_ms() + timeout_ms;
    while (clock.monotonic_ms() < deadline_ms && this.#closing === null) {
      const { client, exit } = await this.#host.stats();
      if (client.flows_open + exit.flows_open + this.#client.open === 0) return;
      await unlessAborted(signal, 'the drain', delay(clock, POLL_MS));
    }
  }

  /** Ends the node and all that it opened: connections break off. Resolves when nothing of it runs; may be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    for (const stop of this.#stops) stop();
    this.#inbound.close();
    this.#neighbours.close();
    this.#presence.close();
    try {
      this.#credits.close();
    } catch (error) {
      this.#log.error('accounts were not saved', { code: asWayfareError(error).code });
    }
    this.#client.close();
    this.#directory.close();
    this.#presence.forget();
    for (const broken of [...this.#flows.values()]) broken('closed');
    await this.#host.close();
    await this.#entries.settled();
    this.dispatchEvent(new Event('closed'));
  }

  /**
   * Throws `closed` once `close()` was called.
   * @internal
   */
  protected assertOpen(): void {
    this.#open();
  }

  #open(): void {
    if (this.#closing !== null)
      throw new AbortedError('closed', 'the node is closed', { hint: 'make a new one with createNode()' });
  }
}
