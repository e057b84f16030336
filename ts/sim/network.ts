/**
 * The network of a simulation: who is where, what the paths between them do, who can reach whom.
 *
 * Invariant: nodes touch each other through sessions only, and sessions through paths only.
 */
import { WayfareError } from '../base/errors.js';
import type { Reached, Transports } from '../host/ports.js';
import { CLEAR, Path, type Weather } from './path.js';
import type { SeededRandom } from './random.js';
import { type Given, SimSession } from './session.js';
import type { VirtualTime } from './time.js';
import type { Trace } from './trace.js';

/** A handshake is tried again after this. */
const RETRY_MS = 400;
const TRIES = 5;

export interface Endpoint {
  /** Whose identity the transport proves; '' where the link has to. */
  id: string;
  address: string;
  take: (reached: Reached) => void;
}

interface Joined {
  from: string;
  to: string;
  ends: [SimSession, SimSession];
}

export class SimNetwork {
  readonly #time: VirtualTime;
  readonly #random: SeededRandom;
  readonly #trace: Trace;
  readonly #weather: (from: string, to: string) => Weather;
  readonly #mtu: (from: string, to: string) => number;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #paths = new Map<string, Path>();
  readonly #joined = new Set<Joined>();
  readonly #given = new Map<string, Given>();

  constructor(parts: {
    time: VirtualTime;
    random: SeededRandom;
    trace: Trace;
    weather: (from: string, to: string) => Weather;
    mtu: (from: string, to: string) => number;
  }) {
    this.#time = parts.time;
    this.#random = parts.random;
    this.#trace = parts.trace;
    this.#weather = parts.weather;
    this.#mtu = parts.mtu;
  }

  path(from: string, to: string): Path {
    const name = `${from}>${to}`;
    let path = this.#paths.get(name);
    if (path === undefined) {
      path = new Path(name, this.#time, this.#random.fork(name), this.#trace, this.#weather(from, to));
      this.#paths.set(name, path);
    }
    return path;
  }

  paths(): Path[] {
    return [...this.#paths.values()];
  }

  given(address: string): Given {
    let given = this.#given.get(address);
    if (given === undefined) {
      given = { arrived: 0, overflowed: 0 };
      this.#given.set(address, given);
    }
    return given;
  }

  block(from: string, to: string, blocked: boolean): void {
    const path = this.path(from, to);
    if (path.blocked === blocked) return;
    if (blocked) path.block();
    else path.unblock();
    for (const joined of this.#joined) for (const end of joined.ends) end.listen();
  }

  /** Ends every fault: paths are open, and lose, double and reorder nothing more. */
  heal(): void {
    for (const [name, path] of this.#paths) {
      const [from, to] = name.split('>') as [string, string];
      path.weather = { ...CLEAR, latency_ms: path.weather.latency_ms };
      this.block(from, to, false);
    }
  }

  /** A node's way into the network. */
  transports(id: string, address: string, proves: boolean): Transports {
    return {
      start: async (take) => {
        this.#endpoints.set(address, { id: proves ? id : '', address, take });
        return [address];
      },
      dial: (_peer, addresses, _hashes, signal) => this.#dial({ id: proves ? id : '', address }, addresses, signal),
      close: async () => {
        this.#endpoints.delete(address);
      },
    };
  }

  /** The machine at this address loses power. */
  crash(address: string): void {
    this.#endpoints.delete(address);
    for (const joined of this.#joined) {
      if (joined.from === address) joined.ends[0].vanish();
      if (joined.to === address) joined.ends[1].vanish();
    }
  }

  async #dial(self: { id: string; address: string }, addresses: string[], signal: AbortSignal): Promise<Reached> {
    const to = addresses[0];
    if (to === undefined) throw new WayfareError('link_failed', 'no address');
    const [there, back] = [this.path(self.address, to), this.path(to, self.address)];
    for (let i = 0; i < TRIES; i++) {
      await this.#wait(2 * (there.delay_us() + back.delay_us()));
      const lost = this.#random.chance(there.weather.loss) || this.#random.chance(back.weather.loss);
      const endpoint = this.#endpoints.get(to);
      if (endpoint !== undefined && !there.blocked && !back.blocked && !lost) {
        if (signal.aborted) break;
        return this.#join(self, endpoint, there, back);
      }
      await this.#wait(RETRY_MS * 1000);
      if (signal.aborted) break;
    }
    throw new WayfareError('timeout', 'no answer');
  }

  #join(self: { id: string; address: string }, endpoint: Endpoint, there: Path, back: Path): Reached {
    for (const joined of this.#joined) if (!joined.ends[0].open && !joined.ends[1].open) this.#joined.delete(joined);
    const mtu = this.#mtu(self.address, endpoint.address);
    const ends = SimSession.pair(this.#time, there, back, mtu, this.given(self.address), this.given(endpoint.address));
    this.#joined.add({ from: self.address, to: endpoint.address, ends });
    this.#trace.record(`${self.address} joined ${endpoint.address}`);
    const proven = self.id !== '' && endpoint.id !== '';
    endpoint.take({ session: ends[1], address: self.address, bindings: [], ...(proven && { proven: self.id }) });
    return { session: ends[0], address: endpoint.address, bindings: [], ...(proven && { proven: endpoint.id }) };
  }

  #wait(delay_us: number): Promise<void> {
    return new Promise((resolve) => {
      this.#time.schedule(delay_us, resolve);
    });
  }
}
