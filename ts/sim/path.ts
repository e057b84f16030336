/**
 * One direction between two nodes: what is sent into it comes out late, twice, in another order, or not at all.
 *
 * Invariant: every datagram sent is delivered, lost or blocked, and counted as what became of it.
 */
import type { Timer } from '../base/ports.js';
import type { SeededRandom } from './random.js';
import type { VirtualTime } from './time.js';
import type { Trace } from './trace.js';

export interface Weather {
  latency_ms: number;
  /** Up to so much more, drawn anew for each. */
  jitter_ms: number;
  /** Probabilities. */
  loss: number;
  duplicate: number;
  reorder: number;
}

export const CLEAR: Omit<Weather, 'latency_ms'> = { jitter_ms: 0, loss: 0, duplicate: 0, reorder: 0 };

/** A lost piece of a stream is sent again after this, if its round trip is not longer. */
const RESEND_MS = 50;

export interface PathCounts {
  sent: number;
  duplicated: number;
  lost: number;
  blocked: number;
  delivered: number;
}

export class Path {
  weather: Weather;
  readonly counts: PathCounts = { sent: 0, duplicated: 0, lost: 0, blocked: 0, delivered: 0 };
  readonly #name: string;
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  #blocked = false;
  /** Pieces of streams on their way, in order. */
  readonly #pieces: { at_us: number; deliver: () => void }[] = [];
  #timer: Timer | null = null;
  #lastDatagram_us = 0;

  constructor(name: string, time: VirtualTime, random: SeededRandom, trace: Trace, weather: Weather) {
    this.#name = name;
    this.#time = time;
    this.#random = random;
    this.#trace = trace;
    this.weather = weather;
  }

  get blocked(): boolean {
    return this.#blocked;
  }

  block(): void {
    this.#blocked = true;
  }

  unblock(): void {
    this.#blocked = false;
    const at_us = this.#time.now_us + this.delay_us();
    for (const piece of this.#pieces) piece.at_us = Math.max(piece.at_us, at_us);
    this.#arm();
  }

  datagram(bytes: number, deliver: () => void): void {
    this.counts.sent += 1;
    if (this.#blocked) {
      this.counts.blocked += 1;
      this.#trace.record(`${this.#name} datagram ${bytes} blocked`);
      return;
    }
    if (this.#random.chance(this.weather.loss)) {
      this.counts.lost += 1;
      this.#trace.record(`${this.#name} datagram ${bytes} lost`);
      return;
    }
    this.#deliver(bytes, deliver);
    if (this.#random.chance(this.weather.duplicate)) {
      this.counts.duplicated += 1;
      this.#deliver(bytes, deliver);
    }
  }

  /** A piece of a stream, in order and for certain: what is lost is sent again. */
  reliable(deliver: () => void): void {
    let delay_us = this.delay_us();
    while (this.#random.chance(this.weather.loss)) delay_us += this.delay_us() + RESEND_MS * 1000;
    const last_us = this.#pieces.at(-1)?.at_us ?? 0;
    this.#pieces.push({ at_us: Math.max(last_us, this.#time.now_us + delay_us), deliver });
    if (this.#pieces.length === 1) this.#arm();
  }

  delay_us(): number {
    return Math.round((this.weather.latency_ms + this.weather.jitter_ms * this.#random.unit()) * 1000);
  }

  #deliver(bytes: number, deliver: () => void): void {
    const late = this.#random.chance(this.weather.reorder);
    let at_us = this.#time.now_us + this.delay_us();
    if (late) at_us += Math.round(this.weather.latency_ms * this.#random.between(500, 3000));
    else this.#lastDatagram_us = at_us = Math.max(at_us, this.#lastDatagram_us);
    this.#time.schedule(at_us - this.#time.now_us, () => {
      if (this.#blocked) {
        this.counts.blocked += 1;
        return this.#trace.record(`${this.#name} datagram ${bytes} blocked`);
      }
      this.counts.delivered += 1;
      this.#trace.record(`${this.#name} datagram ${bytes}${late ? ' late' : ''}`);
      deliver();
    });
  }

  #arm(): void {
    this.#timer?.cancel();
    const first = this.#pieces[0];
    if (first === undefined || this.#blocked) return;
    this.#timer = this.#time.schedule(first.at_us - this.#time.now_us, () => {
      if (this.#blocked) return;
      while (this.#pieces[0] !== undefined && this.#pieces[0].at_us <= this.#time.now_us)
        this.#pieces.shift()?.deliver();
      this.#arm();
    });
  }
}
