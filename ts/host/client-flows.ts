/** Flows that JavaScript holds, with what `NodeHost` tells of them: counts, and how each ended. */
import { errorOf, UsageError } from '../base/errors.js';
import type { Clock } from '../base/ports.js';
import type { FlowId, HostEvent, HostStats } from '../core/host.js';
import { after } from '../core/timing.js';
import { ended } from './errors.js';
import type { EngineFlows } from './flows.js';
import { Waits } from './waits.js';

/** An exit that neither connects nor refuses is given up after this. */
const OPEN_WITHIN_MS = 30_000;
/** How a flow ends that both sides finished. */
const DONE = 'done';

interface ClientFlow {
  received: number;
  sent: number;
  readEnded: boolean;
  writeEnded: boolean;
  opened: boolean;
}

export interface ClientFlowsParts {
  flows: EngineFlows;
  clock: Clock;
  tell(event: HostEvent): void;
}

export class ClientFlows {
  readonly stats: HostStats['client'] = { flows_open: 0, flows_total: 0, bytes_in: 0, bytes_out: 0 };
  readonly #parts: ClientFlowsParts;
  readonly #held = new Map<FlowId, ClientFlow>();
  readonly #waits = new Waits<string>();

  constructor(parts: ClientFlowsParts) {
    this.#parts = parts;
  }

  /** The engine has asked the exit for `flow`; resolves when that has connected. */
  async open(flow: FlowId): Promise<{ flow: FlowId; local: string }> {
    const { flows, clock } = this.#parts;
    this.#held.set(flow, { received: 0, sent: 0, readEnded: false, writeEnded: false, opened: false });
    this.stats.flows_open += 1;
    this.stats.flows_total += 1;
    flows.hold(flow, (reason) => this.#end(flow, reason, false));
    const cancel = after(clock, OPEN_WITHIN_MS, () => this.#end(flow, 'timeout', true));
    try {
      return { flow, local: await this.#waits.add(flow) };
    } finally {
      cancel();
    }
  }

  opened(flow: FlowId, local: string): void {
    const held = this.#held.get(flow);
    if (held === undefined) return;
    held.opened = true;
    this.#waits.resolve(flow, local);
  }

  async read(flow: FlowId): Promise<Uint8Array | null> {
    const held = this.#get(flow);
    if (held.readEnded) return null;
    const bytes = await this.#parts.flows.read(flow);
    if (bytes === null) {
      held.readEnded = true;
      this.#check(flow, held);
    } else {
      held.received += bytes.length;
      this.stats.bytes_in += bytes.length;
    }
    return bytes;
  }

  async write(flow: FlowId, data: Uint8Array): Promise<void> {
    const held = this.#get(flow);
    if (held.writeEnded) throw new UsageError('argument_invalid', 'the flow was finished before');
    await this.#parts.flows.write(flow, data);
    held.sent += data.length;
    this.stats.bytes_out += data.length;
  }

  finish(flow: FlowId): void {
    const held = this.#held.get(flow);
    if (held === undefined || held.writeEnded) return;
    this.#parts.flows.finish(flow);
    held.writeEnded = true;
    this.#check(flow, held);
  }

  reset(flow: FlowId): void {
    this.#end(flow, 'flow_reset', true);
  }

  closeAll(error: unknown): void {
    this.#waits.rejectAll(error);
    this.#held.clear();
  }

  #get(flow: FlowId): ClientFlow {
    const held = this.#held.get(flow);
    if (held === undefined) throw errorOf('flow_reset', `there is no flow ${flow}`);
    return held;
  }

  #check(flow: FlowId, held: ClientFlow): void {
    if (held.readEnded && held.writeEnded) this.#end(flow, DONE, false);
  }

  #end(flow: FlowId, reason: string, reset: boolean): void {
    const held = this.#held.get(flow);
    if (held === undefined) return;
    this.#held.delete(flow);
    this.stats.flows_open -= 1;
    this.#parts.flows.release(flow, reset);
    this.#waits.reject(flow, ended('the exit did not connect', reason));
    if (!held.opened) return;
    this.#parts.tell({ type: 'flow_closed', flow, reason, received: held.received, sent: held.sent });
  }
}
