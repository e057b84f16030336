/**
 * Sessions over anything that carries messages whole and in order, for networks that let no UDP through: streams, datagrams and
 * their end in frames of our own, so that it is the same over HTTP/2 and WebSocket.
 *
 * A message is frames one after the other: `kind u8 | stream u32 | length u16 | bytes`, integers big-endian. Streams are numbered by
 * who opens them, odd ones by the dialler. A writer sends what its reader has given room for, and datagrams as far as earlier
 * ones have arrived, so that neither end holds more than these windows, whatever the carrier buffers.
 *
 * Invariant: what breaks these rules ends the session; a stream is forgotten when both its directions are over.
 */
import { WayfareError } from '../base/errors.js';
import { Lane, type LaneFrames } from './lane.js';
import type { BidirectionalStream, CloseInfo, DatagramDuplex, Session } from './session.js';

/** What moves the messages. */
export interface Carrier {
  /** The largest message it takes, bytes. */
  readonly messageMax: number;
  /** Calls `take` for each message that comes, in order, and `ended` once, when nothing comes any more. */
  start(take: (message: Uint8Array) => void, ended: () => void): void;
  send(message: Uint8Array): void;
  /** Ends it, after what was sent. */
  close(): void;
}

const DATA = 1;
const FINISH = 2;
const RESET = 3;
const STOP = 4;
const ROOM = 5;
const OPEN = 6;
const DATAGRAM = 7;
const ARRIVED = 8;
const CLOSE = 9;

const HEADER_BYTES = 7;
const INCOMING_STREAMS_MAX = 64;
const STREAMS_MAX = 1024;
/** What may wait for the readers of all streams together. */
const HELD_BYTES_MAX = 8 << 20;
const INCOMING_DATAGRAMS_MAX = 2048;
/** One that fits a path of 1,500 bytes: a carrier has no such limit, but packets go on over paths that do. */
const DATAGRAM_BYTES_MAX = 1452;
/** Datagrams under way: what 100 Mbit/s moves in 40 ms. */
const DATAGRAM_WINDOW_BYTES = 512 * 1024;
const ARRIVED_EVERY_BYTES = 64 * 1024;

export class ReliableSession implements Session, LaneFrames {
  readonly ready = Promise.resolve();
  readonly closed: Promise<CloseInfo>;
  readonly datagrams: DatagramDuplex;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  readonly #carrier: Carrier;
  readonly #lanes = new Map<number, Lane>();
  readonly dataMax: number;
  /** The last stream that each side has opened. */
  #opened: number;
  #openedThere: number;
  #incoming!: ReadableStreamDefaultController<BidirectionalStream>;
  #datagramsIn!: ReadableStreamDefaultController<Uint8Array>;
  #resolveClosed!: (info: CloseInfo) => void;
  #rejectClosed!: (error: unknown) => void;
  #over = false;
  #held_bytes = 0;
  #frames: Uint8Array[] = [];
  #framesBytes = 0;
  #flushing = false;
  #underWay_bytes = 0;
  #arrived_bytes = 0;
  #roomForDatagrams: (() => void) | null = null;

  constructor(carrier: Carrier, dialled: boolean) {
    this.#carrier = carrier;
    this.dataMax = Math.min(carrier.messageMax - HEADER_BYTES, 65_535);
    this.#opened = dialled ? -1 : 0;
    this.#openedThere = dialled ? 0 : -1;
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.closed.catch(() => {});
    this.incomingBidirectionalStreams = new ReadableStream<BidirectionalStream>(
      {
        start: (controller) => {
          this.#incoming = controller;
        },
      },
      { highWaterMark: INCOMING_STREAMS_MAX },
    );
    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#datagramsIn = controller;
        },
      },
      { highWaterMark: INCOMING_DATAGRAMS_MAX },
    );
    const writable = new WritableStream<Uint8Array>({ write: (data) => this.#sendDatagram(data) });
    this.datagrams = { readable, writable, maxDatagramSize: DATAGRAM_BYTES_MAX };
    carrier.start(
      (message) => this.#take(message),
      () => this.#end(null),
    );
  }

  close(info: CloseInfo = {}): void {
    if (this.#over) return;
    const reason = new TextEncoder().encode(info.reason ?? '').subarray(0, 1024);
    const said = new Uint8Array(4 + reason.length);
    new DataView(said.buffer).setUint32(0, info.closeCode ?? 0);
    said.set(reason, 4);
    this.#send(CLOSE, 0, said);
    this.#flush();
    this.#end(info);
  }

  /** Breaks it off, as a dead link does. */
  lose(): void {
    this.#end(null);
  }

  async createBidirectionalStream(): Promise<BidirectionalStream> {
    if (this.#over) throw new WayfareError('link_gone', 'the session is over');
    if (this.#lanes.size >= STREAMS_MAX) throw new WayfareError('queue_full', `${STREAMS_MAX} streams are open`);
    this.#opened += 2;
    this.#send(OPEN, this.#opened);
    return this.#lane(this.#opened).streams;
  }

  data(stream: number, bytes: Uint8Array): void {
    this.#send(DATA, stream, bytes);
  }

  finish(stream: number): void {
    this.#send(FINISH, stream);
  }

  reset(stream: number, code: number): void {
    this.#send(RESET, stream, uint32(code));
  }

  stop(stream: number, code: number): void {
    this.#send(STOP, stream, uint32(code));
  }

  room(stream: number, bytes: number): void {
    this.#send(ROOM, stream, uint32(bytes));
  }

  held(bytes: number): void {
    this.#held_bytes += bytes;
    if (this.#held_bytes > HELD_BYTES_MAX) this.#refuse('more waits for readers than a session may hold');
  }

  over(stream: number): void {
    this.#lanes.delete(stream);
  }

  #lane(stream: number): Lane {
    const lane = new Lane(stream, this);
    this.#lanes.set(stream, lane);
    return lane;
  }

  /** Frames of one turn leave together. */
  #send(kind: number, stream: number, bytes: Uint8Array = EMPTY): void {
    if (this.#over) return;
    const frame = new Uint8Array(HEADER_BYTES + bytes.length);
    const view = new DataView(frame.buffer);
    view.setUint8(0, kind);
    view.setUint32(1, stream);
    view.setUint16(5, bytes.length);
    frame.set(bytes, HEADER_BYTES);
    if (this.#framesBytes + frame.length > this.#carrier.messageMax) this.#flush();
    this.#frames.push(frame);
    this.#framesBytes += frame.length;
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#framesBytes === 0 || this.#over) return;
    const message = new Uint8Array(this.#framesBytes);
    let at = 0;
    for (const frame of this.#frames) {
      message.set(frame, at);
      at += frame.length;
    }
    this.#frames = [];
    this.#framesBytes = 0;
    this.#carrier.send(message);
  }

  async #sendDatagram(data: Uint8Array): Promise<void> {
    // The standard: a datagram above the maximum is dropped without a word.
    if (data.length > DATAGRAM_BYTES_MAX) return;
    const bytes = data.slice();
    while (!this.#over && this.#underWay_bytes >= DATAGRAM_WINDOW_BYTES) {
      await new Promise<void>((resolve) => {
        this.#roomForDatagrams = resolve;
      });
    }
    this.#underWay_bytes += bytes.length;
    this.#send(DATAGRAM, 0, bytes);
  }

  #take(message: Uint8Array): void {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    for (let at = 0; at < message.length && !this.#over; ) {
      const from = at + HEADER_BYTES;
      const length = from <= message.length ? view.getUint16(at + 5) : 0;
      if (from + length > message.length) {
        this.#refuse('a frame is longer than its message');
        return;
      }
      this.#frame(view.getUint8(at), view.getUint32(at + 1), message.subarray(from, from + length));
      at = from + length;
    }
  }

  #frame(kind: number, stream: number, bytes: Uint8Array): void {
    switch (kind) {
      case DATAGRAM:
        this.#datagramCame(bytes);
        return;
      case ARRIVED:
        this.#underWay_bytes = Math.max(0, this.#underWay_bytes - read32(bytes));
        this.#roomForDatagrams?.();
        return;
      case CLOSE:
        this.#end({ closeCode: read32(bytes), reason: new TextDecoder().decode(bytes.subarray(4)) });
        return;
      case OPEN:
        this.#openedByPeer(stream);
        return;
    }
    const lane = this.#lanes.get(stream);
    // What was under way when a stream was forgotten is nobody's; what was never opened breaks the rules.
    if (lane === undefined) {
      if (stream > Math.max(this.#opened, this.#openedThere)) this.#refuse('a stream that nobody opened');
      return;
    }
    if (kind === DATA && !lane.takeData(bytes)) this.#refuse('more than there was room for');
    else if (kind === FINISH) lane.takeFinish();
    else if (kind === RESET) lane.takeReset(read32(bytes));
    else if (kind === STOP) lane.takeStop(read32(bytes));
    else if (kind === ROOM) lane.takeRoom(read32(bytes));
    else if (kind !== DATA) this.#refuse(`there is no frame of kind ${kind}`);
  }

  #openedByPeer(stream: number): void {
    if (stream !== this.#openedThere + 2) {
      this.#refuse('a stream out of its turn');
      return;
    }
    this.#openedThere = stream;
    const lane = this.#lane(stream);
    const full = (this.#incoming.desiredSize ?? 0) <= 0 || this.#lanes.size > STREAMS_MAX;
    if (full) lane.refuse();
    else this.#incoming.enqueue(lane.streams);
  }

  #datagramCame(bytes: Uint8Array): void {
    this.#arrived_bytes += bytes.length;
    if (this.#arrived_bytes >= ARRIVED_EVERY_BYTES) {
      this.#send(ARRIVED, 0, uint32(this.#arrived_bytes));
      this.#arrived_bytes = 0;
    }
    // Whoever does not read them loses the newest, as with every session.
    if ((this.#datagramsIn.desiredSize ?? 0) > 0) this.#datagramsIn.enqueue(bytes.slice());
  }

  #refuse(what: string): void {
    this.close({ closeCode: 1, reason: `control_malformed: ${what}` });
  }

  /** `said`: how it was closed; null when it was lost. */
  #end(said: CloseInfo | null): void {
    if (this.#over) return;
    this.#over = true;
    const error = new WayfareError('link_gone', said === null ? 'the session was lost' : 'the session was closed');
    for (const lane of [...this.#lanes.values()]) lane.fail(error);
    this.#lanes.clear();
    this.#roomForDatagrams?.();
    if (said === null) {
      this.#incoming.error(error);
      this.#datagramsIn.error(error);
      this.#rejectClosed(error);
    } else {
      this.#incoming.close();
      this.#datagramsIn.close();
      this.#resolveClosed(said);
    }
    this.#carrier.close();
  }
}

const EMPTY = new Uint8Array(0);

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** Zero where the sender left it out. */
function read32(bytes: Uint8Array): number {
  return bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}
