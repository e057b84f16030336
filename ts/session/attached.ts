/**
 * A link over a session whose bytes we move ourselves: between the session and the native host, in batches.
 *
 * The dialler's first stream is the control stream, datagrams are packets or, behind a zero, the application's; every other
 * stream belongs to the protocols (docs/decisions/0005).
 *
 * Invariant: what the session brings faster than the host takes it is bounded; nothing is taken from the host before the session has
 * taken what came before.
 */
import { errorOf } from '../base/errors.js';
import type { Clock } from '../base/ports.js';
import { GIVE_CONTROL, type LinkId, type NodeHost } from '../core/host.js';
import { every, within } from '../core/timing.js';
import { ALIVE_EVERY_MS, type ReachedReliably, SILENT_MS_MAX } from '../transport/reliable-ports.js';
import type { BidirectionalStream, CloseInfo, DatagramDuplex, Session } from '../transport/session.js';

/** The first byte of a datagram that is the application's. */
const APPLICATION = 0;
/** Packets that wait for the host: more only get old. */
const WAITING_MAX = 2048;
const RECORD_HEADER_BYTES = 5;
const INCOMING_DATAGRAMS_MAX = 256;
const BEGIN_WITHIN_MS = 5_000;

/** The calls that a host has for such links. */
export type AttachingHost = Required<Pick<NodeHost, 'linkAttach' | 'linkTake' | 'linkGive' | 'linkClose'>>;

export function attaches(host: NodeHost): (NodeHost & AttachingHost) | null {
  const able = host.linkAttach !== undefined && host.linkTake !== undefined && host.linkGive !== undefined;
  return able ? (host as NodeHost & AttachingHost) : null;
}

export interface AttachedParts {
  host: AttachingHost;
  clock: Clock;
  /** A packet was dropped because the host was busy. */
  dropped(): void;
}

/** What the protocols see of it: the session, its application datagrams alone. */
export class AttachedLink implements Session {
  readonly ready = Promise.resolve();
  readonly closed: Promise<CloseInfo>;
  readonly datagrams: DatagramDuplex;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  readonly link: LinkId;
  /** Resolves with why it ended. */
  readonly over: Promise<string>;
  readonly #parts: AttachedParts;
  readonly #session: Session;
  readonly #packetsOut: WritableStreamDefaultWriter<Uint8Array>;
  readonly #controlOut: WritableStreamDefaultWriter<Uint8Array>;
  readonly #stop: () => void;
  #applicationIn!: ReadableStreamDefaultController<Uint8Array>;
  #controlWaiting: Uint8Array[] = [];
  #packetsWaiting: Uint8Array[] = [];
  #handing = false;
  #heard_ms: number;
  #ended = false;
  #end!: (reason: string) => void;

  /** Begins a link over a session; `peer` is whom we dialled. Resolves when the host knows it, before it is up. */
  static async begin(parts: AttachedParts, reached: ReachedReliably, peer?: string): Promise<AttachedLink> {
    const { session, bindings, address, kind: transport } = reached;
    try {
      const control = await within(parts.clock, BEGIN_WITHIN_MS, 'the link’s beginning', firstStream(session, peer));
      const mtu = session.datagrams.maxDatagramSize;
      const attachment = { bindings, address, transport, mtu, ...(peer !== undefined && { peer }) };
      return new AttachedLink(parts, session, control, await parts.host.linkAttach(attachment));
    } catch (error) {
      session.close({ reason: 'link_refused' });
      throw error;
    }
  }

  private constructor(parts: AttachedParts, session: Session, control: BidirectionalStream, link: LinkId) {
    this.#parts = parts;
    this.#session = session;
    this.link = link;
    this.closed = session.closed;
    this.incomingBidirectionalStreams = session.incomingBidirectionalStreams;
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#packetsOut = session.datagrams.writable.getWriter();
    this.#controlOut = control.writable.getWriter();
    for (const writer of [this.#packetsOut, this.#controlOut]) writer.closed.catch(() => {});
    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#applicationIn = controller;
        },
      },
      { highWaterMark: INCOMING_DATAGRAMS_MAX },
    );
    const maxDatagramSize = session.datagrams.maxDatagramSize - 1;
    const writable = new WritableStream<Uint8Array>({ write: (data) => this.#sendApplication(data, maxDatagramSize) });
    this.datagrams = { readable, writable, maxDatagramSize };
    this.#heard_ms = parts.clock.monotonic_ms();
    this.#stop = every(
      parts.clock,
      () => ALIVE_EVERY_MS,
      () => this.#watch(),
    );
    session.closed.then(
      () => this.end('link_gone'),
      () => this.end('link_gone'),
    );
    const broken = () => this.end('link_gone');
    this.#give().catch((error) => this.end((error as { code?: string }).code ?? 'link_gone'));
    this.#readControl(control.readable).then(broken, broken);
    this.#readPackets().then(broken, broken);
  }

  createBidirectionalStream(): Promise<BidirectionalStream> {
    return this.#session.createBidirectionalStream();
  }

  close(info: CloseInfo = {}): void {
    this.#session.close(info);
    this.end(info.reason ?? 'link_gone');
  }

  /** Ends link and session, for a reason that the peer is told. */
  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stop();
    this.#session.close({ reason });
    this.#parts.host.linkClose(this.link, reason);
    this.#applicationIn.close();
    this.#packetsWaiting = [];
    this.#end(reason);
  }

  /** Streams and datagrams come from the session itself. */
  takeStream(): void {}
  takeDatagram(): void {}

  #watch(): void {
    if (this.#parts.clock.monotonic_ms() - this.#heard_ms > SILENT_MS_MAX) this.end('timeout');
    else this.#packetsOut.write(new Uint8Array([APPLICATION])).catch(() => {});
  }

  async #sendApplication(data: Uint8Array, max: number): Promise<void> {
    if (data.length > max) return;
    const framed = new Uint8Array(1 + data.length);
    framed[0] = APPLICATION;
    framed.set(data, 1);
    await this.#packetsOut.write(framed);
  }

  /** From the host to the session. */
  async #give(): Promise<void> {
    while (!this.#ended) {
      const batch = await this.#parts.host.linkGive(this.link);
      if (batch === null) return;
      const view = new DataView(batch.buffer, batch.byteOffset, batch.length);
      let taken: Promise<void> | null = null;
      for (let at = 0; at < batch.length; ) {
        const from = at + RECORD_HEADER_BYTES;
        const end = from + view.getUint32(at + 1);
        const out = view.getUint8(at) === GIVE_CONTROL ? this.#controlOut : this.#packetsOut;
        taken = out.write(batch.subarray(from, end));
        taken.catch(() => {});
        at = end;
      }
      await taken;
    }
  }

  async #readControl(readable: ReadableStream<Uint8Array>): Promise<void> {
    const reader = readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.#ended) return;
      this.#controlWaiting.push(value);
      await this.#handOver();
    }
  }

  async #readPackets(): Promise<void> {
    const reader = this.#session.datagrams.readable.getReader();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.#ended) return;
      this.#heard_ms = this.#parts.clock.monotonic_ms();
      if (value[0] === APPLICATION) {
        const room = value.length > 1 && (this.#applicationIn.desiredSize ?? 0) > 0;
        if (room) this.#applicationIn.enqueue(value.subarray(1));
        continue;
      }
      if (this.#packetsWaiting.length >= WAITING_MAX) {
        this.#parts.dropped();
        continue;
      }
      this.#packetsWaiting.push(value);
      this.#handOver().catch(() => this.end('link_gone'));
    }
  }

  /** From the session to the host: one batch at a time, of all that has come meanwhile. */
  async #handOver(): Promise<void> {
    if (this.#handing) return;
    this.#handing = true;
    try {
      while (this.#controlWaiting.length + this.#packetsWaiting.length > 0 && !this.#ended) {
        const control = joined(this.#controlWaiting, 0);
        const packets = joined(this.#packetsWaiting, 2);
        this.#controlWaiting = [];
        this.#packetsWaiting = [];
        await this.#parts.host.linkTake(this.link, control, packets);
      }
    } finally {
      this.#handing = false;
    }
  }
}

async function firstStream(session: Session, peer: string | undefined): Promise<BidirectionalStream> {
  if (peer !== undefined) return session.createBidirectionalStream();
  const reader = session.incomingBidirectionalStreams.getReader();
  try {
    const { value } = await reader.read();
    if (value === undefined) throw errorOf('link_gone', 'the session ended before its link began');
    return value;
  } finally {
    reader.releaseLock();
  }
}

/** One after the other, each behind its length in `head` bytes. */
function joined(parts: Uint8Array[], head: 0 | 2): Uint8Array {
  let length = 0;
  for (const part of parts) length += head + part.length;
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    if (head === 2) {
      all[at] = part.length >> 8;
      all[at + 1] = part.length;
    }
    all.set(part, at + head);
    at += head + part.length;
  }
  return all;
}
