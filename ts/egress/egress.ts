/**
 * The choice of exits at work in a node: every connection gets its exit here, whoever asked for it.
 *
 * Invariant: what an exit is told of a connection is host and port; a connection takes a circuit of its own isolation key.
 */
import { joinHostPort } from '../base/config/address.js';
import { NetworkError } from '../base/errors.js';
import type { Clock, Log, Random } from '../base/ports.js';
import { type CreateEgress, EGRESS_GIVEN, type EgressBinding } from '../core/egress.js';
import { every } from '../core/timing.js';
import { Ahead, type Alike, type Decision } from './ahead.js';
import { type ExitFlow, FlowBook } from './flow.js';
import type { EgressPolicyChoice } from './options.js';
import { type Choice, EgressPolicy } from './policy.js';
import {
  type Attempt,
  type Begun,
  type CallOff,
  type ExitRoute,
  type ExitRoutes,
  type RaceParts,
  race,
} from './race.js';
import { describeExits, type PathsReport } from './report.js';
import { MadeSources, sourceAt } from './source.js';
import { Staggers } from './stagger.js';
import type { DirectorySupply } from './supply.js';
import type { Verdict } from './verdicts.js';
import type { WindowHop } from './window.js';

const TICK_MS = 1000;
/** What one client remembers at most: some 25 MB, all of it used. */
const LIMITS = { hops: 4096, destinations: 16_384, pairs: 65_536, tuples: 65_536 };
/** Silences, as long as a connection's attempt may have, where another exit is not to be asked lightly. */
const PATIENCE = 4;
/** Circuits are built ahead for so long after the last connection. */
const WARM_US = 60_000_000;
/** Hops tried for a path that is wanted ahead. */
const RESERVE_TRIES = 3;

/** What somebody may want to know as it happens. */
export type ExitChange =
  | { type: 'hop'; change: 'entered' | 'left'; hop: WindowHop }
  | { type: 'verdict'; verdict: Verdict };

export interface EgressParts<R extends ExitRoute> {
  createEgress: CreateEgress;
  clock: Clock;
  random: Random;
  log: Log;
  supply: DirectorySupply;
  routes: ExitRoutes<R>;
  choice: EgressPolicyChoice;
  /** Why there is no path at all, if there is none. */
  missing(): string | undefined;
  tell(change: ExitChange): void;
  /** Once a second: what others have moved is to be counted. */
  collect?(): void;
}

/** A connection that is wanted. */
export interface Wanted {
  host: string;
  port: number;
  /** As `isolationKey` makes it; '' for all that ask for none. */
  isolation: string;
  protocol: 'tcp' | 'udp';
  /** `ip:port` of the program. Default: this one. */
  source?: string;
  /** Those that whoever asks can give an exit before they are asked about, if it can. */
  alike?: Alike | undefined;
  /** The decision that it has taken. */
  ahead?: number | undefined;
}

export class Egress<R extends ExitRoute = ExitRoute> {
  readonly #parts: EgressParts<R>;
  readonly #binding: EgressBinding;
  readonly #policy: EgressPolicy;
  readonly #book: FlowBook;
  readonly #sources = new MadeSources();
  readonly #origin_ms: number;
  /** Those that drain, too, until nothing runs on them. */
  readonly #hops = new Map<number, WindowHop>();
  #stop: (() => void) | null = null;
  #used_us = Number.NEGATIVE_INFINITY;
  /** Promised to the next connection without isolation. */
  #reserved: { of: WindowHop; route: R } | null = null;
  #last: ExitRoute | null = null;
  readonly #counts = { connections: 0, attempts: 0, answered: 0, bad: 0, blocked: 0, disappeared: 0 };
  readonly #staggers: Staggers;
  readonly #running = new Set<() => void>();
  readonly #races: RaceParts;
  /** Not there yet while the window is filled for the first time. */
  readonly #ahead: Ahead | undefined;
  /** Flows of connections that are not over. */
  readonly #taken = new Set<number>();
  #closed = false;
  #draining = false;

  constructor(parts: EgressParts<R>) {
    this.#parts = parts;
    this.#origin_ms = parts.clock.monotonic_ms();
    const seed = new Uint8Array(32);
    parts.random.fill(seed);
    const { window_us, sequence_us } = parts.choice.window ?? {};
    const options = {
      ...(window_us !== undefined && { window_us }),
      ...(sequence_us !== undefined && { sequence_us }),
      limits: LIMITS,
    };
    this.#binding = parts.createEgress(options, seed, 0);
    seed.fill(0);
    this.#policy = new EgressPolicy(this.#binding, parts.supply, 0, parts.choice, {
      entered: (hop) => {
        this.#hops.set(hop.hop, hop);
        this.#ahead?.revoke();
        parts.tell({ type: 'hop', change: 'entered', hop });
      },
      left: (hop) => {
        this.#ahead?.revoke();
        parts.tell({ type: 'hop', change: 'left', hop });
      },
      verdict: (verdict) => {
        this.#counts[verdict.kind] += 1;
        this.#ahead?.revoke();
        parts.tell({ type: 'verdict', verdict });
      },
      failed: (destination) => this.#ahead?.revoke(destination),
    });
    parts.supply.isEmpty = () => this.#policy.window.size === 0;
    const { routes, clock } = parts;
    this.#staggers = new Staggers(clock);
    this.#races = {
      policy: this.#policy,
      routes,
      staggers: this.#staggers,
      now_us: this.#now_us,
      running: this.#running,
    };
    this.#ahead = new Ahead({ policy: this.#policy, routes, now_us: this.#now_us });
    this.#book = new FlowBook({ egress: this.#binding, policy: this.#policy, now_us: this.#now_us });
  }

  readonly #now_us = (): number => Math.round((this.#parts.clock.monotonic_ms() - this.#origin_ms) * 1000);

  /**
   * A connection through an exit of the window, several of which may be asked for it. Rejects with what the exits said, with `no_path`
   * or `window_empty`, or `aborted`.
   */
  async connect<T>(
    wanted: Wanted,
    attempt: Attempt<T>,
    signal?: CallOff,
  ): Promise<{ value: T; flow: ExitFlow; route: ExitRoute }> {
    const { isolation, protocol } = wanted;
    const key = destinationKey(wanted);
    const decision = wanted.ahead === undefined ? undefined : this.#ahead?.taken(wanted.ahead);
    const choice = this.#open(wanted, key, decision);
    const terms = { key: isolation, ...this.#terms(choice, protocol), begun: begunOf(decision) };
    this.#counts.connections += 1;
    // One after the other as they come, so that it stands before the next one does.
    if (decision !== undefined) this.#drawAhead(wanted, key);
    try {
      const { value, route, release } = await race(this.#races, choice, terms, attempt, signal);
      this.#counts.answered += 1;
      this.#drawAhead(wanted, key);
      if (isolation === '') this.#last = route;
      const over = () => {
        this.#taken.delete(choice.flow);
        release();
      };
      return { value, route, flow: this.#book.begin(choice, key, protocol, route, over) };
    } catch (error) {
      this.#taken.delete(choice.flow);
      throw error;
    } finally {
      this.#counts.attempts += choice.attempts.length;
    }
  }

  /**
   * Datagrams are sent to one exit at a time: two would hand them on twice. What has had no answer for longer goes to another one,
   * since applications ask again. A path that was promised is kept likewise.
   */
  #terms({ width, how }: Choice, protocol: Wanted['protocol']): { width: number; stagger_us: number } {
    const { stagger_us } = this.#policy.options.race;
    const patient = protocol === 'udp' || how === EGRESS_GIVEN;
    return patient ? { width: 1, stagger_us: PATIENCE * stagger_us } : { width, stagger_us };
  }

  #drawAhead({ isolation, alike }: Wanted, key: string): void {
    if (alike === undefined || this.#closed || this.#draining || this.#taken.size >= LIMITS.tuples / 2) return;
    // What was promised to the next one without isolation comes first.
    if (isolation === '' && this.#reserved !== null) return;
    this.#ahead?.draw(alike, key, isolation);
  }

  #open(wanted: Wanted, key: string, decision: Decision | undefined): Choice {
    const { isolation, protocol, source } = wanted;
    const bytes = source === undefined ? this.#sources.next(isolation, protocol) : sourceAt(source, protocol);
    const now_us = this.#use();
    const hop = decision !== undefined ? this.#inWindow(decision.of) : isolation === '' ? this.#takeReserved() : -1;
    try {
      let choice = this.#policy.open(now_us, bytes, key, hop, decision?.how);
      // The same port at two listeners: two connections must not be one flow, of which the first to end ends both.
      if (this.#taken.has(choice.flow))
        choice = this.#policy.open(now_us, this.#sources.next(isolation, protocol), key, hop, decision?.how);
      this.#taken.add(choice.flow);
      return choice;
    } catch (error) {
      throw this.#whyEmpty(error);
    }
  }

  /** Somebody wants something: time is looked at from now on, and there are hops if the directory has some. */
  #use(): number {
    this.#stop ??= every(
      this.#parts.clock,
      () => TICK_MS,
      () => this.#tick(),
    );
    const now_us = this.#now_us();
    this.#used_us = now_us;
    // What a verdict has just taken may be had again where there is nothing else.
    if (this.#policy.window.size === 0) this.#policy.tick(now_us);
    return now_us;
  }

  #whyEmpty(error: unknown): unknown {
    const missing = this.#parts.missing();
    if (missing === undefined) return error;
    return new NetworkError('no_path', missing, {
      cause: error,
      hint: 'wait until more relays and exits are known, or check the bootstrap peers',
    });
  }

  #takeReserved(): number {
    const reserved = this.#reserved;
    this.#reserved = null;
    return reserved === null ? -1 : this.#inWindow(reserved.of);
  }

  #inWindow({ hop, serial }: WindowHop): number {
    return this.#policy.window.get(hop)?.serial === serial ? hop : -1;
  }

  /** A route that the next connection without isolation takes. */
  async reserve(): Promise<R> {
    const { routes, random } = this.#parts;
    const now_us = this.#use();
    const standing = this.#standing();
    if (standing !== null) return standing;
    this.#policy.tick(now_us);
    const hops = [...this.#policy.window.hops()];
    if (hops.length === 0) throw this.#whyEmpty(emptyWindow());
    let last: unknown;
    for (let tries = 0; tries < RESERVE_TRIES && hops.length > 0; tries++) {
      const [of] = hops.splice(random.below(hops.length), 1) as [WindowHop];
      try {
        const route = routes.ready('', of.exit) ?? (await routes.route('', of));
        this.#reserved = { of, route };
        this.#ahead?.revoke();
        return route;
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }

  #standing(): R | null {
    const reserved = this.#reserved;
    if (reserved === null) return null;
    const { of, route } = reserved;
    const stands =
      this.#policy.window.get(of.hop)?.serial === of.serial && this.#parts.routes.ready('', of.exit) === route;
    return stands ? route : null;
  }

  /** Where the latest connection without isolation went, or the next one will go; empty before the first. */
  path(): readonly string[] {
    return (this.#reserved?.route ?? this.#last)?.circuit.path ?? [];
  }

  /** Circuits have changed: what was decided on one that takes no more streams is taken back. */
  changed(): void {
    if (!this.#closed) this.#ahead?.check();
  }

  /** No more connections are taken. */
  drain(): void {
    this.#draining = true;
    this.#ahead?.revoke();
  }

  /** A circuit to this exit is not to be had, or it broke connections off. */
  lost(exit: string): void {
    if (this.#closed) return;
    for (const { hop, exit: of } of [...this.#policy.window.hops()])
      if (of === exit) this.#policy.lost(this.#now_us(), hop);
  }

  #tick(): void {
    if (this.#closed) return;
    this.#parts.collect?.();
    this.#book.flush();
    const now_us = this.#now_us();
    this.#policy.tick(now_us);
    this.#ahead?.check();
    const used = new Set([...this.#book.live].map(({ choice }) => choice.hop));
    for (const [id, hop] of this.#hops) if (this.#policy.window.get(id) !== hop && !used.has(id)) this.#hops.delete(id);
    this.#parts.routes.warm(now_us - this.#used_us < WARM_US ? [...this.#policy.window.hops()] : []);
  }

  /** The window as it is, with what is known of each hop. */
  report(): PathsReport {
    this.#book.flush();
    return describeExits({
      now_us: this.#now_us(),
      egress: this.#binding,
      policy: this.#policy,
      flows: [...this.#book.live],
      hops: this.#hops,
      exits: this.#parts.supply.size,
      entries: this.#parts.supply.entries(),
      counts: this.#counts,
    });
  }

  close(): void {
    if (this.#closed) return;
    for (const callOff of [...this.#running]) callOff();
    this.#ahead?.close();
    this.#staggers.close();
    this.#book.close();
    this.#closed = true;
    this.#stop?.();
    this.#parts.supply.close();
    this.#binding.close();
  }
}

/** As the exit is told; names differ in nothing but case. */
const destinationKey = ({ host, port }: Wanted): string =>
  joinHostPort(host.includes(':') ? host : host.toLowerCase(), port);

const begunOf = (decision: Decision | undefined): Begun | undefined =>
  decision?.route ? { hop: decision.of.hop, route: decision.route } : undefined;

const emptyWindow = () =>
  new NetworkError('window_empty', 'there is no exit to choose from', {
    hint: 'see that the node has neighbours, and wait for gossip',
  });

export type { ExitFlow };
