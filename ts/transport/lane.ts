/**
 * One stream of a reliable session, both directions.
 *
 * Invariant: a writer never sends more than its reader has given room for; a direction that is over stays over.
 */
import { WayfareError } from '../base/errors.js';
import type { BidirectionalStream } from './session.js';

/** What a lane sends through. */
export interface LaneFrames {
  readonly dataMax: number;
  data(stream: number, bytes: Uint8Array): void;
  finish(stream: number): void;
  reset(stream: number, code: number): void;
  stop(stream: number, code: number): void;
  room(stream: number, bytes: number): void;
  /** So much more (or less) is held for readers of this session. */
  held(bytes: number): void;
  /** Both directions are over. */
  over(stream: number): void;
}

/** What a writer may be ahead of its reader. */
const WINDOW_BYTES = 256 * 1024;
const ROOM_EVERY_BYTES = WINDOW_BYTES / 4;
const REFUSED_CODE = 1;

export class Lane {
  readonly streams: BidirectionalStream;
  readonly #stream: number;
  readonly #frames: LaneFrames;
  #held: Uint8Array[] = [];
  #readOver = false;
  #writeOver = false;
  /** Why nothing more can be read or written. */
  #readError: unknown = null;
  #writeError: unknown = null;
  #finished = false;
  #cancelled = false;
  /** What the peer may still send, and what was read since it was told. */
  #mayCome_bytes = WINDOW_BYTES;
  #read_bytes = 0;
  #maySend_bytes = WINDOW_BYTES;
  #wakeReader: (() => void) | null = null;
  #wakeWriter: (() => void) | null = null;
  #writable!: WritableStreamDefaultController;

  constructor(stream: number, frames: LaneFrames) {
    this.#stream = stream;
    this.#frames = frames;
    const readable = new ReadableStream<Uint8Array>(
      { pull: (controller) => this.#pull(controller), cancel: (reason) => this.#cancel(codeOf(reason)) },
      { highWaterMark: 0 },
    );
    const writable = new WritableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#writable = controller;
        },
        write: (chunk) => this.#write(chunk),
        close: () => this.#finish(),
        abort: (reason) => this.#abort(codeOf(reason)),
      },
      { highWaterMark: 1 },
    );
    this.streams = { readable, writable };
  }

  /** Nobody takes this stream. */
  refuse(): void {
    this.#cancel(REFUSED_CODE);
    this.#abort(REFUSED_CODE);
  }

  /** Whether there was room for it. */
  takeData(bytes: Uint8Array): boolean {
    this.#mayCome_bytes -= bytes.length;
    if (this.#mayCome_bytes < 0) return false;
    if (this.#cancelled || this.#readOver) return true;
    this.#held.push(bytes.slice());
    this.#frames.held(bytes.length);
    this.#wakeReader?.();
    return true;
  }

  takeFinish(): void {
    this.#finished = true;
    this.#wakeReader?.();
    this.#endRead();
  }

  takeReset(code: number): void {
    this.#forget();
    this.#readError ??= new WayfareError('flow_reset', `the peer broke the stream off, code ${code}`);
    this.#wakeReader?.();
    this.#endRead();
  }

  takeStop(code: number): void {
    if (this.#writeOver) return;
    this.#stopWriting(new WayfareError('flow_reset', `the peer reads no more of the stream, code ${code}`));
    this.#frames.reset(this.#stream, code);
    this.#endWrite();
  }

  takeRoom(bytes: number): void {
    this.#maySend_bytes += bytes;
    this.#wakeWriter?.();
  }

  /** The session is over. */
  fail(error: unknown): void {
    this.#held = [];
    if (!this.#finished) this.#readError ??= error;
    this.#wakeReader?.();
    this.#stopWriting(error);
  }

  #forget(): void {
    for (const chunk of this.#held.splice(0)) this.#frames.held(-chunk.length);
  }

  #stopWriting(error: unknown): void {
    this.#writeError ??= error;
    this.#writable.error(this.#writeError);
    this.#wakeWriter?.();
  }

  async #pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    for (;;) {
      const chunk = this.#held.shift();
      if (chunk !== undefined) {
        this.#frames.held(-chunk.length);
        this.#giveRoom(chunk.length);
        controller.enqueue(chunk);
        return;
      }
      if (this.#readError !== null) throw this.#readError;
      if (this.#finished) {
        controller.close();
        return;
      }
      if (this.#cancelled) return;
      await new Promise<void>((resolve) => {
        this.#wakeReader = resolve;
      });
    }
  }

  #giveRoom(bytes: number): void {
    this.#read_bytes += bytes;
    if (this.#readOver || this.#read_bytes < ROOM_EVERY_BYTES) return;
    this.#mayCome_bytes += this.#read_bytes;
    this.#frames.room(this.#stream, this.#read_bytes);
    this.#read_bytes = 0;
  }

  #cancel(code: number): void {
    this.#forget();
    if (this.#cancelled || this.#readOver) return;
    this.#cancelled = true;
    this.#wakeReader?.();
    // The writer's answer ends this direction: until then what is under way still comes.
    this.#frames.stop(this.#stream, code);
  }

  async #write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.length; ) {
      if (this.#writeError !== null) throw this.#writeError;
      const size = Math.min(chunk.length - at, this.#maySend_bytes, this.#frames.dataMax);
      if (size === 0) {
        await new Promise<void>((resolve) => {
          this.#wakeWriter = resolve;
        });
        continue;
      }
      this.#maySend_bytes -= size;
      this.#frames.data(this.#stream, chunk.subarray(at, at + size));
      at += size;
    }
  }

  #finish(): void {
    if (this.#writeOver) return;
    this.#frames.finish(this.#stream);
    this.#endWrite();
  }

  #abort(code: number): void {
    if (this.#writeOver) return;
    this.#writeError ??= new WayfareError('flow_reset', 'the stream was broken off');
    this.#wakeWriter?.();
    this.#frames.reset(this.#stream, code);
    this.#endWrite();
  }

  #endRead(): void {
    this.#readOver = true;
    if (this.#writeOver) this.#frames.over(this.#stream);
  }

  #endWrite(): void {
    this.#writeOver = true;
    if (this.#readOver) this.#frames.over(this.#stream);
  }
}

function codeOf(reason: unknown): number {
  const code = (reason as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'number' && code >= 0 && code <= 0xffffffff ? Math.floor(code) : 0;
}
