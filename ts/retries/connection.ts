/** A connection that an application wants, over all its tries. */
import type { Choice } from '../egress/policy.js';
import type { Transfer } from './transfers.js';

export interface Attempt {
  hop: number;
  serial: number;
  exit: number;
  intermediary: number;
  rtt_us: number;
  answer_us: number;
  /** When the sender notices that the circuit is gone. */
  lost_us: number;
  fails_us: number;
  failsAway: boolean;
}

/** For an answer, for the first bytes, for the last ones; or for the end of patience. */
export const WAITS = 0;
export const BEGINS = 1;
export const MOVES = 2;
export const STALLED = 3;

export class Connection implements Transfer {
  /** No two have the same. */
  id = 0;
  destination = 0;
  kind = 0;
  counted = false;
  born_us = 0;
  bytes = 0;
  tries = 0;
  attempted = 0;
  wasted = 0;
  choice: Choice | null = null;
  /** Of the try that runs; `attempts` of them. */
  readonly attempts: Attempt[] = [];
  count = 0;
  /** The one that was answered first. */
  won: Attempt | null = null;
  state = WAITS;
  /** An event of another number is none of this try's any more. */
  number = 0;
  tried_us = 0;
  attempted_us = 0;
  /** When what was put in the queue last is due. */
  due_us = 0;
  recorded = 0;
  starved_us = 0;
  activePlace = 0;
  exit = 0;
  intermediary = 0;
  exitPlace = 0;
  intermediaryPlace = 0;
  rate = 0;
  moved = 0;
  moved_us = 0;

  /** Another try begins. */
  tried(now_us: number): void {
    this.tries += 1;
    this.tried_us = now_us;
    this.state = WAITS;
    this.won = null;
    this.count = 0;
    this.moved = 0;
    this.recorded = 0;
    this.starved_us = 0;
  }

  /** Another attempt of this try, to be filled in. */
  attempt(now_us: number): Attempt {
    let attempt = this.attempts[this.count];
    if (attempt === undefined) {
      attempt = {} as Attempt;
      this.attempts.push(attempt);
    }
    this.count += 1;
    this.attempted += 1;
    this.attempted_us = now_us;
    return attempt;
  }
}
