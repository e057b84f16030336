/**
 * Exits drawn ahead: for a destination that is in use, which circuit the next connection like the last one takes, so that it need not
 * wait to be asked about (docs/decisions/0012-exits-ahead.md).
 *
 * Invariant: a decision is what would be drawn if the connection came now, and is taken back when anything changes that it rests on;
 * whatever it was drawn as, it is used or taken back for a reason that has nothing to do with which exit it names.
 */
import type { EgressPolicy } from './policy.js';
import type { ExitRoute, ExitRoutes } from './race.js';
import type { WindowHop } from './window.js';

/** Destinations with a decision at a time; the oldest goes. */
const DECISIONS_MAX = 64;

/** Connections that are alike in all that a decision looks at, and how it is handed to whoever accepts them. */
export interface Alike {
  /** Equal for those that are alike. */
  name: string;
  decide(id: number, route: ExitRoute): void;
  /** Whether it stood; if not, a connection has it. */
  revoke(id: number): Promise<boolean>;
}

/** What is decided on the next connection of a kind. */
export interface Decision {
  id: number;
  alike: Alike;
  /** `host:port`, as the exit is told. */
  destination: string;
  /** The isolation key. */
  key: string;
  of: WindowHop;
  /** How the hop was come by. */
  how: number;
  /** `null` while its circuit is being built. */
  route: ExitRoute | null;
  since_us: number;
}

export interface AheadParts {
  policy: EgressPolicy;
  routes: ExitRoutes;
  now_us(): number;
}

export class Ahead {
  readonly #parts: AheadParts;
  /** By name; the oldest first. */
  readonly #standing = new Map<string, Decision>();
  /** By id: handed over, and neither used nor known to be unused. */
  readonly #out = new Map<number, Decision>();
  #last = 0;

  constructor(parts: AheadParts) {
    this.#parts = parts;
  }

  /** Decides on the connection after this one, where there is no decision yet. */
  draw(alike: Alike, destination: string, key: string): void {
    if (this.#standing.has(alike.name)) return;
    const { policy, routes, now_us } = this.#parts;
    const since_us = now_us();
    const drawn = policy.ahead(since_us, destination);
    const of = drawn === null ? undefined : policy.window.get(drawn.hop);
    if (drawn === null || of === undefined) return;
    this.#last += 1;
    const { how } = drawn;
    const decision: Decision = { id: this.#last, alike, destination, key, of, how, route: null, since_us };
    this.#standing.set(alike.name, decision);
    for (const oldest of this.#standing.values()) {
      if (this.#standing.size <= DECISIONS_MAX) break;
      this.#revoke(oldest);
    }
    const route = routes.ready(key, of.exit);
    if (route !== undefined) this.#hand(decision, route);
    else {
      routes.route(key, of).then(
        (made) => this.#hand(decision, made),
        () => this.#revoke(decision),
      );
    }
  }

  /** A connection has taken it. */
  taken(id: number): Decision | undefined {
    const decision = this.#out.get(id);
    this.#out.delete(id);
    if (decision !== undefined) this.#forget(decision);
    return decision;
  }

  /** Takes back what was decided, or, of a destination, what was decided there. */
  revoke(destination?: string): void {
    for (const decision of this.#standing.values())
      if (destination === undefined || decision.destination === destination) this.#revoke(decision);
  }

  /** Takes back what does not hold any more: its circuit takes no more streams, a retry is due, or it was drawn K ago. */
  check(): void {
    const { policy, routes, now_us } = this.#parts;
    const at_us = now_us();
    for (const decision of this.#standing.values()) {
      const { route, key, of, destination, since_us } = decision;
      const stands = route === null || routes.stands(route, key, of.exit);
      const old = at_us - since_us >= policy.options.window.window_us;
      if (!stands || old || !policy.mayAhead(at_us, destination)) this.#revoke(decision);
    }
  }

  close(): void {
    this.#standing.clear();
  }

  #hand(decision: Decision, route: ExitRoute): void {
    const { id, alike } = decision;
    if (this.#standing.get(alike.name) !== decision) return;
    decision.route = route;
    this.#out.set(id, decision);
    alike.decide(id, route);
  }

  #revoke(decision: Decision): void {
    this.#forget(decision);
    const { id, alike } = decision;
    if (!this.#out.has(id)) return;
    alike.revoke(id).then(
      (stood) => {
        if (stood) this.#out.delete(id);
      },
      // The host is closed.
      () => this.#out.delete(id),
    );
  }

  #forget(decision: Decision): void {
    const { name } = decision.alike;
    if (this.#standing.get(name) === decision) this.#standing.delete(name);
  }
}
