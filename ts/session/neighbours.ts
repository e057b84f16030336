/**
 * Neighbours: links that are up, dialled on demand, kept to bootstrap peers, closed when nobody needs them.
 *
 * Invariant: every link the host says is up has a session here until the host says it is down; a peer is dialled by one call at
 * a time; a link that speaks less than its peer's signed descriptor promises is refused (a downgrade).
 */
import type { Descriptor, Directory } from '../base/directory.js';
import { asWayfareError, errorOf, NetworkError } from '../base/errors.js';
import type { Clock, Log, Random } from '../base/ports.js';
import type { Drops } from '../core/drops.js';
import type { HostEvent, LinkId, LinkTransport, NodeHost } from '../core/host.js';
import { after, every, within } from '../core/timing.js';
import { QuicSession } from '../transport/quic.js';
import { adopts, type ReachedReliably, type ReliableTransports } from '../transport/reliable-ports.js';
import type { Session } from '../transport/session.js';
import { AttachedLink, attaches } from './attached.js';
import { Backoff } from './backoff.js';
import { dialEither, isSilence, ReliableDials, UdpSilence } from './fallback.js';
import type { Protocols } from './protocols.js';

/** Dialling a live neighbour takes two round trips. */
const DIAL_MS = 2_000;
const SWEEP_EVERY_MS = 60_000;
/** A link that lived so long was a good one: its peer's next failure starts from the shortest wait again. */
const STEADY_MS = 5_000;
/** A link that carried nothing for this long, and is not to a bootstrap peer, is closed. */
export const UNUSED_MS = 10 * 60_000;

/** A node that is asked first who is there. */
export interface BootstrapPeer {
  /** Its id, 64 hex digits: whoever answers there must prove it. */
  id: string;
  /** `ip:port`. */
  address: string;
  /** As in its descriptor: what a browser needs to know before it can ask for that. */
  webtransport?: {
    /** SHA-256 of the certificates it may show. */
    hashes: Uint8Array[];
  };
  /** As in its descriptor: what a browser needs to know where its network lets no UDP through. */
  reliable?: {
    /** `name:port` of its WebSocket, whose certificate the browser trusts. */
    host: string;
  };
}

/** A neighbour. */
export interface PeerInfo {
  /** Its id, 64 hex digits. */
  id: string;
  /** The link's number at this node. */
  link: LinkId;
  /** Where it is, `ip:port`. */
  address: string;
  /** Whether it dialled. */
  incoming: boolean;
  /** The link version that both speak. */
  version: number;
  /** What carries the link. */
  transport?: LinkTransport;
  /** When the link came up, unix milliseconds. */
  since_ms: number;
  /** Whether it is a bootstrap peer, to which a link is kept. */
  bootstrap: boolean;
}

export interface NeighboursParts {
  host: NodeHost;
  directory: Directory;
  protocols: Protocols;
  drops: Drops;
  clock: Clock;
  random: Random;
  log: Log;
  self: string;
  /** The highest link version this node speaks. */
  versionMax: number;
  bootstrap: BootstrapPeer[];
  /** How peers are reached whom no UDP reaches; without it, they are not. */
  reliable?: ReliableTransports;
  /** A link that we dialled is up. */
  onDialled(peer: string, session: Session): void;
}

interface Neighbour extends PeerInfo {
  session: QuicSession | AttachedLink;
  /** Packets at the last sweep, and when they last changed. */
  packets: number;
  used_ms: number;
}

export class Neighbours {
  readonly #parts: NeighboursParts;
  readonly #links = new Map<LinkId, Neighbour>();
  readonly #dialling = new Map<string, Promise<void>>();
  /** Links whose bytes we move, from their beginning on. */
  readonly #attached = new Map<LinkId, AttachedLink>();
  readonly #silence: UdpSilence;
  readonly #reliable: ReliableDials | null;
  /** Who waits for the event of a link that the host has answered for. */
  readonly #arrivals = new Map<LinkId, () => void>();
  readonly #backoffs = new Map<string, { backoff: Backoff; cancel?: () => void }>();
  readonly #stops: (() => void)[] = [];
  #closed = false;

  constructor(parts: NeighboursParts) {
    this.#parts = parts;
    this.#silence = new UdpSilence(parts.clock);
    const able = parts.reliable !== undefined && (attaches(parts.host) ?? adopts(parts.host)) !== null;
    this.#reliable = able ? new ReliableDials(parts.reliable as ReliableTransports, parts.clock) : null;
    for (const peer of parts.bootstrap) this.#backoffs.set(peer.id, { backoff: new Backoff(parts.random) });
  }

  start(): void {
    const { clock, directory } = this.#parts;
    this.#stops.push(
      every(
        clock,
        () => SWEEP_EVERY_MS,
        () => void this.#sweep(),
      ),
    );
    this.#stops.push(directory.subscribe((descriptor) => this.#checkVersions(descriptor)));
    for (const peer of this.#parts.bootstrap) this.#keep(peer.id);
  }

  close(): void {
    this.#closed = true;
    for (const stop of this.#stops) stop();
    for (const { cancel } of this.#backoffs.values()) cancel?.();
    for (const { session } of this.#links.values()) session.end('the node was closed');
    for (const attached of [...this.#attached.values()]) attached.end('closed');
    this.#links.clear();
  }

  peers(): PeerInfo[] {
    return [...this.#links.values()].map(({ session, packets, used_ms, ...info }) => info);
  }

  session(peer: string): Session | undefined {
    return this.#linkTo(peer)?.session;
  }

  /** Resolves when a link to `peer` is up, dialling it where none is. */
  async reach(peer: string): Promise<void> {
    if (this.#linkTo(peer) !== undefined) return;
    let dialling = this.#dialling.get(peer);
    if (dialling === undefined) {
      dialling = this.#dial(peer);
      this.#dialling.set(peer, dialling);
      const over = () => this.#dialling.delete(peer);
      dialling.then(over, over);
    }
    await dialling;
  }

  handle(event: HostEvent): void {
    switch (event.type) {
      case 'link_up':
        this.#up(event);
        return;
      case 'link_down':
        this.#down(event.link, event.reason);
        return;
      case 'stream_opened':
        this.#links.get(event.link)?.session.takeStream(event.stream);
        return;
      case 'datagram':
        this.#links.get(event.link)?.session.takeDatagram(fromBase64(event.data));
        return;
      case 'next_hop_wanted':
        this.reach(event.peer).catch(() => this.#parts.host.nextHopUnreachable(event.peer));
        return;
    }
  }

  #linkTo(peer: string): Neighbour | undefined {
    let newest: Neighbour | undefined;
    for (const link of this.#links.values()) if (link.id === peer) newest = link;
    return newest;
  }

  async #dial(peer: string): Promise<void> {
    const { host, directory, bootstrap, clock } = this.#parts;
    const known = bootstrap.filter((b) => b.id === peer);
    const descriptor = directory.get(peer);
    const addresses = [...new Set([...(descriptor?.addresses ?? []), ...known.map((b) => b.address)])];
    const hashes = (descriptor === undefined ? known : [descriptor]).flatMap((d) => d.webtransport?.hashes ?? []);
    if (addresses.length === 0) {
      throw new NetworkError('peer_unknown', `no address of node ${peer.slice(0, 8)} is known`, {
        hint: 'wait for its descriptor, or add it as a bootstrap peer',
      });
    }
    const udp = async () => {
      const link = await within(clock, DIAL_MS, 'dialling', host.linkOpen(peer, addresses, hashes), (late) =>
        host.linkClose(late, 'timeout'),
      );
      await this.#arrived(link);
    };
    const reliable = this.#reliable;
    const overTcp = reliable?.places(descriptor, known) ?? [];
    try {
      if (reliable === null || overTcp.length === 0) await udp();
      else {
        const tcp = (signal: AbortSignal) =>
          reliable.dial(peer, overTcp, hashes, signal, (reached) => this.#attach(reached, peer));
        await dialEither(clock, this.#silence, udp, tcp);
      }
    } catch (cause) {
      throw new NetworkError(
        'peer_unreachable',
        `no link to node ${peer.slice(0, 8)}: ${asWayfareError(cause).message}`,
        { cause },
      );
    }
  }

  /** The answer to a dial may overtake the event that brings the session. */
  async #arrived(link: LinkId): Promise<void> {
    if (this.#links.has(link)) return;
    const arrival = new Promise<void>((resolve) => this.#arrivals.set(link, resolve));
    await within(this.#parts.clock, DIAL_MS, 'dialling', arrival).finally(() => this.#arrivals.delete(link));
  }

  /** A session that came, by a transport of ours. */
  accept(reached: ReachedReliably): void {
    if (this.#closed) reached.session.close({ reason: 'closed' });
    else this.#attach(reached).catch(() => {});
  }

  /** Makes a link of a session; resolves when it is up. */
  async #attach(reached: ReachedReliably, peer?: string): Promise<void> {
    const { clock, drops } = this.#parts;
    const adopting = adopts(this.#parts.host);
    if (adopting !== null && peer !== undefined) return this.#arrived(await adopting.linkAdopt(peer, reached));
    const host = attaches(this.#parts.host);
    if (host === null) throw errorOf('link_failed', 'this host takes no such sessions');
    const dropped = () => drops.count('queue_full');
    const attached = await AttachedLink.begin({ host, clock, dropped }, reached, peer);
    const { link } = attached;
    this.#attached.set(link, attached);
    const over = attached.over.then((reason) => {
      this.#attached.delete(link);
      throw errorOf('link_failed', `the link ended: ${reason.replaceAll('_', ' ')}`);
    });
    over.catch(() => {});
    if (this.#closed) attached.end('closed');
    const arrival = new Promise<void>((resolve) => this.#arrivals.set(link, resolve));
    await Promise.race([arrival, over]).finally(() => this.#arrivals.delete(link));
  }

  #up(event: Extract<HostEvent, { type: 'link_up' }>): void {
    const { host, protocols, clock, log, bootstrap } = this.#parts;
    const now_ms = clock.now_ms();
    const session = this.#attached.get(event.link) ?? new QuicSession(host, event.link);
    const neighbour: Neighbour = {
      id: event.peer,
      link: event.link,
      address: event.address,
      incoming: event.incoming,
      version: event.version,
      ...(event.transport !== undefined && { transport: event.transport }),
      since_ms: now_ms,
      bootstrap: bootstrap.some((b) => b.id === event.peer),
      session,
      packets: 0,
      used_ms: now_ms,
    };
    this.#links.set(event.link, neighbour);
    this.#arrivals.get(event.link)?.();
    const descriptor = this.#parts.directory.get(event.peer);
    if (descriptor !== undefined && this.#refuseDowngrade(neighbour, descriptor)) return;
    log.debug('link up', { peer: event.peer, incoming: event.incoming });
    void protocols.serve(event.peer, session);
    if (!event.incoming) this.#parts.onDialled(event.peer, session);
  }

  #down(link: LinkId, reason: string): void {
    const neighbour = this.#links.get(link);
    if (neighbour === undefined) return;
    this.#links.delete(link);
    if (isSilence(neighbour.transport, reason)) this.#silence.note();
    neighbour.session.end(reason);
    this.#parts.log.debug('link down', { peer: neighbour.id, reason });
    const kept = this.#backoffs.get(neighbour.id);
    if (kept === undefined) return;
    if (this.#parts.clock.now_ms() - neighbour.since_ms >= STEADY_MS) kept.backoff.reset();
    this.#keep(neighbour.id, kept.backoff.next_ms());
  }

  /** Dials a bootstrap peer until a link to it is up, waiting longer after each failure. */
  #keep(peer: string, wait_ms = 0): void {
    const kept = this.#backoffs.get(peer);
    if (kept === undefined || this.#closed || this.#linkTo(peer) !== undefined) return;
    kept.cancel?.();
    const dial = () => {
      if (this.#closed || this.#linkTo(peer) !== undefined) return;
      const again = (code: string) => {
        // A link can be lost again before its dial is done with.
        if (this.#closed || this.#linkTo(peer) !== undefined) return;
        this.#parts.log.warn('bootstrap peer not reached', { peer, code });
        kept.cancel?.();
        kept.cancel = after(this.#parts.clock, kept.backoff.next_ms(), dial);
      };
      this.reach(peer).then(
        () => again('link_gone'),
        (error) => again(asWayfareError(error).code),
      );
    };
    if (wait_ms === 0) dial();
    else kept.cancel = after(this.#parts.clock, wait_ms, dial);
  }

  #checkVersions(descriptor: Descriptor): void {
    for (const link of this.#links.values()) if (link.id === descriptor.id) this.#refuseDowngrade(link, descriptor);
  }

  #refuseDowngrade(link: Neighbour, descriptor: Descriptor): boolean {
    if (link.version >= Math.min(descriptor.versions.max, this.#parts.versionMax)) return false;
    this.#parts.drops.count('link_refused');
    this.#parts.log.warn('a neighbour speaks less than its descriptor says: refused', { peer: link.id });
    this.#parts.host.linkClose(link.link, 'link_refused');
    return true;
  }

  /** Closes links that nothing has used. */
  async #sweep(): Promise<void> {
    const { host, clock } = this.#parts;
    const stats = await host.stats().catch(() => null);
    if (stats === null) return;
    const now_ms = clock.now_ms();
    for (const { link, packets_received, packets_sent } of stats.links) {
      const neighbour = this.#links.get(link);
      if (neighbour === undefined) continue;
      if (neighbour.packets !== packets_received + packets_sent) {
        neighbour.packets = packets_received + packets_sent;
        neighbour.used_ms = now_ms;
      } else if (!neighbour.bootstrap && !neighbour.incoming && now_ms - neighbour.used_ms >= UNUSED_MS) {
        neighbour.session.close({ reason: 'unused' });
      }
    }
  }
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
