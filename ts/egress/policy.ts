/**
 * The choice of exits as a node runs it and the simulator too: a window of hops, a draw per connection, races, verdicts.
 *
 * Pure over the time of each call and a source of randomness; no timers: the caller asks `tick` about once a second, and makes
 * another attempt (`more`) when a choice's stagger has passed without an answer.
 *
 * Invariant: only `host:port` is handed on as the destination; a flow to which anything has come keeps its hop.
 */
import { NetworkError } from '../base/errors.js';
import {
  EGRESS_BY_DESTINATION,
  EGRESS_FORCED,
  EGRESS_GIVEN,
  EGRESS_OPENED,
  EGRESS_STICKY,
  type EgressBinding,
  type EgressStats,
} from '../core/egress.js';
import { type EgressPolicyChoice, type EgressPolicyOptions, egressOptions } from './options.js';
import { type Verdict, Verdicts } from './verdicts.js';
import { type HopSupply, HopWindow, type WindowHop } from './window.js';

/** A connection and the hops it may go through. */
export interface Choice {
  flow: number;
  destination: number;
  /** The flow's; another one once a race was won by it. */
  hop: number;
  /** `EGRESS_STICKY` and so on. */
  how: number;
  /** Nothing had come from the destination in the past K. */
  cold: boolean;
  /** Attempts so far: the flow's own first. `since_us`: when its exit was asked. `ended`: how one did before the race was decided. */
  attempts: { hop: number; since_us: number; ended?: 'failed' | 'void' }[];
  /** So many attempts are to be made at once. */
  width: number;
  state: 'trying' | 'answered' | 'closed';
}

/** Who wants to know as it happens. */
export interface PolicyWatch {
  entered?(hop: WindowHop): void;
  left?(hop: WindowHop): void;
  verdict?(verdict: Verdict): void;
  /** A connection to this destination, or an attempt at one, came to nothing: draws leave something out there. */
  failed?(destination: string): void;
}

const NONE = new Uint32Array();
/** M, where the weighting does not say: as `crates/stats` has it. */
const RETRY_WITHIN_US = 2_000_000;

export class EgressPolicy {
  readonly options: EgressPolicyOptions;
  readonly window: HopWindow;
  readonly #egress: EgressBinding;
  readonly #verdicts: Verdicts;
  readonly #watch: PolicyWatch;
  readonly #opened = new Float64Array(EGRESS_OPENED);
  readonly #one = new Uint32Array(1);
  /** By destination, when a connection to it failed last, in the past M. */
  readonly #failed = new Map<number, number>();

  /** `egress` was made with the same K and L. */
  constructor(
    egress: EgressBinding,
    supply: HopSupply,
    now_us: number,
    choice: EgressPolicyChoice = {},
    watch: PolicyWatch = {},
  ) {
    this.#watch = watch;
    this.options = egressOptions(choice);
    this.#egress = egress;
    egress.setWeighting(JSON.stringify(this.options.weighting));
    this.window = new HopWindow(egress, supply, this.options.window, now_us);
    const condemn = (at_us: number, hop: number, until_us: number) => {
      this.#left(this.window.remove(at_us, hop, until_us));
      this.#entered(at_us, this.window.fill(at_us));
    };
    this.#verdicts = new Verdicts(egress, this.options, condemn, (verdict) => watch.verdict?.(verdict));
    this.#entered(now_us, this.window.fill(now_us));
  }

  /**
   * A connection from `source` (EGRESS_SOURCE_BYTES) to `host:port`. Throws `window_empty` where the directory has no exit that may be
   * used, `egress_full` where too many flows are live. `hop` names one instead of a draw; `drawn`: it was drawn ahead, and how.
   */
  open(now_us: number, source: Uint8Array, key: string, hop = -1, drawn?: number): Choice {
    if (this.window.size === 0) this.#entered(now_us, this.window.fill(now_us));
    if (this.window.size === 0) {
      throw new NetworkError('window_empty', 'there is no exit to choose from', {
        hint: 'the directory knows none that is fresh and not held off by a verdict: see that the node has neighbours, and wait for gossip',
      });
    }
    const out = this.#opened;
    const destination = this.#egress.destination(now_us, key);
    const cold = !this.#verdicts.up(now_us, destination);
    const flow = this.#egress.flowOpen(now_us, source, destination, hop, NONE, out);
    const [chosen, kind, connections, peak] = out as unknown as [number, number, number, number];
    const how = kind === EGRESS_GIVEN ? (drawn ?? kind) : kind;
    this.#entered(now_us, this.window.opened(now_us, connections, peak));
    const { race } = this.options;
    let width = 1;
    if (how !== EGRESS_STICKY) width = cold ? race.cold : how === EGRESS_BY_DESTINATION ? 1 : race.explore;
    const attempts = [{ hop: chosen, since_us: now_us }];
    return {
      flow,
      destination,
      hop: chosen,
      how,
      cold,
      attempts,
      width: Math.min(width, race.most),
      state: 'trying',
    };
  }

  /**
   * The hop that a new connection to `host:port` would be given now, and how it was come by; `null` where more than the destination
   * decides: a retry leaves out what was tried, and a race asks several.
   */
  ahead(now_us: number, key: string): { hop: number; how: number } | null {
    if (this.window.size === 0 || !this.mayAhead(now_us, key)) return null;
    if (this.#egress.draw(now_us, this.#egress.destination(now_us, key), NONE, this.#one) === 0) return null;
    const how = this.#egress.lastHow();
    return how === EGRESS_FORCED ? null : { hop: this.#one[0] as number, how };
  }

  mayAhead(now_us: number, key: string): boolean {
    const { race, weighting } = this.options;
    if (race.explore > 1) return false;
    const destination = this.#egress.destination(now_us, key);
    const failed_us = this.#failed.get(destination) ?? Number.NEGATIVE_INFINITY;
    if (now_us - failed_us <= (weighting.retryWithin_us ?? RETRY_WITHIN_US)) return false;
    return race.cold === 1 || this.#verdicts.up(now_us, destination);
  }

  /** One more attempt beside those made, through another hop, which it returns; -1 where there may be none. */
  more(now_us: number, choice: Choice): number {
    const { attempts, destination } = choice;
    if (choice.state !== 'trying' || choice.how === EGRESS_STICKY || attempts.length >= this.options.race.most)
      return -1;
    if (this.window.size === 0) return -1;
    const tried = Uint32Array.from(attempts, ({ hop }) => hop);
    if (this.#egress.draw(now_us, destination, tried, this.#one) === 0) return -1;
    const hop = this.#one[0] as number;
    if (tried.includes(hop)) return -1;
    this.#egress.attemptOpen(now_us, destination, hop);
    attempts.push({ hop, since_us: now_us });
    return hop;
  }

  /** A circuit is to be had first: until `asked`, no silence is the exit's. */
  notYetAsked({ attempts }: Choice, hop: number): void {
    const attempt = attempts.find((of) => of.hop === hop);
    if (attempt !== undefined) attempt.since_us = Number.POSITIVE_INFINITY;
  }

  asked(now_us: number, { attempts }: Choice, hop: number): void {
    const attempt = attempts.find((of) => of.hop === hop);
    if (attempt !== undefined) attempt.since_us = now_us;
  }

  /** This attempt came to an end: its exit did not connect. It counts as silent once another one answers. */
  failed(now_us: number, choice: Choice, hop: number): void {
    this.#end(now_us, choice, hop, 'failed');
  }

  /** This attempt came to an end before its exit was asked: nothing is learnt of the two. */
  voided(now_us: number, choice: Choice, hop: number): void {
    this.#end(now_us, choice, hop, 'void');
  }

  #end(now_us: number, { state, attempts, destination }: Choice, hop: number, how: 'failed' | 'void'): void {
    const at = attempts.findIndex((attempt) => attempt.hop === hop);
    const attempt = attempts[at];
    if (state !== 'trying' || attempt === undefined || attempt.ended !== undefined) return;
    attempt.ended = how;
    if (at > 0) this.#egress.attemptClose(now_us, destination, hop, how === 'failed');
    if (how === 'failed') this.#watch.failed?.(this.#egress.destinationKey(destination));
  }

  /**
   * The first bytes came, through this hop: the race is decided, and the caller closes the other attempts. A loser that had been
   * silent for the stagger and four times as long as the winner took counts as silent; the others as nothing.
   */
  answered(now_us: number, choice: Choice, hop: number): void {
    if (choice.state !== 'trying') return;
    const won = choice.attempts.find((attempt) => attempt.hop === hop);
    if (won === undefined) return;
    choice.state = 'answered';
    const patience_us = Math.max(this.options.race.stagger_us, 4 * (now_us - won.since_us));
    // First, so that the silence of the others is one of theirs.
    this.#verdicts.answered(now_us, hop, choice.destination);
    choice.attempts.forEach((attempt, at) => {
      const { ended } = attempt;
      const waited = ended === undefined && now_us - attempt.since_us >= patience_us;
      const silent = attempt !== won && (ended === 'failed' || waited);
      if (at > 0 && ended === undefined) this.#egress.attemptClose(now_us, choice.destination, attempt.hop, silent);
      if (!silent) return;
      this.#verdicts.silent(now_us, attempt.hop, choice.destination);
      this.#watch.failed?.(this.#egress.destinationKey(choice.destination));
    });
    if (hop !== choice.hop && this.window.get(hop) !== undefined && this.#egress.flowMove(now_us, choice.flow, hop))
      choice.hop = hop;
  }

  /** Bytes came on a connection that stood already: only its hop's being alive is learnt. */
  moved(now_us: number, choice: Choice): void {
    this.#verdicts.answered(now_us, choice.hop, choice.destination);
  }

  /** It has ended. `failed`: its application gets nothing from it any more. */
  close(now_us: number, choice: Choice, failed: boolean): void {
    const { state, attempts, destination } = choice;
    if (state === 'closed') return;
    choice.state = 'closed';
    const silent = failed && state === 'trying';
    if (state === 'trying')
      for (const { hop, ended } of attempts.slice(1))
        if (ended === undefined) this.#egress.attemptClose(now_us, destination, hop, failed);
    this.#egress.flowClose(now_us, choice.flow, failed);
    if (failed) {
      this.#failed.set(destination, now_us);
      this.#watch.failed?.(this.#egress.destinationKey(destination));
    }
    if (silent) {
      for (const { hop, ended, since_us } of attempts)
        if (ended !== 'void' && since_us <= now_us) this.#verdicts.silent(now_us, hop, destination);
    } else if (failed) this.#verdicts.silent(now_us, choice.hop, destination);
  }

  /** The circuit over this hop, or its exit, is gone. */
  lost(now_us: number, hop: number): void {
    this.#verdicts.lost(now_us, hop);
  }

  /** About once a second. */
  tick(now_us: number): void {
    const { retryWithin_us = RETRY_WITHIN_US } = this.options.weighting;
    for (const [destination, at_us] of this.#failed)
      if (now_us - at_us > retryWithin_us) this.#failed.delete(destination);
    this.#verdicts.tick(now_us, () => this.window.rows(now_us));
    this.#left(this.window.tick(now_us));
    this.#entered(now_us, this.window.fill(now_us));
  }

  verdicts(now_us: number): Verdict[] {
    return this.#verdicts.list(now_us);
  }

  stats(): EgressStats {
    return JSON.parse(this.#egress.stats());
  }

  #entered(now_us: number, hops: WindowHop[]): void {
    for (const hop of hops) {
      this.#verdicts.added(now_us, hop);
      this.#watch.entered?.(hop);
    }
  }

  #left(hop: WindowHop | undefined): void {
    if (hop === undefined) return;
    this.#verdicts.removed(hop.hop);
    this.#watch.left?.(hop);
  }
}
