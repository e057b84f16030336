/**
 * A link over a session (docs/decisions/0005): the dialler's first bidirectional stream is the control stream, every other one
 * belongs to TypeScript, datagrams are packets or, behind a zero, the application's.
 *
 * Invariant: what came is held until the host's turn takes it; what goes out and is not taken off is bounded.
 */
import type { LinkStats, LinkTransport } from '../core/host.js';
import { ALIVE_EVERY_MS, SILENT_MS_MAX } from '../transport/reliable-ports.js';
import type { BidirectionalStream, Session } from '../transport/session.js';
import { reasonOf } from './errors.js';
import { PacketBatch } from './outputs.js';
import type { Reached } from './ports.js';

/** The first byte of a datagram that is the application's. */
const APPLICATION = 0;
/** A neighbour that takes less off its control stream than this behind is stuck or hostile. */
const CONTROL_BACKLOG_MAX = 1 << 20;
/** Datagrams that a session has not taken: more only wait and get old. */
const DATAGRAM_BACKLOG_MAX = 2 << 20;
const DATAGRAM_BYTES_MAX = 65_535;
const SILENT_TURNS_MAX = SILENT_MS_MAX / ALIVE_EVERY_MS;

export interface LinkEvents {
  /** Something came: take it in the next turn. */
  arrived(link: HostLink): void;
  stream(link: HostLink, stream: BidirectionalStream): void;
  datagram(link: HostLink, data: Uint8Array): void;
  /** A datagram that could not go out. */
  dropped(reason: 'queue_full' | 'link_narrow'): void;
  /** The session has ended; told once. */
  ended(link: HostLink, reason: string): void;
}

export class HostLink {
  readonly id: number;
  readonly session: Session;
  readonly address: string;
  readonly transport: LinkTransport | undefined;
  readonly incoming: boolean;
  readonly since_ms: number;
  peer: string;
  /** The engine knows it. */
  begun = false;
  /** What the engine thinks fits into a datagram: a path's discovery may come to another result. */
  toldMtu = 0;
  up = false;
  readonly packets = new PacketBatch();
  control: Uint8Array[] = [];
  /** Streams that the peer opened before the link was up. */
  early: BidirectionalStream[] = [];
  readonly #events: LinkEvents;
  readonly #datagrams: WritableStreamDefaultWriter<Uint8Array>;
  #control: WritableStreamDefaultWriter<Uint8Array> | null = null;
  #controlWaiting_bytes = 0;
  #datagramsWaiting_bytes = 0;
  #ended = false;
  /** Turns of the watch in which nothing came. */
  #silentTurns = 0;
  /** Ends the watch over a link that needs one. */
  unwatch: () => void = () => {};
  #counts = { packets_received: 0, packets_sent: 0, bytes_received: 0, bytes_sent: 0 };

  constructor(id: number, reached: Reached, peer: string, incoming: boolean, since_ms: number, events: LinkEvents) {
    this.id = id;
    this.session = reached.session;
    this.address = reached.address;
    this.transport = reached.transport;
    this.peer = peer;
    this.incoming = incoming;
    this.since_ms = since_ms;
    this.#events = events;
    this.#datagrams = reached.session.datagrams.writable.getWriter();
    this.#datagrams.closed.catch(() => {});
    this.session.closed.then(
      (info) => this.end(reasonOf(info.reason)),
      (error) => this.end(reasonOf(error)),
    );
  }

  get mtu(): number {
    return Math.min(this.session.datagrams.maxDatagramSize, DATAGRAM_BYTES_MAX);
  }

  /** Has the control stream, and everything read; false where the session ended before. */
  async begin(): Promise<boolean> {
    try {
      await this.session.ready;
      const streams = this.session.incomingBidirectionalStreams.getReader();
      const first = this.incoming ? (await streams.read()).value : await this.session.createBidirectionalStream();
      if (first === undefined || this.#ended) return false;
      this.#control = first.writable.getWriter();
      this.#control.closed.catch(() => {});
      void this.#readStreams(streams);
      void this.#readControl(first.readable);
      void this.#readDatagrams();
      return true;
    } catch (error) {
      this.end(reasonOf(error));
      return false;
    }
  }

  sendControl(bytes: Uint8Array): void {
    if (this.#ended || this.#control === null) return;
    this.#controlWaiting_bytes += bytes.length;
    if (this.#controlWaiting_bytes > CONTROL_BACKLOG_MAX) {
      this.#events.dropped('queue_full');
      this.close('queue_full');
      return;
    }
    this.#control.write(bytes).then(
      () => {
        this.#controlWaiting_bytes -= bytes.length;
      },
      () => this.close('link_gone'),
    );
  }

  sendDatagram(bytes: Uint8Array): void {
    if (this.#ended) return;
    const full = this.#datagramsWaiting_bytes + bytes.length > DATAGRAM_BACKLOG_MAX;
    if (full || bytes.length > this.toldMtu) {
      this.#events.dropped(full ? 'queue_full' : 'link_narrow');
      return;
    }
    this.#datagramsWaiting_bytes += bytes.length;
    this.#counts.packets_sent += 1;
    this.#counts.bytes_sent += bytes.length;
    const gone = () => {
      this.#datagramsWaiting_bytes -= bytes.length;
    };
    this.#datagrams.write(bytes).then(gone, gone);
  }

  /** Sends an application's datagram. */
  sendApplication(data: Uint8Array): void {
    const framed = new Uint8Array(1 + data.length);
    framed[0] = APPLICATION;
    framed.set(data, 1);
    this.sendDatagram(framed);
  }

  /** Whether it is carried by TCP, which does not notice that its peer is gone. */
  get overTcp(): boolean {
    return this.transport === 'http2' || this.transport === 'websocket';
  }

  /** Says that we are there, and ends the link where the peer has not done so for too long. Called every `ALIVE_EVERY_MS`. */
  watch(): void {
    this.#silentTurns += 1;
    if (this.#silentTurns > SILENT_TURNS_MAX) this.close('timeout');
    else this.#datagrams.write(new Uint8Array([APPLICATION])).catch(() => {});
  }

  /** Ends the session for a reason that the peer is told. */
  close(reason: string): void {
    if (this.#ended) return;
    this.session.close({ reason });
    this.end(reason);
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ended(this, reason);
  }

  stats(now_ms: number): LinkStats {
    const { id: link, peer, address, incoming, transport, mtu } = this;
    return {
      link,
      peer,
      address,
      incoming,
      ...(transport !== undefined && { transport }),
      rtt_us: 0,
      mtu,
      ...this.#counts,
      age_ms: Math.round(now_ms - this.since_ms),
    };
  }

  async #readControl(readable: ReadableStream<Uint8Array>): Promise<void> {
    try {
      const reader = readable.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done || this.#ended) break;
        this.control.push(value);
        this.#events.arrived(this);
      }
    } catch {
      // The session's own end says why.
    }
    // A link without its control stream is none. Where the session has ended, its own end comes with a better reason.
    this.session.close({ reason: 'link_gone' });
  }

  async #readDatagrams(): Promise<void> {
    try {
      const reader = this.session.datagrams.readable.getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done || this.#ended) return;
        this.#silentTurns = 0;
        // A peer says with an empty one that it is there.
        if (value.length === 1 && value[0] === APPLICATION) continue;
        this.#counts.packets_received += 1;
        this.#counts.bytes_received += value.length;
        if (this.up && value[0] === APPLICATION && value.length > 0) {
          this.#events.datagram(this, value.subarray(1));
        } else {
          this.packets.push(value);
          this.#events.arrived(this);
        }
      }
    } catch {
      // As above.
    }
  }

  async #readStreams(streams: ReadableStreamDefaultReader<BidirectionalStream>): Promise<void> {
    try {
      for (;;) {
        const { value, done } = await streams.read();
        if (done || this.#ended) return;
        if (this.up) this.#events.stream(this, value);
        else this.early.push(value);
      }
    } catch {
      // As above.
    }
  }
}
