/**
 * The engine's turns. One turn hands in what has arrived, sends what the engine wants sent, tells what it has to tell, and sets
 * one timer; everything that changes the engine asks for a turn. So packets cross in batches.
 *
 * Invariant: after `close` no call reaches the engine.
 */
import type { Clock, Timer } from '../base/ports.js';
import type { EngineBinding, EngineEvent } from '../core/engine.js';
import { OUTPUT_BYTES, type OutputTaker, takeRecords } from './outputs.js';

export interface PumpParts {
  engine: EngineBinding;
  clock: Clock;
  /** Of the engine's microseconds. */
  origin_ms: number;
  defer(turn: () => void): void;
  /** Hands the engine what has arrived. */
  handIn(now_us: number): void;
  send: OutputTaker;
  event(event: EngineEvent): void;
  /** The turn is over: tell what it brought. */
  flush(): void;
}

export class Pump {
  readonly #parts: PumpParts;
  readonly #outputs = new Uint8Array(OUTPUT_BYTES);
  #coming = false;
  #closed = false;
  #due_us = -1;
  #timer: Timer | null = null;

  constructor(parts: PumpParts) {
    this.#parts = parts;
  }

  now_us(): number {
    return Math.floor((this.#parts.clock.monotonic_ms() - this.#parts.origin_ms) * 1000);
  }

  /** Something changed: a turn comes. */
  wake(): void {
    if (this.#coming || this.#closed) return;
    this.#coming = true;
    this.#parts.defer(() => {
      this.#coming = false;
      this.turn();
    });
  }

  turn(): void {
    if (this.#closed) return;
    const { engine, clock, handIn, flush } = this.#parts;
    const now_us = this.now_us();
    handIn(now_us);
    if (this.#due_us >= 0 && this.#due_us <= now_us) {
      this.#due_us = -1;
      engine.handleTimeout(now_us, Math.floor(clock.now_ms()));
    }
    while (this.#takeOutputs(now_us) || this.#takeEvents()) {}
    this.#arm(engine.nextTimeout(now_us), now_us);
    flush();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #takeOutputs(now_us: number): boolean {
    const length = this.#parts.engine.outputs(now_us, this.#outputs);
    takeRecords(this.#outputs, length, this.#parts.send);
    return length > 0;
  }

  #takeEvents(): boolean {
    const json = this.#parts.engine.events();
    if (json === '') return false;
    for (const event of JSON.parse(json) as EngineEvent[]) this.#parts.event(event);
    return true;
  }

  #arm(due_us: number, now_us: number): void {
    if (due_us === this.#due_us && this.#timer !== null) return;
    this.#timer?.cancel();
    this.#timer = null;
    this.#due_us = due_us;
    if (due_us < 0) return;
    this.#timer = this.#parts.clock.setTimeout(
      () => {
        this.#timer = null;
        this.turn();
      },
      Math.max(0, due_us - now_us) / 1000,
    );
  }
}
