/** One policy in one world: connections come, are tried, stall, are tried again, and end. */
import { NetworkError } from '../base/errors.js';
import type { CreateEgress } from '../core/egress.js';
import type { Choice } from '../egress/policy.js';
import { Arrivals } from './arrivals.js';
import { type Attempt, BEGINS, Connection, MOVES, STALLED, WAITS } from './connection.js';
import { COLD, Counts, FIRST, type RunFigures, WARM } from './counts.js';
import type { RunHooks } from './hooks.js';
import type { RunOptions } from './options.js';
import { EventQueue } from './queue.js';
import { Sender, type SenderOptions } from './sender.js';
import { Transfers } from './transfers.js';
import { World } from './world.js';

const S = 1_000_000;
const NEVER = Number.POSITIVE_INFINITY;
/** Connections go on coming for so long after those that are counted: these end as they would. */
const DRAIN_US = 60 * S;
/** Records wait at most so long. */
const FLUSH_US = 100_000;
/** Tries of a connection until its application gives up for good. */
const TRIES_MAX = 64;
/** So long after it found no exit at all, an application tries again. */
const NO_EXIT_US = S;
/** A request, and the first packet of what comes back. */
const REQUEST_BYTES = 600;
const PACKET_BYTES = 1202;
/** What an attempt costs that does not get the flow: a packet to open it, one that answers, one that closes it. */
export const ATTEMPT_BYTES = 3 * PACKET_BYTES;

export class Run {
  readonly world: World;
  readonly sender: Sender;
  readonly transfers: Transfers<Connection>;
  readonly counts: Counts;
  readonly #options: RunOptions;
  readonly #hooks: RunHooks;
  readonly #queue = new EventQueue<Connection>();
  readonly #free: Connection[] = [];
  /** Those that move. */
  readonly #active: Connection[] = [];
  readonly #lastData_us: Float64Array;
  readonly #race: { stagger_us: number; most: number };
  #flush_us = FLUSH_US;
  #running = 0;
  #begun = 0;

  constructor(
    createEgress: CreateEgress,
    options: RunOptions,
    sender: Omit<SenderOptions, 'pick'>,
    hooks: RunHooks = {},
  ) {
    this.#options = options;
    this.#hooks = hooks;
    this.world = new World(options.world, options.seed);
    this.counts = new Counts(options.world.exits);
    this.transfers = new Transfers(this.world.exitLimit, this.world.intermediaryLimit, (now_us, connection) =>
      this.#rated(now_us, connection),
    );
    this.#lastData_us = new Float64Array(options.world.destinations).fill(-NEVER);
    const { pick } = hooks;
    const picks = pick && { pick: (now_us: number, destination: number) => pick(now_us, destination, this) };
    this.sender = new Sender(createEgress, this.world, { ...sender, ...picks });
    this.#race = this.sender.policy.options.race;
  }

  /** Until the last connection that is counted has ended. */
  simulate(): RunFigures {
    const { world, warm_us, counted_us, seed, drain_us = NEVER } = this.#options;
    const end_us = warm_us + counted_us;
    const last_us = end_us + Math.min(drain_us, DRAIN_US);
    const arrivals = new Arrivals(world, seed);
    let tick_us = S;
    let slice_us = world.stall_us;
    let now_us = 0;
    try {
      for (;;) {
        const arrival_us = arrivals.at_us <= last_us ? arrivals.at_us : NEVER;
        const event_us = this.#queue.first_us;
        now_us = Math.min(arrival_us, event_us, tick_us);
        if (now_us > end_us && (this.#running === 0 || now_us > end_us + drain_us)) break;
        if (now_us >= this.#flush_us) {
          this.sender.flush(now_us);
          this.#flush_us = now_us + FLUSH_US;
        }
        if (tick_us === now_us) {
          this.#tick(now_us);
          tick_us += S;
          if (slice_us <= now_us) {
            this.counts.slice(this.sender.policy.window.size, now_us > warm_us && now_us <= end_us);
            slice_us += world.stall_us;
          }
        } else if (arrival_us === now_us) {
          this.#arrive(now_us, arrivals, now_us >= warm_us && now_us < end_us);
          arrivals.next();
        } else {
          const number = this.#queue.firstKind;
          const connection = this.#queue.pop();
          if (connection.number === number) this.#due(now_us, connection);
        }
      }
    } finally {
      this.sender.close();
    }
    return this.counts.figures(counted_us / S, now_us / S, this.#begun);
  }

  #arrive(now_us: number, arrivals: Arrivals, counted: boolean): void {
    const connection = this.#free.pop() ?? new Connection();
    const { destination } = arrivals;
    connection.destination = destination;
    connection.kind = FIRST;
    if (!arrivals.first) {
      const since_us = now_us - (this.#lastData_us[destination] as number);
      connection.kind = since_us <= this.#options.world.stall_us ? WARM : COLD;
    }
    connection.counted = counted;
    connection.born_us = now_us;
    connection.bytes = arrivals.bytes;
    connection.tries = 0;
    connection.attempted = 0;
    connection.wasted = 0;
    connection.id = this.#begun;
    this.#begun += 1;
    if (counted) this.#running += 1;
    this.#try(now_us, connection);
  }

  #try(now_us: number, connection: Connection): void {
    const { sender } = this;
    const choice = this.#opened(now_us, connection);
    connection.choice = choice;
    connection.tried(now_us);
    if (choice === null) {
      connection.state = STALLED;
      this.#put(now_us + NO_EXIT_US, connection);
      return;
    }
    this.#attempt(now_us, connection, choice.hop);
    this.#hooks.opened?.(choice, (connection.attempts[0] as Attempt).exit, now_us);
    while (connection.count < choice.width) {
      const hop = sender.policy.more(now_us, choice);
      if (hop < 0) break;
      this.#attempt(now_us, connection, hop);
    }
    this.#wait(now_us, connection);
  }

  /** `null` where there is no exit at this moment: all that the directory has are away, or held off by a verdict. */
  #opened(now_us: number, { id, tries, destination }: Connection): Choice | null {
    try {
      return this.sender.open(now_us, id, tries, destination);
    } catch (caught) {
      if (caught instanceof NetworkError && caught.code === 'window_empty') return null;
      throw caught;
    }
  }

  #attempt(now_us: number, connection: Connection, hop: number): void {
    const { exit, intermediary, path_us, serial } = this.sender.way(hop);
    const fate = this.world.meet(exit, intermediary, connection.destination, now_us);
    const attempt = connection.attempt(now_us);
    const rtt_us = Math.ceil(path_us + this.world.beyond_us(exit, connection.destination));
    attempt.hop = hop;
    attempt.serial = serial;
    attempt.exit = exit;
    attempt.intermediary = intermediary;
    attempt.rtt_us = rtt_us;
    attempt.fails_us = fate.silent ? now_us : Math.ceil(fate.until_us);
    attempt.failsAway = fate.silent ? fate.away : fate.untilAway;
    attempt.answer_us = attempt.fails_us >= now_us + rtt_us ? now_us + rtt_us : NEVER;
    attempt.lost_us =
      attempt.answer_us === NEVER && attempt.failsAway ? attempt.fails_us + this.#options.world.lost_us : NEVER;
  }

  /** For what comes first: an answer, a loss, the time for another attempt, the end of patience. */
  #wait(now_us: number, connection: Connection): void {
    const { stagger_us, most } = this.#race;
    let due_us = connection.tried_us + this.#options.world.stall_us;
    for (let i = 0; i < connection.count; i++) {
      const attempt = connection.attempts[i] as Attempt;
      due_us = Math.min(due_us, attempt.answer_us, attempt.lost_us);
    }
    if (stagger_us > 0 && connection.count < most && connection.attempted_us + stagger_us > now_us)
      due_us = Math.min(due_us, connection.attempted_us + stagger_us);
    this.#put(due_us, connection);
  }

  #put(at_us: number, connection: Connection): void {
    connection.due_us = at_us;
    connection.number = (connection.number + 1) & 0x3fffffff;
    this.#queue.push(at_us, connection.number, connection);
  }

  #due(now_us: number, connection: Connection): void {
    switch (connection.state) {
      case WAITS:
        this.#waited(now_us, connection);
        break;
      case BEGINS:
        this.#begin(now_us, connection);
        break;
      case MOVES:
        this.#move(now_us, connection);
        break;
      default:
        this.#failed(now_us, connection);
    }
  }

  #waited(now_us: number, connection: Connection): void {
    const { policy } = this.sender;
    const choice = connection.choice as Choice;
    let standing = 0;
    for (let i = 0; i < connection.count; i++) {
      const attempt = connection.attempts[i] as Attempt;
      if (attempt.answer_us <= now_us) {
        policy.answered(now_us, choice, attempt.hop);
        connection.won = attempt;
        connection.state = BEGINS;
        connection.wasted += (connection.count - 1) * ATTEMPT_BYTES;
        this.#put(now_us + attempt.rtt_us, connection);
        return;
      }
      if (attempt.lost_us <= now_us) {
        this.#lose(now_us, attempt);
        attempt.lost_us = NEVER;
        attempt.hop = -1;
      }
      if (attempt.hop >= 0) standing += 1;
    }
    const patient = now_us < connection.tried_us + this.#options.world.stall_us;
    const { stagger_us, most } = this.#race;
    const due = standing === 0 || now_us >= connection.attempted_us + stagger_us;
    const again = patient && due && stagger_us > 0 && connection.count < most;
    const hop = again ? policy.more(now_us, choice) : -1;
    if (hop >= 0) this.#attempt(now_us, connection, hop);
    if (hop >= 0 || (patient && standing > 0)) this.#wait(now_us, connection);
    else this.#failed(now_us, connection);
  }

  /** The first bytes. */
  #begin(now_us: number, connection: Connection): void {
    const won = connection.won as Attempt;
    if (won.fails_us <= now_us) {
      this.#stall(won.fails_us, connection);
      return;
    }
    connection.exit = won.exit;
    connection.intermediary = won.intermediary;
    connection.state = MOVES;
    const first = Math.min(PACKET_BYTES, connection.bytes);
    connection.moved = first;
    connection.activePlace = this.#active.push(connection) - 1;
    this.counts.served(won.exit);
    this.#record(now_us, connection, REQUEST_BYTES);
    connection.due_us = NEVER;
    this.transfers.join(now_us, connection);
  }

  /** It moves at another speed from now on. */
  #rated(now_us: number, connection: Connection): void {
    const left = connection.bytes - connection.moved;
    const ends_us = now_us + Math.max(0, Math.ceil(left / connection.rate));
    const due_us = Math.min(ends_us, Math.max(now_us, (connection.won as Attempt).fails_us));
    // One that is due earlier than it need be is asked again then.
    if (due_us < connection.due_us) this.#put(due_us, connection);
  }

  #move(now_us: number, connection: Connection): void {
    this.transfers.catchUp(now_us, connection);
    const won = connection.won as Attempt;
    const left = connection.bytes - connection.moved;
    if (left > 0.5 && won.fails_us > now_us) {
      connection.due_us = NEVER;
      this.#rated(now_us, connection);
      return;
    }
    this.#part(now_us, connection);
    if (left > 0.5) {
      this.#stall(now_us, connection);
      return;
    }
    connection.moved = connection.bytes;
    this.#record(now_us, connection, 0);
    const choice = connection.choice as Choice;
    this.sender.policy.moved(now_us, choice);
    this.sender.policy.close(now_us, choice, false);
    this.counts.moved(connection.exit, connection.bytes);
    this.#end(now_us, connection, connection.bytes);
  }

  #part(now_us: number, connection: Connection): void {
    this.transfers.leave(now_us, connection);
    const last = this.#active.pop() as Connection;
    if (last !== connection) {
      this.#active[connection.activePlace] = last;
      last.activePlace = connection.activePlace;
    }
  }

  /** Nothing comes any more, since then. */
  #stall(since_us: number, connection: Connection): void {
    const { stall_us, lost_us } = this.#options.world;
    const last_us = connection.state === BEGINS ? connection.tried_us : since_us;
    connection.state = STALLED;
    this.#put((connection.won as Attempt).failsAway ? since_us + lost_us : last_us + stall_us, connection);
  }

  /** The try is over: the application tries again. */
  #failed(now_us: number, connection: Connection): void {
    const { won, choice } = connection;
    if (choice !== null) {
      if (connection.moved > connection.recorded) this.#record(now_us, connection, 0);
      this.sender.flush(now_us);
      if (won?.failsAway && won.fails_us <= now_us) this.#lose(now_us, won);
      this.sender.policy.close(now_us, choice, true);
      connection.wasted += connection.moved + (won === null ? connection.count : 1) * ATTEMPT_BYTES;
    }
    if (connection.tries < TRIES_MAX) {
      this.#try(now_us, connection);
    } else {
      if (connection.counted) this.counts.abandoned += 1;
      this.#end(now_us, connection, 0);
    }
  }

  #lose(now_us: number, { hop, serial }: Attempt): void {
    if (this.sender.policy.window.get(hop)?.serial === serial) this.sender.policy.lost(now_us, hop);
  }

  #end(now_us: number, connection: Connection, useful: number): void {
    const { kind, tries, attempted, born_us, wasted } = connection;
    if (connection.counted) {
      this.#running -= 1;
      this.counts.done(kind, tries, attempted, now_us - born_us, useful, wasted);
      if (kind !== FIRST) this.#hooks.ended?.(born_us, tries - 1, attempted);
    }
    connection.choice = null;
    connection.number = (connection.number + 1) & 0x3fffffff;
    this.#free.push(connection);
  }

  #record(now_us: number, connection: Connection, sent: number): void {
    const received = Math.floor(connection.moved) - connection.recorded;
    connection.recorded += received;
    if (received > 0 && connection.kind !== FIRST) this.#lastData_us[connection.destination] = now_us;
    this.sender.record(now_us, (connection.choice as Choice).flow, sent, received);
  }

  #tick(now_us: number): void {
    const { stallBytes, stall_us } = this.#options.world;
    const { policy } = this.sender;
    for (let i = this.#active.length - 1; i >= 0; i--) {
      const connection = this.#active[i] as Connection;
      this.transfers.catchUp(now_us, connection);
      const before = connection.recorded;
      this.#record(now_us, connection, 0);
      policy.moved(now_us, connection.choice as Choice);
      // Fewer than n bytes in K, second by second.
      const starves = (connection.recorded - before) * stall_us < stallBytes * S;
      connection.starved_us = starves ? connection.starved_us + S : 0;
      if (connection.starved_us >= stall_us && connection.moved < connection.bytes - 1) {
        this.#part(now_us, connection);
        this.#failed(now_us, connection);
      }
    }
    this.sender.flush(now_us);
    policy.tick(now_us);
    if (now_us > this.#options.warm_us) this.counts.window(policy.window.size, this.sender.floor(now_us));
    this.#hooks.tick?.(now_us, this);
  }
}
