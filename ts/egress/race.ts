/**
 * One connection's attempts: which exits are asked, when another one joins, and what their answers mean.
 *
 * Invariant: attempts race only until one exit has connected, and nothing of the application's is handed to any of them before;
 * those that lose are given back. The choice is answered or closed once.
 */
import { AbortedError, asWayfareError, errorOf } from '../base/errors.js';
import type { ConnectionId } from '../core/host.js';
import type { Choice, EgressPolicy } from './policy.js';
import type { Staggers } from './stagger.js';
import type { WindowHop } from './window.js';

/** A circuit's connection that flows may take. */
export interface ExitRoute {
  readonly connection: ConnectionId;
  readonly circuit: { readonly path: readonly string[] };
}

/** Where routes come from: `CircuitPool`. */
export interface ExitRoutes<R extends ExitRoute = ExitRoute> {
  ready(key: string, exit: string): R | undefined;
  route(key: string, to: { exit: string; path?: readonly string[] }): Promise<R>;
  hold(route: R): () => void;
  warm(exits: readonly { exit: string; path?: readonly string[] }[]): void;
  /** Whether `ready` would give this one. */
  stands(route: R, key: string, exit: string): boolean;
}

/** How an exit is asked for what the application wants. */
export interface Attempt<T> {
  /** Resolves when the exit has connected; rejects with its word as code. `begun`: it was asked already. */
  begin(connection: ConnectionId, begun: boolean): Promise<T>;
  /** Another exit was first. */
  discard(late: T): void;
}

/** As much of an `AbortSignal` as is needed: one of those per connection takes longer than all else. */
export interface CallOff {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: 'abort', listener: () => void, options?: { once: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

export interface Won<T> {
  value: T;
  hop: number;
  route: ExitRoute;
  release(): void;
}

export interface RaceTerms {
  /** The isolation key. */
  key: string;
  /** Attempts at once. */
  width: number;
  /** After so long a silence another one joins; 0: never. */
  stagger_us: number;
  /** An attempt that is under way: through the choice's own hop, or through one that has left the window meanwhile. */
  begun?: Begun | undefined;
}

export interface Begun {
  hop: number;
  route: ExitRoute;
}

export interface RaceParts {
  policy: EgressPolicy;
  routes: ExitRoutes;
  staggers: Staggers;
  now_us(): number;
  /** Calls off each race that runs, for when the node closes: from then on the policy is not to be called. */
  running: Set<() => void>;
}

/** How often a hop is asked on connections that turn out to be gone. */
const HOP_TRIES = 3;
/** So many exits must say that a destination refuses before it is believed. */
const REFUSALS = 2;

/**
 * What a failed attempt says. `refused`: the destination answered, through this exit. `exit`: the exit's own word, or its
 * silence. `final`: it would be the same everywhere. `void`: the exit was not even asked.
 */
export type Meaning = 'refused' | 'exit' | 'final' | 'void';

const MEANINGS: Readonly<Record<string, Meaning>> = {
  exit_connect_failed: 'refused',
  exit_address_denied: 'exit',
  exit_port_denied: 'exit',
  exit_name_unresolved: 'exit',
  exit_unreachable: 'exit',
  exit_overloaded: 'exit',
  timeout: 'exit',
  request_malformed: 'final',
  argument_invalid: 'final',
  aborted: 'final',
  closed: 'final',
  draining: 'final',
};

export const meaningOf = (code: string): Meaning => MEANINGS[code] ?? 'void';

/** No hop: what goes through one that has left is counted for nobody. */
const LEFT = -1;

/** What the application is told where several attempts failed: the first of these. */
const TOLD: readonly Meaning[] = ['final', 'refused', 'exit', 'void'];

/** No connection to the exit was to be had: whatever its code says, it is not the exit's word. */
class Unasked {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

export function race<T>(
  parts: RaceParts,
  choice: Choice,
  terms: RaceTerms,
  attempt: Attempt<T>,
  signal?: CallOff,
): Promise<Won<T>> {
  return new Promise((resolve, reject) => {
    const run = new Race(parts, choice, terms, attempt, signal, resolve, reject);
    run.start();
  });
}

class Race<T> {
  readonly #parts: RaceParts;
  readonly #choice: Choice;
  readonly #terms: RaceTerms;
  readonly #attempt: Attempt<T>;
  readonly #signal: CallOff | undefined;
  readonly #resolve: (won: Won<T>) => void;
  readonly #reject: (error: unknown) => void;
  readonly #began_us: number;
  readonly #failures: { meaning: Meaning; error: unknown }[] = [];
  #running = 0;
  #over = false;
  #cancel = () => {};

  constructor(
    parts: RaceParts,
    choice: Choice,
    terms: RaceTerms,
    attempt: Attempt<T>,
    signal: CallOff | undefined,
    resolve: (won: Won<T>) => void,
    reject: (error: unknown) => void,
  ) {
    this.#parts = parts;
    this.#choice = choice;
    this.#terms = terms;
    this.#attempt = attempt;
    this.#signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    this.#began_us = parts.now_us();
  }

  start(): void {
    this.#parts.running.add(this.#onClosing);
    if (this.#signal?.aborted) {
      this.#onAbort();
      return;
    }
    this.#signal?.addEventListener('abort', this.#onAbort, { once: true });
    const { begun } = this.#terms;
    if (begun !== undefined && begun.hop !== this.#choice.hop) this.#follow(this.#left(begun.route), LEFT);
    this.#try(this.#choice.hop);
    for (let i = 1; i < this.#terms.width && !this.#over; i++) if (!this.#more()) break;
    this.#arm();
  }

  /** Whether one more attempt is under way. */
  #more(): boolean {
    const { policy, now_us } = this.#parts;
    const hop = policy.more(now_us(), this.#choice);
    if (hop < 0) return false;
    this.#try(hop);
    return true;
  }

  /** After so long a silence another one joins. */
  #arm(): void {
    this.#cancel();
    const { stagger_us } = this.#terms;
    if (this.#over || stagger_us <= 0) return;
    this.#cancel = this.#parts.staggers.after(stagger_us / 1000, () => {
      if (!this.#over && this.#more()) this.#arm();
    });
  }

  #try(hop: number): void {
    this.#follow(this.#ask(hop), hop);
  }

  #follow(asking: Promise<Won<T>>, hop: number): void {
    this.#running += 1;
    asking.then(
      (won) => this.#won(won),
      (error) => this.#failed(hop, error),
    );
  }

  async #left(route: ExitRoute): Promise<Won<T>> {
    const release = this.#parts.routes.hold(route);
    try {
      return { value: await this.#attempt.begin(route.connection, true), hop: LEFT, route, release };
    } catch (error) {
      release();
      throw new Unasked(error);
    }
  }

  async #ask(hop: number): Promise<Won<T>> {
    const { policy, routes, now_us } = this.#parts;
    const of = policy.window.get(hop);
    if (of === undefined) throw new Unasked(errorOf('circuit_failed', 'the exit has left the window'));
    for (let tries = 1; ; tries++) {
      const { key, begun } = this.#terms;
      const under = tries === 1 && begun?.hop === hop ? begun.route : undefined;
      const route = under ?? routes.ready(key, of.exit) ?? (await this.#route(of));
      if (this.#over) throw new Unasked(errorOf('aborted', 'another exit was first'));
      const release = routes.hold(route);
      policy.asked(now_us(), this.#choice, hop);
      try {
        return { value: await this.#attempt.begin(route.connection, under !== undefined), hop, route, release };
      } catch (error) {
        release();
        // The connection had gone, and the event that says so was still on its way: the next one is another.
        if (tries < HOP_TRIES && !this.#over && asWayfareError(error).code === 'circuit_unknown') continue;
        throw error;
      }
    }
  }

  async #route(of: WindowHop): Promise<ExitRoute> {
    this.#parts.policy.notYetAsked(this.#choice, of.hop);
    try {
      return await this.#parts.routes.route(this.#terms.key, of);
    } catch (error) {
      throw new Unasked(error);
    }
  }

  #won(won: Won<T>): void {
    this.#running -= 1;
    if (this.#over) {
      won.release();
      this.#attempt.discard(won.value);
      return;
    }
    this.#end();
    const { policy, now_us } = this.#parts;
    if (won.hop === LEFT) policy.close(now_us(), this.#choice, false);
    else policy.answered(now_us(), this.#choice, won.hop);
    this.#resolve(won);
  }

  #failed(hop: number, caught: unknown): void {
    this.#running -= 1;
    if (this.#over) return;
    const { policy, now_us } = this.#parts;
    const error = caught instanceof Unasked ? caught.cause : caught;
    const said = meaningOf(asWayfareError(error).code);
    const meaning = caught instanceof Unasked && said !== 'final' ? 'void' : said;
    this.#failures.push({ meaning, error });
    if (meaning === 'exit' || meaning === 'refused') policy.failed(now_us(), this.#choice, hop);
    else policy.voided(now_us(), this.#choice, hop);
    const refusals = this.#failures.filter((failure) => failure.meaning === 'refused').length;
    const enough = meaning === 'final' || refusals >= REFUSALS;
    if (!enough && this.#more()) this.#arm();
    else if (enough || this.#running === 0) this.#fail();
  }

  #fail(): void {
    this.#end();
    const { policy, now_us } = this.#parts;
    const told = TOLD.flatMap((meaning) => this.#failures.filter((failure) => failure.meaning === meaning))[0];
    // A destination that refuses has answered.
    policy.close(now_us(), this.#choice, told?.meaning === 'exit');
    this.#reject(told?.error);
  }

  readonly #onAbort = () => {
    if (this.#over) return;
    this.#end();
    const { policy, now_us } = this.#parts;
    const waited_us = now_us() - this.#began_us;
    policy.close(now_us(), this.#choice, waited_us >= this.#terms.stagger_us);
    this.#reject(new AbortedError('aborted', 'the connection was aborted', { cause: this.#signal?.reason }));
  };

  readonly #onClosing = () => {
    if (this.#over) return;
    this.#end();
    this.#reject(errorOf('closed', 'the node is closed'));
  };

  #end(): void {
    this.#over = true;
    this.#cancel();
    this.#parts.running.delete(this.#onClosing);
    this.#signal?.removeEventListener('abort', this.#onAbort);
  }
}
