/**
 * A flow as a `stream.Duplex` with as much of `net.Socket` as Node's own HTTP and TLS clients call.
 *
 * Invariant: one read and one write are under way at most, so backpressure reaches the origin; whatever ends the stream early,
 * the flow is reset and the error is a `WayfareError`; each direction ends by itself.
 */
import { Duplex } from 'node:stream';
import { AbortedError, asWayfareError, UsageError } from '../base/errors.js';
import type { DialedConnection } from '../runtime/dial.js';

/** A timer's delay is a signed 32-bit number of milliseconds. */
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

/** What becomes of the stream at its end. */
export interface FlowDuplexOptions {
  /** Keeps our side open when the destination has ended its own. Default `false`, as with `net.connect()`. */
  allowHalfOpen?: boolean;
}

/** A flow as web streams; one that somebody opened to this node is open from its beginning. */
export type FlowStreams = Omit<DialedConnection, 'opened'> & Partial<Pick<DialedConnection, 'opened'>>;

/**
 * What `node.dialNode()` gives: a TCP connection from an exit to a destination, as Node programs expect one.
 *
 * Emits `connect` and `ready` when the exit has connected, `timeout` after `setTimeout()` without a byte in either direction,
 * `error` with a `WayfareError`, and `close`. What is written before `connect` is sent after it.
 */
export class FlowDuplex extends Duplex {
  /** Whether the exit has yet to connect. */
  connecting: boolean;
  /** The idle time in milliseconds after which `timeout` is emitted; 0 for never. */
  timeout = 0;
  /** Bytes that the destination has sent and this stream has taken. */
  bytesRead = 0;
  /** Bytes that were handed to the flow. */
  bytesWritten = 0;
  readonly #connection: FlowStreams;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #exitAddress: string | undefined;
  #idle: NodeJS.Timeout | undefined;

  /**
   * Use `node.dialNode()`.
   * @internal
   */
  constructor(connection: FlowStreams, options: FlowDuplexOptions = {}) {
    super({ allowHalfOpen: options.allowHalfOpen ?? false });
    this.#connection = connection;
    this.#reader = connection.readable.getReader();
    this.#writer = connection.writable.getWriter();
    for (const promise of [this.#reader.closed, this.#writer.closed, this.#writer.ready]) promise.catch(() => {});
    this.connecting = connection.opened !== undefined;
    connection.opened?.then(
      ({ local }) => {
        if (this.destroyed) return;
        this.connecting = false;
        this.#exitAddress = local;
        this.#touch();
        this.emit('connect');
        this.emit('ready');
      },
      (error) => this.#fail(error),
    );
    connection.closed.catch((error) => this.#fail(error));
  }

  /** The exit's own socket address towards the destination, `ip:port`; `undefined` until `connect`. */
  get exitAddress(): string | undefined {
    return this.#exitAddress;
  }

  /** As `net.Socket` says it: `opening`, `open`, `readOnly`, `writeOnly` or `closed`. */
  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.destroyed) return 'closed';
    if (this.connecting) return 'opening';
    if (this.readable && this.writable) return 'open';
    return this.readable ? 'readOnly' : this.writable ? 'writeOnly' : 'closed';
  }

  /** Nothing is written before the exit has connected. */
  get pending(): boolean {
    return this.connecting;
  }

  /**
   * Emits `timeout` once nothing has been read or written for `timeout_ms`; the stream goes on, closing it is the caller's.
   * 0 switches it off. `listener` is called once, or taken away where the time is 0.
   */
  setTimeout(timeout_ms: number, listener?: () => void): this {
    if (!(timeout_ms >= 0))
      throw new UsageError('argument_invalid', `a timeout cannot be ${timeout_ms}; valid: milliseconds from 0`);
    this.timeout = Math.min(timeout_ms, TIMEOUT_MS_MAX);
    if (listener !== undefined) {
      if (timeout_ms === 0) this.removeListener('timeout', listener);
      else this.once('timeout', listener);
    }
    this.#touch();
    return this;
  }

  /** Nothing to set: links are kept alive by themselves, and no TCP connection leads from here to the destination. */
  setKeepAlive(_enable?: boolean, _initialDelay_ms?: number): this {
    return this;
  }

  /** Nothing to set: what is written leaves at once. */
  setNoDelay(_noDelay?: boolean): this {
    return this;
  }

  /** Nothing to set: the node keeps the process alive, until it is closed. */
  ref(): this {
    return this;
  }

  /** Nothing to set: the node keeps the process alive, until it is closed. */
  unref(): this {
    return this;
  }

  /** Ends our side, and destroys the stream once that is sent. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  /** Destroys the stream, so that the destination sees its connection reset. */
  resetAndDestroy(): this {
    return this.destroy();
  }

  /** @internal */
  override _read(): void {
    this.#reader.read().then(
      ({ value, done }) => {
        this.#touch();
        if (done) return void this.push(null);
        this.bytesRead += value.length;
        this.push(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      },
      (error) => this.#fail(error),
    );
  }

  /** @internal */
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#touch();
    this.#writer.write(chunk).then(
      () => {
        this.bytesWritten += chunk.length;
        this.#touch();
        done();
      },
      (error) => done(asWayfareError(error, 'flow_failed')),
    );
  }

  /**
   * What piled up goes in one piece: each write crosses to the native core.
   * @internal
   */
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', done);
  }

  /** @internal */
  override _final(done: (error?: Error | null) => void): void {
    this.#writer.close().then(
      () => done(),
      (error) => done(asWayfareError(error, 'flow_failed')),
    );
  }

  /** @internal */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    clearTimeout(this.#idle);
    this.connecting = false;
    // A caller's own error stays what it is, as everywhere in Node; an abort is ours.
    const told =
      error?.name === 'AbortError' ? new AbortedError('aborted', 'the dial was aborted', { cause: error }) : error;
    this.#connection.close().then(() => done(told));
  }

  #fail(error: unknown): void {
    this.destroy(asWayfareError(error, 'flow_failed'));
  }

  #touch(): void {
    clearTimeout(this.#idle);
    if (this.timeout === 0 || this.destroyed) return;
    this.#idle = setTimeout(() => this.emit('timeout'), this.timeout);
    this.#idle.unref();
  }
}
