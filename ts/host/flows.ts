/**
 * Flows on an engine: reading and writing that wait until there is something, or room.
 *
 * Invariant: a flow is released once, when both directions have ended here or it broke; nobody waits on a flow that is gone.
 */
import { errorOf } from '../base/errors.js';
import { type EngineBinding, FLOW_BLOCKED, FLOW_CLOSED, FLOW_FINISHED } from '../core/engine.js';
import type { FlowId } from '../core/host.js';
import { closedError } from './closing.js';
import { ended } from './errors.js';

/** The most one read gives. */
const READ_MAX = 64 * 1024;

interface Slot {
  reader: (() => void) | null;
  writer: (() => void) | null;
  /** Why it ended before its time. */
  closed: string | null;
  onClosed: ((reason: string) => void) | null;
}

export interface FlowParts {
  engine: EngineBinding;
  now_us(): number;
  /** The engine has something to send, perhaps. */
  wake(): void;
}

export class EngineFlows {
  readonly #parts: FlowParts;
  readonly #slots = new Map<FlowId, Slot>();
  readonly #buffer = new Uint8Array(READ_MAX);
  #shut = false;

  constructor(parts: FlowParts) {
    this.#parts = parts;
  }

  /** Watches a flow that the engine has begun; `onClosed` hears when it breaks. */
  hold(flow: FlowId, onClosed: (reason: string) => void): void {
    this.#slots.set(flow, { reader: null, writer: null, closed: null, onClosed });
  }

  readable(flow: FlowId): void {
    take(this.#slots.get(flow), 'reader');
  }

  writable(flow: FlowId): void {
    take(this.#slots.get(flow), 'writer');
  }

  /** The engine says that it broke. */
  closed(flow: FlowId, reason: string): void {
    const slot = this.#slots.get(flow);
    if (slot === undefined) this.#parts.engine.flowRelease(this.#parts.now_us(), flow);
    else this.#break(slot, reason);
  }

  /** What there is, waiting for something; `null` at the end. */
  async read(flow: FlowId): Promise<Uint8Array | null> {
    const slot = this.#get(flow);
    for (;;) {
      // It may have broken while we waited, and been released.
      if (slot.closed !== null) throw this.#broken(slot);
      const count = this.#parts.engine.flowRead(this.#parts.now_us(), flow, this.#buffer);
      if (count === FLOW_FINISHED) return null;
      if (count === FLOW_CLOSED) throw this.#broken(slot);
      if (count !== FLOW_BLOCKED) {
        this.#parts.wake();
        return this.#buffer.slice(0, count);
      }
      await new Promise<void>((resolve) => {
        slot.reader = resolve;
      });
    }
  }

  /** All of it, in as many steps as the flow's window takes. */
  async write(flow: FlowId, data: Uint8Array): Promise<void> {
    const slot = this.#get(flow);
    let left = data;
    while (left.length > 0) {
      if (slot.closed !== null) throw this.#broken(slot);
      const count = this.#parts.engine.flowWrite(this.#parts.now_us(), flow, left);
      if (count === FLOW_CLOSED || count === FLOW_FINISHED) throw this.#broken(slot);
      if (count !== FLOW_BLOCKED) {
        this.#parts.wake();
        left = left.subarray(count);
        continue;
      }
      await new Promise<void>((resolve) => {
        slot.writer = resolve;
      });
    }
  }

  finish(flow: FlowId): void {
    if (!this.#slots.has(flow)) return;
    this.#parts.engine.flowFinish(this.#parts.now_us(), flow);
    this.#parts.wake();
  }

  /** Forgets it; what has not ended is broken off. */
  release(flow: FlowId, reset: boolean): void {
    const slot = this.#slots.get(flow);
    if (slot === undefined) return;
    this.#slots.delete(flow);
    const { engine, now_us, wake } = this.#parts;
    if (reset) engine.flowReset(now_us(), flow);
    else engine.flowRelease(now_us(), flow);
    slot.onClosed = null;
    this.#break(slot, 'flow_reset');
    wake();
  }

  /** The host closes: whoever waits is told. */
  shut(): void {
    this.#shut = true;
    for (const slot of this.#slots.values()) this.#break(slot, 'closed');
    this.#slots.clear();
  }

  #get(flow: FlowId): Slot {
    if (this.#shut) throw closedError();
    const slot = this.#slots.get(flow);
    if (slot === undefined) throw errorOf('flow_reset', 'the flow is gone');
    return slot;
  }

  #break(slot: Slot, reason: string): void {
    if (slot.closed !== null) return;
    slot.closed = reason;
    take(slot, 'reader');
    take(slot, 'writer');
    slot.onClosed?.(reason);
  }

  #broken(slot: Slot): Error {
    return slot.closed === 'closed' ? closedError() : ended('the flow broke', slot.closed ?? 'flow_reset');
  }
}

function take(slot: Slot | undefined, side: 'reader' | 'writer'): void {
  if (slot === undefined) return;
  const wake = slot[side];
  slot[side] = null;
  wake?.();
}
