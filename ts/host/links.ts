/**
 * The links of a host: sessions dialled and sessions that came, from their first moment to their end.
 *
 * Invariant: TypeScript above hears `link_down` for exactly the links it heard `link_up` for; the engine knows exactly the links
 * that are here and have begun.
 */
import { asWayfareError, errorOf } from '../base/errors.js';
import type { Clock } from '../base/ports.js';
import type { EngineBinding, EngineEvent } from '../core/engine.js';
import type { HostEvent, LinkId, LinkStats, StreamId } from '../core/host.js';
import { after, every } from '../core/timing.js';
import { ALIVE_EVERY_MS } from '../transport/reliable-ports.js';
import { closedError } from './closing.js';
import { ended } from './errors.js';
import { HostLink, type LinkEvents } from './link.js';
import type { Reached, Transports } from './ports.js';
import { StreamTable } from './streams.js';
import { Waits } from './waits.js';

/** A session that has not become a link for so long is closed. */
const BEGIN_WITHIN_MS = 5_000;
const HASH_BYTES = 32;

export interface LinksParts {
  engine: EngineBinding;
  clock: Clock;
  transports: Transports;
  self: string;
  now_us(): number;
  wake(): void;
  tell(event: HostEvent): void;
}

export class HostLinks {
  readonly streams = new StreamTable();
  /** Datagrams that could not go out. */
  readonly drops = { queue_full: 0, link_narrow: 0, link_gone: 0 };
  readonly #parts: LinksParts;
  readonly #links = new Map<LinkId, HostLink>();
  readonly #arrived = new Set<HostLink>();
  readonly #waits = new Waits<LinkId>();
  readonly #dials = new Set<AbortController>();
  #last: LinkId = 0;
  #closed = false;

  constructor(parts: LinksParts) {
    this.#parts = parts;
  }

  async dial(peer: string, addresses: string[], hashes: Uint8Array[]): Promise<LinkId> {
    const { self, transports, clock } = this.#parts;
    if (peer === self) throw errorOf('link_refused', 'a node does not link to itself');
    const abort = new AbortController();
    this.#dials.add(abort);
    const cancel = after(clock, BEGIN_WITHIN_MS, () => abort.abort());
    let reached: Reached;
    try {
      reached = await transports.dial(peer, addresses, hashes, abort.signal);
    } catch (error) {
      throw abort.signal.aborted ? errorOf('timeout', 'no answer to the dial') : asWayfareError(error, 'link_failed');
    } finally {
      cancel();
      this.#dials.delete(abort);
    }
    return this.adopt(peer, reached);
  }

  /** Makes a link of a session that stands; resolves when it is up. */
  async adopt(peer: string, reached: Reached): Promise<LinkId> {
    if (this.#closed) {
      reached.session.close();
      throw closedError();
    }
    const link = this.#insert(reached, peer, false);
    const up = this.#waits.add(link.id);
    void this.#begin(link, reached);
    return up;
  }

  /** A session that came. */
  accept(reached: Reached): void {
    if (this.#closed) reached.session.close();
    else void this.#begin(this.#insert(reached, '', true), reached);
  }

  get(link: LinkId): HostLink | undefined {
    return this.#links.get(link);
  }

  close(link: LinkId, reason: string): void {
    this.#links.get(link)?.close(reason);
  }

  async openStream(link: LinkId): Promise<StreamId> {
    const held = this.#links.get(link);
    if (held === undefined || !held.up) throw errorOf('link_gone', `there is no link ${link}`);
    return this.streams.insert(link, await held.session.createBidirectionalStream());
  }

  /** Hands the engine what the links have received. */
  handIn(now_us: number): void {
    const { engine } = this.#parts;
    for (const link of this.#arrived) {
      const mtu = link.mtu;
      if (link.begun && mtu !== link.toldMtu) {
        link.toldMtu = mtu;
        engine.linkMtu(link.id, mtu);
      }
      const control = link.control;
      link.control = [];
      for (const bytes of control) engine.handleControl(now_us, link.id, bytes);
      if (link.packets.count > 0) engine.handlePackets(now_us, link.id, link.packets.take());
    }
    this.#arrived.clear();
  }

  sendPacket(link: LinkId, bytes: Uint8Array): void {
    const held = this.#links.get(link);
    if (held === undefined) this.drops.link_gone += 1;
    else held.sendDatagram(bytes);
  }

  sendControl(link: LinkId, bytes: Uint8Array): void {
    this.#links.get(link)?.sendControl(bytes);
  }

  /** What the engine says of a link. */
  event(event: Extract<EngineEvent, { type: 'link_up' | 'link_close' }>): void {
    const link = this.#links.get(event.link);
    if (link === undefined) return;
    if (event.type === 'link_close') {
      link.close(event.reason);
      return;
    }
    link.up = true;
    link.peer = event.peer;
    const { id, peer, address, incoming, transport } = link;
    const { version } = event;
    const carried = transport === undefined ? {} : { transport };
    this.#parts.tell({ type: 'link_up', link: id, peer, address, incoming, version, ...carried });
    for (const stream of link.early.splice(0)) this.#events.stream(link, stream);
    this.#waits.resolve(id, id);
  }

  stats(): LinkStats[] {
    const now_ms = this.#parts.clock.monotonic_ms();
    return [...this.#links.values()].filter((link) => link.up).map((link) => link.stats(now_ms));
  }

  closeAll(): void {
    this.#closed = true;
    for (const abort of this.#dials) abort.abort();
    this.#waits.rejectAll(closedError());
    for (const link of [...this.#links.values()]) link.close('closed');
  }

  readonly #events: LinkEvents = {
    arrived: (link) => {
      this.#arrived.add(link);
      this.#parts.wake();
    },
    stream: (link, stream) => {
      this.#parts.tell({ type: 'stream_opened', link: link.id, stream: this.streams.insert(link.id, stream) });
    },
    datagram: (link, data) => this.#parts.tell({ type: 'datagram', link: link.id, data: toBase64(data) }),
    dropped: (reason) => {
      this.drops[reason] += 1;
    },
    ended: (link, reason) => this.#gone(link, reason),
  };

  #insert(reached: Reached, peer: string, incoming: boolean): HostLink {
    this.#last += 1;
    const link = new HostLink(this.#last, reached, peer, incoming, this.#parts.clock.monotonic_ms(), this.#events);
    this.#links.set(link.id, link);
    if (link.overTcp)
      link.unwatch = every(
        this.#parts.clock,
        () => ALIVE_EVERY_MS,
        () => link.watch(),
      );
    return link;
  }

  async #begin(link: HostLink, reached: Reached): Promise<void> {
    const { engine, clock, now_us, wake } = this.#parts;
    after(clock, BEGIN_WITHIN_MS, () => {
      if (!link.up) link.close('timeout');
    });
    if (!(await link.begin()) || !this.#links.has(link.id)) return;
    const binding = new Uint8Array(HASH_BYTES * reached.bindings.length);
    reached.bindings.forEach((hash, i) => {
      binding.set(hash, i * HASH_BYTES);
    });
    try {
      const { id, peer, incoming, mtu } = link;
      engine.linkStart(now_us(), id, !incoming, peer, reached.proven ?? '', binding, mtu);
      link.begun = true;
      link.toldMtu = mtu;
      wake();
    } catch (caught) {
      link.close(asWayfareError(caught).code);
    }
  }

  #gone(link: HostLink, reason: string): void {
    if (!this.#links.delete(link.id)) return;
    link.unwatch();
    this.#arrived.delete(link);
    this.drops.link_gone += link.packets.count;
    this.streams.linkGone(link.id);
    if (this.#closed) return;
    if (link.begun) this.#parts.engine.linkStop(this.#parts.now_us(), link.id);
    if (link.up) this.#parts.tell({ type: 'link_down', link: link.id, peer: link.peer, reason });
    this.#waits.reject(link.id, ended('no link to the peer', reason));
    this.#parts.wake();
  }
}

function toBase64(data: Uint8Array): string {
  return btoa(String.fromCharCode(...data));
}
