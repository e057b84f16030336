/**
 * The circuits a client keeps: one connection per circuit, one route per isolation key and exit, spares to the exits of the
 * window, and the replacement of what fails under running streams.
 *
 * Invariant: two isolation keys never share a circuit; a route takes new streams for `lifetimeMs` and is closed when the last
 * of them has gone; a failing circuit is replaced by another to the same exit, while its streams live, or its connection is
 * closed so that they end with an error; there are `spares` spares at most.
 */
import { asWayfareError, WayfareError } from '../base/errors.js';
import type { Clock, Log } from '../base/ports.js';
import type { CircuitId, ConnectionId, HostEvent, NodeHost, SizeClass } from '../core/host.js';
import { after, delay, every, within } from '../core/timing.js';
import { type Builder, type Circuit, EntryError } from './builder.js';
import type { Suspicion } from './suspicion.js';

const BUILD_TRIES = 4;
const CONNECT_MS_MAX = 3000;
const CONNECT_TRIES = 3;
const RACE_WIDTH = 3;
/** How long streams wait for a circuit to the same exit before they end, and the pause between two races. */
export const REPLACE_MS_MAX = 10_000;
const RACE_PAUSE_MS = 250;
/** The same while the old circuit still carries: it does for as many packets again as have worn it. */
const WORN_PAUSE_MS = 1000;
/** Packets on their way over the old circuit may still come after a move. */
const LINGER_MS = 3000;
const SWEEP_MS = 15_000;
/** An exit to which no spare could be had is left alone for so long. */
const SPARE_PAUSE_MS = 10_000;

export interface PoolOptions {
  /** New streams go to a new circuit after this. */
  lifetimeMs: number;
  /** A circuit without streams is closed after this. */
  idleMs: number;
  /** Circuits built ahead at most, one to each exit that is to be kept warm. */
  spares: number;
}

export const POOL_DEFAULTS: PoolOptions = { lifetimeMs: 600_000, idleMs: 300_000, spares: 8 };

/** Where a route ends. */
export interface RouteEnd {
  exit: string;
  /** The path to take to it first, the exit included. Default: drawn. */
  path?: readonly string[];
}

export interface Route {
  readonly connection: ConnectionId;
  circuit: Circuit;
  /** Whose streams it takes; a spare is nobody's yet. */
  key?: string;
  readonly made_ms: number;
  streams: number;
  used_ms: number;
  replacing: boolean;
  /** Since when it fails while it is being replaced; a worn circuit still carries. */
  failed_ms?: number | undefined;
}

export interface PoolParts {
  host: NodeHost;
  clock: Clock;
  log: Log;
  builder: Builder;
  suspicion: Suspicion;
  options?: Partial<PoolOptions>;
  /** A route is somebody's from now on, or has moved to another circuit. */
  onUse?(route: Route): void;
  /** A route was made, moved, or given up. */
  onChange?(change: 'made' | 'moved' | 'lost', path: string[]): void;
  /** No circuit to this exit is to be had, or it broke a connection off under its streams. */
  onLost?(exit: string): void;
}

export class CircuitPool {
  readonly #parts: PoolParts;
  readonly #options: PoolOptions;
  readonly #routes = new Map<ConnectionId, Route>();
  readonly #current = new Map<string, Route>();
  readonly #making = new Map<string, Promise<Route>>();
  /** By exit. */
  readonly #spares = new Map<string, Route>();
  #warm: readonly RouteEnd[] = [];
  readonly #notBefore_ms = new Map<string, number>();
  #spareMaking = false;
  /** Calls off the late closing of circuits that connections have left. */
  readonly #lingering = new Set<() => void>();
  #closed = false;
  readonly #stop: () => void;

  constructor(parts: PoolParts) {
    this.#parts = parts;
    this.#options = { ...POOL_DEFAULTS, ...parts.options };
    this.#stop = every(
      parts.clock,
      () => SWEEP_MS,
      () => this.#sweep(),
    );
  }

  /** A route for streams of this isolation key, made if there is none. Take it with `hold` before the next await. */
  async route(key: string, to: RouteEnd): Promise<Route> {
    if (this.#closed) throw new WayfareError('closed', 'the node is closed');
    const ready = this.ready(key, to.exit);
    if (ready !== undefined) return ready;
    const isolation = isolationOf(key, to.exit);
    let making = this.#making.get(isolation);
    if (making === undefined) {
      making = this.#make(to);
      this.#making.set(isolation, making);
      const over = () => this.#making.delete(isolation);
      making.then((route) => {
        over();
        this.#use(key, isolation, route);
      }, over);
    }
    return making;
  }

  /** The same, if it need not be made. */
  ready(key: string, exit: string): Route | undefined {
    const isolation = isolationOf(key, exit);
    const current = this.#current.get(isolation);
    if (current !== undefined && this.#isFresh(current) && !current.replacing) return current;
    const spare = this.#spares.get(exit);
    if (spare === undefined || !this.#isFresh(spare) || spare.replacing) return undefined;
    this.#spares.delete(exit);
    this.#use(key, isolation, spare);
    this.#refill();
    return spare;
  }

  /** Whether `ready` would give this one. */
  stands(route: Route, key: string, exit: string): boolean {
    return this.#current.get(isolationOf(key, exit)) === route && this.#isFresh(route) && !route.replacing;
  }

  #use(key: string, isolation: string, route: Route): void {
    route.key = key;
    this.#current.set(isolation, route);
    this.#parts.onUse?.(route);
  }

  /** To these exits a spare is kept from now on, as far as there may be so many: the first ones first. */
  warm(exits: readonly RouteEnd[]): void {
    this.#warm = exits.slice(0, this.#options.spares);
    const now_ms = this.#parts.clock.now_ms();
    for (const [exit, until_ms] of this.#notBefore_ms) if (until_ms <= now_ms) this.#notBefore_ms.delete(exit);
    for (const [exit, spare] of this.#spares) if (!this.#warm.some((to) => to.exit === exit)) this.#discard(spare);
    this.#refill();
  }

  /** Counts a stream on the route; returns the way to let go. */
  hold(route: Route): () => void {
    route.streams += 1;
    route.used_ms = this.#parts.clock.now_ms();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      route.streams -= 1;
      route.used_ms = this.#parts.clock.now_ms();
      if (route.streams === 0 && !this.#isFresh(route)) this.#discard(route);
    };
  }

  routes(): readonly Route[] {
    return [...this.#routes.values()];
  }

  handle(event: HostEvent): void {
    switch (event.type) {
      case 'connection_stalled': {
        const route = this.#routes.get(event.connection);
        // A stall reported before a move was done is about the circuit that is left already.
        if (route?.circuit.id === event.circuit) this.#replace(route, 'stalled', true);
        return;
      }
      case 'circuit_down':
        this.#replaceCircuit(event.circuit, event.reason, true);
        return;
      case 'circuit_worn':
        this.#replaceCircuit(event.circuit, 'worn', false);
        return;
      case 'connection_down': {
        const route = this.#routes.get(event.connection);
        if (route === undefined) return;
        if (route.streams > 0) this.#parts.onLost?.(route.circuit.path.at(-1) as string);
        this.#lose(route);
        return;
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#stop();
    for (const cancel of this.#lingering) cancel();
    for (const route of this.#routes.values()) this.#discard(route);
  }

  #isFresh(route: Route): boolean {
    return this.#routes.has(route.connection) && this.#parts.clock.now_ms() - route.made_ms < this.#options.lifetimeMs;
  }

  async #make({ exit, path }: RouteEnd): Promise<Route> {
    try {
      return await this.#connect(exit, path);
    } catch (error) {
      const { code } = asWayfareError(error, 'connection_failed');
      if (!this.#closed && code !== 'no_path' && !(error instanceof EntryError)) this.#parts.onLost?.(exit);
      throw error;
    }
  }

  async #connect(exit: string, path?: readonly string[]): Promise<Route> {
    const { host, clock, builder, suspicion } = this.#parts;
    let last: unknown;
    for (let i = 0; i < CONNECT_TRIES; i++) {
      const circuit = await builder.build(BUILD_TRIES, exit, i === 0 ? path : undefined);
      try {
        const opening = host.connectionOpen(circuit.id);
        const connection = await within(clock, CONNECT_MS_MAX, 'the connection to the exit', opening, (late) =>
          host.connectionClose(late),
        );
        if (this.#closed) {
          host.connectionClose(connection);
          throw new WayfareError('closed', 'the node is closed');
        }
        // Its handshake went both ways over every hop.
        suspicion.worked(circuit.path);
        const now_ms = clock.now_ms();
        const route: Route = { connection, circuit, made_ms: now_ms, streams: 0, used_ms: now_ms, replacing: false };
        this.#routes.set(connection, route);
        this.#parts.onChange?.('made', circuit.path);
        return route;
      } catch (error) {
        host.circuitClose(circuit.id);
        if (this.#closed) throw error;
        suspicion.failed(circuit.path);
        last = error;
      }
    }
    throw asWayfareError(last, 'connection_failed');
  }

  /** One at a time: what is built ahead must not slow down what is wanted now. */
  #refill(): void {
    if (this.#closed || this.#spareMaking) return;
    const now_ms = this.#parts.clock.now_ms();
    const to = this.#warm.find(({ exit }) => !this.#spares.has(exit) && (this.#notBefore_ms.get(exit) ?? 0) <= now_ms);
    if (to === undefined) return;
    this.#spareMaking = true;
    this.#make(to)
      .then((route) => {
        if (this.#warm.some(({ exit }) => exit === to.exit)) this.#spares.set(to.exit, route);
        else this.#discard(route);
      })
      .catch((error) => {
        this.#notBefore_ms.set(to.exit, this.#parts.clock.now_ms() + SPARE_PAUSE_MS);
        this.#parts.log.debug('no spare circuit', { code: asWayfareError(error).code });
      })
      .finally(() => {
        this.#spareMaking = false;
        this.#refill();
      });
  }

  #replaceCircuit(circuit: CircuitId, why: string, failed: boolean): void {
    for (const route of this.#routes.values()) {
      if (route.circuit.id === circuit) return void this.#replace(route, why, failed);
    }
  }

  async #replace(route: Route, why: string, failed: boolean): Promise<void> {
    const { host, clock, log, builder, suspicion } = this.#parts;
    if (failed) route.failed_ms ??= clock.now_ms();
    if (route.replacing || this.#closed) return;
    if (failed) suspicion.failed(route.circuit.path.slice(0, -1));
    // Nothing runs on it: a new one serves as well, and needs no race.
    if (route.streams === 0) return this.#lose(route);
    route.replacing = true;
    const began_ms = clock.now_ms();
    const old = route.circuit;
    const exit = old.path.at(-1) as string;
    try {
      for (;;) {
        try {
          const circuit = await builder.race(RACE_WIDTH, exit, atLeast(old.sizeClass));
          if (!this.#routes.has(route.connection)) return host.circuitClose(circuit.id);
          host.connectionMove(route.connection, circuit.id);
          route.circuit = circuit;
          break;
        } catch (error) {
          if (!this.#routes.has(route.connection)) return;
          // Between two checks of a far exit the network may learn what has died; a race costs little.
          const { failed_ms } = route;
          if (failed_ms !== undefined && clock.now_ms() - failed_ms >= REPLACE_MS_MAX) throw error;
          await delay(clock, failed_ms === undefined ? WORN_PAUSE_MS : RACE_PAUSE_MS);
          if (!this.#routes.has(route.connection)) return;
        }
      }
      log.info('circuit replaced', { why, took_ms: Math.round(clock.now_ms() - began_ms) });
      const { circuit } = route;
      const cancel = after(clock, LINGER_MS, () => {
        this.#lingering.delete(cancel);
        host.circuitClose(old.id);
        if (route.circuit !== circuit || route.replacing || !this.#routes.has(route.connection)) return;
        // Only what came back tells that a path works: its set-up may have been all that a hop lets through.
        if ((host.circuitStats(circuit.id)?.packets_backward ?? 0) > 0) suspicion.worked(circuit.path);
      });
      this.#lingering.add(cancel);
      this.#parts.onUse?.(route);
      this.#parts.onChange?.('moved', route.circuit.path);
    } catch (error) {
      log.warn('circuit lost, its streams with it', { why, code: asWayfareError(error, 'circuit_failed').code });
      if (!(error instanceof EntryError)) this.#parts.onLost?.(exit);
      this.#lose(route);
    } finally {
      route.replacing = false;
      route.failed_ms = undefined;
    }
  }

  #lose(route: Route): void {
    this.#discard(route);
    this.#parts.onChange?.('lost', route.circuit.path);
  }

  #discard(route: Route): void {
    if (!this.#routes.delete(route.connection)) return;
    for (const [key, current] of this.#current) if (current === route) this.#current.delete(key);
    for (const [exit, spare] of this.#spares) if (spare === route) this.#spares.delete(exit);
    this.#parts.host.connectionClose(route.connection);
    this.#parts.host.circuitClose(route.circuit.id);
  }

  #sweep(): void {
    const now_ms = this.#parts.clock.now_ms();
    for (const route of this.#routes.values()) {
      if (route.streams > 0 || route.replacing) continue;
      const old = now_ms - route.made_ms >= this.#options.lifetimeMs;
      if (old || now_ms - route.used_ms >= this.#options.idleMs) this.#discard(route);
    }
  }
}

/** An exit's id has no space. */
const isolationOf = (key: string, exit: string): string => `${exit} ${key}`;

/** The smallest class that a connection which began on `sizeClass` can be moved to: jumbo ones find out anew what their path takes. */
function atLeast(sizeClass: SizeClass): SizeClass | undefined {
  return sizeClass === 'J' || sizeClass === 'X' ? undefined : sizeClass;
}
