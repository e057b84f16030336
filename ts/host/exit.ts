/**
 * The exit's side of flows: dial what a client wants, and join both.
 *
 * Invariant: what one side does not take is not read from the other; a flow's slot and its connection end together.
 */
import { asWayfareError } from '../base/errors.js';
import type { Clock } from '../base/ports.js';
import type { EngineBinding } from '../core/engine.js';
import type { ExitRules, FlowId, HostStats } from '../core/host.js';
import { after } from '../core/timing.js';
import type { EngineFlows } from './flows.js';
import type { Dialler, OriginConnection } from './ports.js';

/** An origin that neither answers nor refuses. */
const CONNECT_WITHIN_MS = 10_000;

export interface ExitParts {
  engine: EngineBinding;
  flows: EngineFlows;
  clock: Clock;
  dialler: Dialler | undefined;
  now_us(): number;
  wake(): void;
}

export class ExitDesk {
  rules: ExitRules = {};
  readonly stats: HostStats['exit'] = {
    flows_open: 0,
    flows_total: 0,
    bytes_in: 0,
    bytes_out: 0,
    udp_in: 0,
    udp_out: 0,
  };
  readonly #parts: ExitParts;
  readonly #open = new Map<FlowId, AbortController>();

  constructor(parts: ExitParts) {
    this.#parts = parts;
  }

  /** Serves a flow from the client's request to its end. */
  async serve(flow: FlowId, host: string, port: number): Promise<void> {
    const { engine, flows, now_us, wake } = this.#parts;
    const abort = new AbortController();
    this.#open.set(flow, abort);
    flows.hold(flow, () => abort.abort());
    try {
      const origin = await this.#connect(flow, host, port, abort.signal);
      if (origin === null) return;
      this.stats.flows_open += 1;
      this.stats.flows_total += 1;
      try {
        engine.flowAccept(now_us(), flow, origin.local);
        wake();
        await this.#join(flow, origin, abort.signal);
      } finally {
        this.stats.flows_open -= 1;
      }
    } finally {
      this.#open.delete(flow);
      flows.release(flow, false);
    }
  }

  /** Breaks off every connection to origins. */
  close(): void {
    for (const abort of this.#open.values()) abort.abort();
  }

  /** `null`: the client has been told why not, or is gone. */
  async #connect(flow: FlowId, host: string, port: number, signal: AbortSignal): Promise<OriginConnection | null> {
    const { engine, dialler, clock, now_us, wake } = this.#parts;
    let late = false;
    const giveUp = new AbortController();
    signal.addEventListener('abort', () => giveUp.abort(), { once: true });
    const cancel = after(clock, CONNECT_WITHIN_MS, () => {
      late = true;
      giveUp.abort();
    });
    let code = 'exit_unreachable';
    try {
      if (dialler !== undefined) {
        const origin = await dialler.connect(host, port, this.rules, giveUp.signal);
        if (!giveUp.signal.aborted) return origin;
        origin.reset();
      }
    } catch (error) {
      code = asWayfareError(error, 'flow_failed').code;
    } finally {
      cancel();
    }
    if (signal.aborted) return null;
    engine.flowRefuse(now_us(), flow, late ? 'timeout' : code);
    wake();
    return null;
  }

  async #join(flow: FlowId, origin: OriginConnection, signal: AbortSignal): Promise<void> {
    const { flows } = this.#parts;
    const breakOff = () => origin.reset();
    signal.addEventListener('abort', breakOff, { once: true });
    const there = async () => {
      for (;;) {
        const bytes = await flows.read(flow);
        if (bytes === null) return origin.finish();
        await origin.write(bytes);
        this.stats.bytes_out += bytes.length;
      }
    };
    const back = async () => {
      for (;;) {
        const bytes = await origin.read();
        if (bytes === null) return flows.finish(flow);
        this.stats.bytes_in += bytes.length;
        await flows.write(flow, bytes);
      }
    };
    try {
      await Promise.all([there(), back()]);
    } catch {
      // One side broke: so does the other.
      origin.reset();
      flows.release(flow, true);
    } finally {
      signal.removeEventListener('abort', breakOff);
    }
  }
}
