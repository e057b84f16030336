/**
 * A session over two simulated paths: the contract that every `Session` keeps (ts/testing/session.ts), with the weather of the
 * paths in between.
 *
 * A side that hears nothing for `IDLE_MS` loses the session, as QUIC does; then the other hears nothing either.
 */
import { WayfareError } from '../base/errors.js';
import type { Timer } from '../base/ports.js';
import type { BidirectionalStream, CloseInfo, DatagramDuplex, Session } from '../transport/session.js';
import type { Path } from './path.js';
import type { VirtualTime } from './time.js';

/** Datagrams that a side was given. */
export interface Given {
  arrived: number;
  overflowed: number;
}

const IDLE_MS = 3_000;
const STREAM_WINDOW_BYTES = 256 * 1024;
const DATAGRAMS_MAX = 1024;

export class SimSession implements Session {
  readonly ready = Promise.resolve();
  readonly closed: Promise<CloseInfo>;
  readonly datagrams: DatagramDuplex;
  readonly incomingBidirectionalStreams: ReadableStream<BidirectionalStream>;
  readonly #time: VirtualTime;
  /** Datagrams that arrived, and of those the ones that found the queue full. */
  readonly #given: Given;
  /** From here to there. */
  readonly #path: Path;
  #peer: SimSession | null = null;
  #open = true;
  #silence: Timer | null = null;
  #resolveClosed!: (info: CloseInfo) => void;
  #rejectClosed!: (error: unknown) => void;
  #incoming!: ReadableStreamDefaultController<BidirectionalStream>;
  #datagramsIn!: ReadableStreamDefaultController<Uint8Array>;
  readonly #pipes = new Set<Pipe>();

  constructor(time: VirtualTime, path: Path, mtu: number, given: Given) {
    this.#given = given;
    this.#time = time;
    this.#path = path;
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    this.closed.catch(() => {});
    this.incomingBidirectionalStreams = new ReadableStream({
      start: (controller) => {
        this.#incoming = controller;
      },
    });
    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#datagramsIn = controller;
        },
      },
      { highWaterMark: DATAGRAMS_MAX },
    );
    const writable = new WritableStream<Uint8Array>({
      write: (data) => {
        if (data.length > mtu || !this.#open) return;
        const copy = data.slice();
        this.#path.datagram(copy.length, () => this.#peer?.takeDatagram(copy));
      },
    });
    this.datagrams = { readable, writable, maxDatagramSize: mtu };
  }

  static pair(
    time: VirtualTime,
    there: Path,
    back: Path,
    mtu: number,
    givenHere: Given = { arrived: 0, overflowed: 0 },
    givenThere: Given = { arrived: 0, overflowed: 0 },
  ): [SimSession, SimSession] {
    const a = new SimSession(time, there, mtu, givenHere);
    const b = new SimSession(time, back, mtu, givenThere);
    a.#peer = b;
    b.#peer = a;
    return [a, b];
  }

  get open(): boolean {
    return this.#open;
  }

  close(info: CloseInfo = {}): void {
    if (!this.#open) return;
    const peer = this.#peer;
    this.#end(info, null);
    this.#path.reliable(() => peer?.hearEnd(info));
    peer?.listen();
  }

  async createBidirectionalStream(): Promise<BidirectionalStream> {
    const peer = this.#peer;
    if (!this.#open || peer === null) throw gone();
    const there = new Pipe(this, peer, this.#path);
    const back = new Pipe(peer, this, peer.#path);
    for (const pipe of [there, back]) {
      this.#pipes.add(pipe);
      peer.#pipes.add(pipe);
    }
    this.#path.reliable(() => peer.#takeStream({ readable: there.readable, writable: back.writable }));
    return { readable: back.readable, writable: there.writable };
  }

  takeDatagram(data: Uint8Array): void {
    if (!this.#open) return;
    this.#given.arrived += 1;
    if ((this.#datagramsIn.desiredSize ?? 0) > 0) this.#datagramsIn.enqueue(data);
    else this.#given.overflowed += 1;
  }

  /** The path or the peer changed: begins to wait where nothing can come any more, and stops where it can. */
  listen(): void {
    const peer = this.#peer;
    if (!this.#open || peer === null) return;
    if (peer.#open && !peer.#path.blocked) {
      this.#silence?.cancel();
      this.#silence = null;
      return;
    }
    this.#silence ??= this.#time.schedule(IDLE_MS * 1000, () => this.lose());
  }

  /** The peer has closed it. */
  hearEnd(info: CloseInfo): void {
    this.#end(info, null);
  }

  /** This side loses the session; the other will hear no more. */
  lose(): void {
    this.#end({}, new WayfareError('timeout', 'the session was lost'));
    this.#peer?.listen();
  }

  /** This side's node is gone: nothing of it runs on. */
  vanish(): void {
    this.#open = false;
    this.#silence?.cancel();
    this.#peer?.listen();
  }

  #takeStream(stream: BidirectionalStream): void {
    if (this.#open) this.#incoming.enqueue(stream);
  }

  #end(info: CloseInfo, error: unknown): void {
    if (!this.#open) return;
    this.#open = false;
    this.#silence?.cancel();
    for (const pipe of this.#pipes) pipe.fail(this, error ?? gone());
    this.#pipes.clear();
    if (error === null) {
      this.#incoming.close();
      this.#datagramsIn.close();
      this.#resolveClosed(info);
    } else {
      this.#incoming.error(error);
      this.#datagramsIn.error(error);
      this.#rejectClosed(error);
    }
  }
}

const gone = () => new WayfareError('link_gone', 'the session is closed');

/** One direction of a stream. What a side that is gone still does reaches nobody. */
class Pipe {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  readonly #sender: SimSession;
  readonly #receiver: SimSession;
  readonly #path: Path;
  readonly #arrived: Uint8Array[] = [];
  #input!: WritableStreamDefaultController;
  #output!: ReadableStreamDefaultController<Uint8Array>;
  #inFlight_bytes = 0;
  #finished = false;
  #readOver = false;
  #writeOver = false;
  #reader: (() => void) | null = null;
  #writer: (() => void) | null = null;

  constructor(sender: SimSession, receiver: SimSession, path: Path) {
    this.#sender = sender;
    this.#receiver = receiver;
    this.#path = path;
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#output = controller;
        },
        pull: () => this.#pull(),
        cancel: (reason) => {
          this.#readOver = true;
          if (receiver.open) this.#failWriter(reason ?? gone());
        },
      },
      { highWaterMark: 0 },
    );
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#input = controller;
      },
      write: (chunk) => this.#write(chunk.slice()),
      close: () =>
        this.#send(() => {
          this.#finished = true;
          this.#wakeReader();
        }),
      abort: (reason) => this.#send(() => this.#failReader(reason ?? gone())),
    });
  }

  /** The session has ended at this side. */
  fail(side: SimSession, error: unknown): void {
    if (side === this.#sender) this.#failWriter(error);
    else this.#failReader(error);
  }

  #send(deliver: () => void): void {
    if (!this.#sender.open) return;
    this.#path.reliable(() => {
      if (this.#receiver.open && !this.#readOver) deliver();
    });
  }

  #failWriter(error: unknown): void {
    if (this.#writeOver) return;
    this.#writeOver = true;
    this.#input.error(error);
    this.#writer?.();
  }

  #failReader(error: unknown): void {
    if (this.#readOver) return;
    this.#readOver = true;
    this.#output.error(error);
    this.#wakeReader();
  }

  async #write(chunk: Uint8Array): Promise<void> {
    this.#inFlight_bytes += chunk.length;
    this.#send(() => {
      this.#arrived.push(chunk);
      this.#wakeReader();
    });
    while (this.#inFlight_bytes > STREAM_WINDOW_BYTES && !this.#writeOver) {
      await new Promise<void>((resolve) => {
        this.#writer = resolve;
      });
    }
  }

  async #pull(): Promise<void> {
    while (this.#arrived.length === 0 && !this.#finished && !this.#readOver) {
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
    }
    if (this.#readOver) return;
    const chunk = this.#arrived.shift();
    if (chunk === undefined) {
      this.#readOver = true;
      return this.#output.close();
    }
    this.#output.enqueue(chunk);
    this.#inFlight_bytes -= chunk.length;
    const writer = this.#writer;
    this.#writer = null;
    writer?.();
  }

  #wakeReader(): void {
    const reader = this.#reader;
    this.#reader = null;
    reader?.();
  }
}
