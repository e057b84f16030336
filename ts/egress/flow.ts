/**
 * A connection that runs: what it moves goes to the kernel in batches, and how it ends to the policy.
 *
 * Invariant: a flow is ended once, and lets go of its circuit then.
 */
import { EGRESS_RECORD, type EgressBinding } from '../core/egress.js';
import type { Choice, EgressPolicy } from './policy.js';
import type { ExitRoute } from './race.js';

const BATCH = 256;
/** Destinations of which it is known that bytes came lately; the oldest goes. */
const SPOKE_MAX = 4096;

/** What a flow has moved, in so many pieces, between two times. */
export interface FlowMoved {
  sent: number;
  received: number;
  pieces_sent: number;
  pieces_received: number;
  first_us: number;
  last_us: number;
}

export interface FlowBookParts {
  egress: EgressBinding;
  policy: EgressPolicy;
  now_us(): number;
}

/** All flows that run, and the records that wait for the next batch. */
export class FlowBook {
  readonly live = new Set<ExitFlow>();
  readonly #parts: FlowBookParts;
  readonly #records = new Float64Array(BATCH * EGRESS_RECORD);
  #count = 0;
  readonly #counting = new Set<ExitFlow>();
  /** By destination, when bytes came from it last. */
  readonly #spoke = new Map<string, number>();
  #closed = false;

  constructor(parts: FlowBookParts) {
    this.#parts = parts;
  }

  begin(choice: Choice, destination: string, protocol: 'tcp' | 'udp', route: ExitRoute, release: () => void): ExitFlow {
    const flow = new ExitFlow(this, choice, destination, protocol, route, release, this.#parts.now_us());
    this.live.add(flow);
    return flow;
  }

  /** Hands over what has been counted. */
  flush(): void {
    for (const flow of this.#counting) flow.settle();
    this.#counting.clear();
    this.#hand();
  }

  close(): void {
    for (const flow of [...this.live]) flow.end();
    this.#closed = true;
  }

  /** @internal */
  now_us(): number {
    return this.#parts.now_us();
  }

  /** @internal */
  counting(flow: ExitFlow): void {
    this.#counting.add(flow);
  }

  /** @internal */
  record({ choice, destination }: ExitFlow, moved: FlowMoved): void {
    // Of one that an exit carries which has left the window, nothing is learnt.
    if (this.#closed || choice.state === 'closed') return;
    const { sent, received, pieces_sent, pieces_received, first_us, last_us } = moved;
    const { flow } = choice;
    // Two records where there were two times: the interval is what a speed is made of.
    if (last_us <= first_us) this.#push(flow, last_us, sent, received, pieces_sent, pieces_received);
    else {
      const halves = (round: (of: number) => number) =>
        [sent, received, pieces_sent, pieces_received].map((of) => round(of / 2));
      this.#push(flow, first_us, ...halves(Math.ceil));
      this.#push(flow, last_us, ...halves(Math.floor));
    }
    if (received === 0) return;
    const now_us = this.#parts.now_us();
    this.#spoke.delete(destination);
    this.#spoke.set(destination, now_us);
    for (const oldest of this.#spoke.keys()) {
      if (this.#spoke.size <= SPOKE_MAX) break;
      this.#spoke.delete(oldest);
    }
    this.#parts.policy.moved(now_us, choice);
  }

  /** @internal */
  ended(flow: ExitFlow): void {
    this.live.delete(flow);
    this.#counting.delete(flow);
    if (this.#closed) return;
    this.#hand();
    const now_us = this.#parts.now_us();
    const { policy } = this.#parts;
    // An exit may say that it has connected, and carry nothing. That shows where the destination speaks to others, and nowhere
    // else: much that is only sent to never answers.
    const spoke_us = this.#spoke.get(flow.destination) ?? Number.NEGATIVE_INFINITY;
    const silent = flow.sent > 0 && flow.received === 0 && now_us - flow.since_us >= policy.options.race.stagger_us;
    policy.close(now_us, flow.choice, silent && now_us - spoke_us <= policy.options.window.window_us);
  }

  #push(...record: number[]): void {
    if (this.#count === BATCH) this.#hand();
    this.#records.set(record, this.#count * EGRESS_RECORD);
    this.#count += 1;
  }

  #hand(): void {
    if (this.#count === 0 || this.#closed) return;
    this.#parts.egress.record(this.#parts.now_us(), this.#records, this.#count);
    this.#count = 0;
  }
}

export class ExitFlow {
  readonly choice: Choice;
  /** `host:port`, as the exit was told. */
  readonly destination: string;
  readonly protocol: 'tcp' | 'udp';
  readonly route: ExitRoute;
  readonly since_us: number;
  sent = 0;
  received = 0;
  readonly #book: FlowBook;
  readonly #release: () => void;
  #waiting: FlowMoved | null = null;
  #ended = false;

  constructor(
    book: FlowBook,
    choice: Choice,
    destination: string,
    protocol: 'tcp' | 'udp',
    route: ExitRoute,
    release: () => void,
    now_us: number,
  ) {
    this.#book = book;
    this.choice = choice;
    this.destination = destination;
    this.protocol = protocol;
    this.route = route;
    this.#release = release;
    this.since_us = now_us;
  }

  /** A piece that this program has moved itself. */
  count(sent: number, received: number): void {
    if (this.#ended) return;
    const now_us = this.#book.now_us();
    if (this.#waiting === null) {
      this.#book.counting(this);
      this.#waiting = { sent: 0, received: 0, pieces_sent: 0, pieces_received: 0, first_us: now_us, last_us: now_us };
    }
    const moved = this.#waiting;
    moved.sent += sent;
    moved.received += received;
    if (sent > 0) moved.pieces_sent += 1;
    if (received > 0) moved.pieces_received += 1;
    moved.last_us = now_us;
  }

  /** What somebody else has moved and counted; its times are ages. */
  moved({ first_us, last_us, ...moved }: FlowMoved): void {
    const now_us = this.#book.now_us();
    this.#moved({ ...moved, first_us: Math.max(0, now_us - first_us), last_us: Math.max(0, now_us - last_us) });
  }

  #moved(moved: FlowMoved): void {
    if (this.#ended) return;
    this.sent += moved.sent;
    this.received += moved.received;
    this.#book.record(this, moved);
  }

  /** @internal */
  settle(): void {
    const moved = this.#waiting;
    this.#waiting = null;
    if (moved !== null) this.#moved(moved);
  }

  /** It is over. */
  end(): void {
    if (this.#ended) return;
    this.settle();
    this.#ended = true;
    this.#book.ended(this);
    this.#release();
  }
}
