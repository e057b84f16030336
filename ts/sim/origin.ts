/**
 * Origins behind simulated exits. A name says what they do: `echo-KEY.test` checks and returns what comes, `bytes-KEY-COUNT.test`
 * sends `COUNT` bytes, `refused.test` refuses.
 *
 * Invariant: what an origin gets on one connection is a beginning of the stream that its client sends, or it is a fault.
 */
import { WayfareError } from '../base/errors.js';
import type { Dialler, OriginConnection } from '../host/ports.js';
import { Pattern } from './pattern.js';

const CHUNK_BYTES = 16 * 1024;
/** What an echo holds before it takes no more. */
const ECHO_BYTES_MAX = 64 * 1024;

export interface OriginParts {
  address: string;
  /** Something that may not be. */
  fault(what: string): void;
}

export class SimOrigins implements Dialler {
  readonly #parts: OriginParts;
  #port = 40_000;
  #open = 0;

  constructor(parts: OriginParts) {
    this.#parts = parts;
  }

  /** Connections that are not over. */
  get open(): number {
    return this.#open;
  }

  async connect(host: string): Promise<OriginConnection> {
    const [, kind, key = '0', count = '0'] = /^(echo|bytes)-(\d+)(?:-(\d+))?\.test$/.exec(host) ?? [];
    if (kind === undefined) throw new WayfareError('exit_connect_failed', 'the destination refused');
    this.#open += 1;
    this.#port += 1;
    const over = () => {
      this.#open -= 1;
    };
    const local = `${this.#parts.address}:${this.#port}`;
    const pattern = new Pattern(Number(key));
    if (kind === 'bytes') return new Bytes(local, pattern, Number(count), over);
    return new Echo(local, pattern, (at) => this.#parts.fault(`${host} got another byte ${at} than was sent`), over);
  }
}

/** What both kinds share: an end that comes once. */
abstract class Origin implements OriginConnection {
  readonly local: string;
  protected broken = false;
  #over: (() => void) | null;

  constructor(local: string, over: () => void) {
    this.local = local;
    this.#over = over;
  }

  abstract read(): Promise<Uint8Array | null>;
  abstract write(data: Uint8Array): Promise<void>;
  abstract finish(): void;

  reset(): void {
    this.broken = true;
    this.end();
  }

  protected end(): void {
    this.#over?.();
    this.#over = null;
  }

  protected check(): void {
    if (this.broken) throw new WayfareError('flow_reset', 'the origin broke off');
  }
}

class Bytes extends Origin {
  readonly #pattern: Pattern;
  readonly #count: number;
  #at = 0;
  #finished = false;

  constructor(local: string, pattern: Pattern, count: number, over: () => void) {
    super(local, over);
    this.#pattern = pattern;
    this.#count = count;
  }

  async read(): Promise<Uint8Array | null> {
    this.check();
    const length = Math.min(CHUNK_BYTES, this.#count - this.#at);
    if (length === 0) {
      if (this.#finished) this.end();
      this.#at = this.#count;
      return null;
    }
    const bytes = this.#pattern.bytes(this.#at, length);
    this.#at += length;
    return bytes;
  }

  async write(): Promise<void> {
    this.check();
  }

  finish(): void {
    this.#finished = true;
    if (this.#at === this.#count) this.end();
  }
}

class Echo extends Origin {
  readonly #pattern: Pattern;
  readonly #fault: (at: number) => void;
  #received = 0;
  #held: Uint8Array[] = [];
  #held_bytes = 0;
  #finished = false;
  #reader: (() => void) | null = null;
  #writer: (() => void) | null = null;

  constructor(local: string, pattern: Pattern, fault: (at: number) => void, over: () => void) {
    super(local, over);
    this.#pattern = pattern;
    this.#fault = fault;
  }

  async read(): Promise<Uint8Array | null> {
    for (;;) {
      this.check();
      const chunk = this.#held.shift();
      if (chunk !== undefined) {
        this.#held_bytes -= chunk.length;
        this.#wake();
        return chunk;
      }
      if (this.#finished) {
        this.end();
        return null;
      }
      await new Promise<void>((resolve) => {
        this.#reader = resolve;
      });
    }
  }

  async write(data: Uint8Array): Promise<void> {
    const at = this.#pattern.firstDifference(this.#received, data);
    if (at >= 0) this.#fault(at);
    this.#received += data.length;
    this.#held.push(data);
    this.#held_bytes += data.length;
    this.#wake();
    while (this.#held_bytes > ECHO_BYTES_MAX && !this.broken) {
      await new Promise<void>((resolve) => {
        this.#writer = resolve;
      });
    }
    this.check();
  }

  finish(): void {
    this.#finished = true;
    this.#wake();
  }

  override reset(): void {
    super.reset();
    this.#wake();
  }

  #wake(): void {
    const waiting = [this.#reader, this.#writer];
    this.#reader = null;
    this.#writer = null;
    for (const wake of waiting) wake?.();
  }
}
