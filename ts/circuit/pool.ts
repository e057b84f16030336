/**
 * The connections a client has: one per isolation key, each over a circuit of its own, replaced before anyone notices.
 *
 * A flow takes a lease on a connection. When a connection stalls, circuits over other relays to the same exit race, and the
 * connection moves to the first that stands: its flows go on. When it grows old, new flows get a new one.
 *
 * Invariant: a connection and its circuit are closed once it is neither current nor leased; two isolation keys never share.
 */
import type { Descriptor } from '../base/directory.js';
import { asWayfareError, NetworkError } from '../base/errors.js';
import type { Clock, Log } from '../base/ports.js';
import type { CircuitId, ConnectionId, HostEvent, NodeHost } from '../core/host.js';
import { after, delay, within } from '../core/timing.js';
import type { BuiltCircuit, CircuitBuilder } from './builder.js';

/** New flows leave a connection this old. */
export const ROTATE_MS = 10 * 60_000;
/** A current connection without flows is closed after this, the shared one excepted. */
export const IDLE_MS = 2 * 60_000;
const HANDSHAKE_MS = 5_000;
/** Replacing a stalled circuit is given up after this; the flows end then. */
const REPLACE_MS = 15_000;
const RACERS = 3;
/** The key of flows that asked for no isolation. */
const SHARED = '';

interface Slot {
  key: string;
  connection: ConnectionId;
  circuit: CircuitId;
  path: Descriptor[];
  born_ms: number;
  leases: number;
  current: boolean;
  replacing: boolean;
  idle?: () => void;
}

/** The right to open flows on a connection, until released. */
export interface Lease {
  readonly connection: ConnectionId;
  path(): Descriptor[];
  release(): void;
}

export interface PoolParts {
  host: NodeHost;
  builder: CircuitBuilder;
  clock: Clock;
  log: Log;
}

export class CircuitPool {
  readonly #parts: PoolParts;
  readonly #slots = new Map<ConnectionId, Slot>();
  readonly #current = new Map<string, Promise<Slot>>();
  #spare: Promise<BuiltCircuit | null> | null = null;
  #closed = false;

  constructor(parts: PoolParts) {
    this.#parts = parts;
  }

  /** A connection for flows of this isolation key. */
  async lease(key: string = SHARED): Promise<Lease> {
    if (this.#closed) throw new NetworkError('closed', 'the node is closed');
    const slot = await this.#slotFor(key);
    slot.leases += 1;
    slot.idle?.();
    let released = false;
    return {
      connection: slot.connection,
      path: () => slot.path,
      release: () => {
        if (released) return;
        released = true;
        slot.leases -= 1;
        this.#rest(slot);
      },
    };
  }

  /** The path of the shared connection, if one stands. */
  path(): Descriptor[] {
    for (const slot of this.#slots.values()) if (slot.current && slot.key === SHARED) return slot.path;
    return [];
  }

  handle(event: HostEvent): void {
    if (this.#closed) return;
    switch (event.type) {
      case 'connection_stalled':
        this.#replace(event.connection, `silent for ${event.silent_ms} ms`);
        break;
      case 'circuit_worn':
        for (const slot of this.#slots.values())
          if (slot.circuit === event.circuit) this.#replace(slot.connection, 'its key is worn');
        break;
      case 'circuit_down':
        for (const slot of this.#slots.values())
          if (slot.circuit === event.circuit) this.#replace(slot.connection, event.reason);
        break;
      case 'connection_down':
        this.#drop(event.connection);
        break;
    }
  }

  close(): void {
    this.#closed = true;
    for (const slot of this.#slots.values()) this.#end(slot);
    this.#spare?.then((spare) => spare !== null && this.#parts.host.circuitClose(spare.circuit));
    this.#spare = null;
  }

  #slotFor(key: string): Promise<Slot> {
    const { clock } = this.#parts;
    const held = this.#current.get(key);
    if (held !== undefined) {
      return held.then((slot) => {
        if (slot.current && clock.now_ms() - slot.born_ms < ROTATE_MS) return slot;
        // Somebody else may have begun a new one while we waited.
        if (this.#current.get(key) === held) this.#retire(slot);
        return this.#slotFor(key);
      });
    }
    const fresh = this.#open(key);
    this.#current.set(key, fresh);
    fresh.catch(() => {
      if (this.#current.get(key) === fresh) this.#current.delete(key);
    });
    return fresh;
  }

  async #open(key: string): Promise<Slot> {
    const { host, builder, clock, log } = this.#parts;
    let last: unknown;
    for (let attempt = 0; attempt < 3 && !this.#closed; attempt++) {
      const spare = this.#spare;
      this.#spare = null;
      const built = (await spare) ?? (await builder.build());
      try {
        const opening = host.connectionOpen(built.circuit);
        const connection = await within(clock, HANDSHAKE_MS, 'the exit', opening, (late) => host.connectionClose(late));
        const slot: Slot = {
          key,
          connection,
          ...built,
          born_ms: clock.now_ms(),
          leases: 0,
          current: true,
          replacing: false,
        };
        if (this.#closed) {
          this.#end(slot);
          break;
        }
        this.#slots.set(connection, slot);
        this.#rest(slot);
        this.#prepare();
        return slot;
      } catch (error) {
        last = error;
        log.debug('no connection over a circuit', { code: asWayfareError(error).code });
        host.circuitClose(built.circuit);
      }
    }
    throw new NetworkError('connection_failed', `no exit could be reached: ${asWayfareError(last).message}`, { cause: last });
  }

  /** Keeps one circuit standing by, so that the next connection needs no set-up. */
  #prepare(): void {
    if (this.#spare !== null || this.#closed) return;
    this.#spare = this.#parts.builder.build({ attempts: 2 }).catch(() => null);
    this.#spare.then((built) => {
      if (built !== null && this.#closed) this.#parts.host.circuitClose(built.circuit);
    });
  }

  /** Moves a connection to another circuit to its exit. */
  async #replace(connection: ConnectionId, why: string): Promise<void> {
    const { host, builder, clock, log } = this.#parts;
    const slot = this.#slots.get(connection);
    if (slot === undefined || slot.replacing) return;
    if (slot.leases === 0) {
      // Nobody is on it: the next flow gets another.
      this.#retire(slot);
      return;
    }
    slot.replacing = true;
    const exit = slot.path.at(-1)?.id ?? '';
    const old = slot.circuit;
    const deadline_ms = clock.now_ms() + REPLACE_MS;
    log.info('replacing a circuit', { why });
    while (!this.#closed && this.#slots.get(connection) === slot) {
      try {
        const built = await builder.race(
          exit,
          slot.path.slice(0, -1).map((node) => node.id),
          RACERS,
        );
        if (this.#slots.get(connection) !== slot) {
          host.circuitClose(built.circuit);
          return;
        }
        host.connectionMove(connection, built.circuit);
        slot.circuit = built.circuit;
        slot.path = built.path;
        slot.replacing = false;
        host.circuitClose(old);
        log.info('moved a connection to another circuit', { took_ms: Math.round(REPLACE_MS - (deadline_ms - clock.now_ms())) });
        return;
      } catch (error) {
        if (clock.now_ms() >= deadline_ms) {
          log.warn('no other circuit to the exit', { code: asWayfareError(error).code });
          this.#end(slot);
          return;
        }
        await delay(clock, 100);
      }
    }
  }

  /** New flows get another connection; this one goes when its last flow has. */
  #retire(slot: Slot): void {
    if (!slot.current) return;
    slot.current = false;
    this.#current.delete(slot.key);
    this.#rest(slot);
  }

  #rest(slot: Slot): void {
    if (slot.leases > 0 || !this.#slots.has(slot.connection)) return;
    if (!slot.current) return this.#end(slot);
    if (slot.key === SHARED) return;
    slot.idle?.();
    slot.idle = after(this.#parts.clock, IDLE_MS, () => {
      if (slot.leases === 0) this.#retire(slot);
    });
  }

  #end(slot: Slot): void {
    slot.idle?.();
    if (slot.current) this.#current.delete(slot.key);
    slot.current = false;
    this.#slots.delete(slot.connection);
    this.#parts.host.connectionClose(slot.connection);
    this.#parts.host.circuitClose(slot.circuit);
  }

  #drop(connection: ConnectionId): void {
    const slot = this.#slots.get(connection);
    if (slot !== undefined) this.#end(slot);
  }
}
