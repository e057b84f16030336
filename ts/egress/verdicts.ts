/**
 * What is held against hops: *bad* (slow or silent everywhere), *blocked* (this destination through this exit), *disappeared* (the
 * circuit or the exit is gone). Each has its evidence, a scope, an end, and with it a way back.
 *
 * Invariant: silence counts against a hop only if the same destination answered through another one within K before or after it.
 * So a destination that is down everywhere is held against nobody, whatever is tried.
 */
import { EGRESS_HOP, type EgressBinding, EgressHop } from '../core/egress.js';
import type { EgressPolicyOptions } from './options.js';
import type { WindowHop } from './window.js';

export type VerdictKind = 'bad' | 'blocked' | 'disappeared';

export interface Verdict {
  kind: VerdictKind;
  exit: string;
  /** As the exit is told; only for *blocked*. */
  destination?: string;
  /** What it rests on. */
  evidence: { what: 'silent' | 'slow' | 'gone'; destinations: number; strikes: number };
  since_us: number;
  until_us: number;
}

interface HopEvidence {
  of: WindowHop;
  /** Destinations that answer others, with when this hop was silent there. */
  silent: Map<number, number>;
  answered_us: number;
  slow: number;
}

interface DestinationEvidence {
  /** Through whom it answered last, and last before that through another. */
  hop: number;
  at_us: number;
  otherAt_us: number;
  /** Silences that nobody has contradicted yet. */
  silent: Map<HopEvidence, number>;
}

/** For how many of its own durations a verdict is remembered, so that the next one holds longer. */
const REMEMBERED = 3;

export class Verdicts {
  readonly #egress: EgressBinding;
  readonly #options: EgressPolicyOptions;
  /** *bad* and *disappeared*: the hop leaves the window. */
  readonly #condemn: (now_us: number, hop: number, until_us: number) => void;
  readonly #tell: (verdict: Verdict) => void;
  readonly #hops = new Map<number, HopEvidence>();
  readonly #destinations = new Map<number, DestinationEvidence>();
  /** By exit, then by destination or ''. */
  readonly #passed = new Map<string, Map<string, Verdict>>();
  #looked_us = 0;

  constructor(
    egress: EgressBinding,
    options: EgressPolicyOptions,
    condemn: (now_us: number, hop: number, until_us: number) => void,
    tell: (verdict: Verdict) => void = () => {},
  ) {
    this.#tell = tell;
    this.#egress = egress;
    this.#options = options;
    this.#condemn = condemn;
  }

  /** A hop has entered the window; what its exit is blocked from still holds. */
  added(now_us: number, of: WindowHop): void {
    this.#hops.set(of.hop, { of, silent: new Map(), answered_us: Number.NEGATIVE_INFINITY, slow: 0 });
    for (const { destination, until_us } of this.#passed.get(of.exit)?.values() ?? []) {
      if (destination === undefined || until_us <= now_us) continue;
      this.#egress.pairExclude(now_us, of.hop, this.#egress.destination(now_us, destination), until_us);
    }
  }

  removed(hop: number): void {
    this.#hops.delete(hop);
  }

  /** Bytes came from the destination through this hop. */
  answered(now_us: number, hop: number, destination: number): void {
    const evidence = this.#hops.get(hop);
    if (evidence !== undefined) evidence.answered_us = now_us;
    const known = this.#destination(destination);
    if (known.hop !== hop) {
      [known.otherAt_us, known.hop] = [known.at_us, hop];
    }
    known.at_us = now_us;
    if (known.silent.size === 0) return;
    for (const [silent, at_us] of known.silent) {
      if (silent !== evidence && now_us - at_us <= this.#options.window.window_us)
        this.#confirmed(now_us, silent, destination);
    }
    known.silent.clear();
  }

  /** Whether anything came from it in the past K. */
  up(now_us: number, destination: number): boolean {
    const known = this.#destinations.get(destination);
    return known !== undefined && now_us - known.at_us <= this.#options.window.window_us;
  }

  /** An attempt through this hop ended and nothing had come. */
  silent(now_us: number, hop: number, destination: number): void {
    const evidence = this.#hops.get(hop);
    if (evidence === undefined || !this.#options.verdicts.enabled) return;
    const known = this.#destination(destination);
    const other_us = known.hop === hop ? known.otherAt_us : known.at_us;
    if (now_us - other_us <= this.#options.window.window_us) this.#confirmed(now_us, evidence, destination);
    else known.silent.set(evidence, now_us);
  }

  /** The circuit or its exit is gone. */
  lost(now_us: number, hop: number): void {
    const evidence = this.#hops.get(hop);
    if (evidence !== undefined) this.#pass(now_us, evidence, 'disappeared', 'gone', 0);
  }

  /** Every K: who is slow, and what is old. */
  tick(now_us: number, rows: () => Float64Array): void {
    if (now_us - this.#looked_us < this.#options.window.window_us) return;
    this.#looked_us = now_us;
    if (this.#options.verdicts.enabled) this.#slow(now_us, rows());
    const { window_us } = this.#options.window;
    for (const [id, known] of this.#destinations) {
      for (const [hop, at_us] of known.silent) if (now_us - at_us > window_us) known.silent.delete(hop);
      if (known.silent.size === 0 && now_us - known.at_us > window_us) this.#destinations.delete(id);
    }
    for (const [exit, verdicts] of this.#passed) {
      for (const [scope, { since_us, until_us }] of verdicts)
        if (now_us - since_us > REMEMBERED * (until_us - since_us)) verdicts.delete(scope);
      if (verdicts.size === 0) this.#passed.delete(exit);
    }
  }

  /** Those that hold. */
  list(now_us: number): Verdict[] {
    return [...this.#passed.values()].flatMap((of) => [...of.values()].filter(({ until_us }) => until_us > now_us));
  }

  #destination(id: number): DestinationEvidence {
    let known = this.#destinations.get(id);
    if (known === undefined) {
      if (this.#destinations.size >= this.#options.verdicts.destinations) {
        for (const [oldest] of this.#destinations) {
          this.#destinations.delete(oldest);
          break;
        }
      }
      known = { hop: -1, at_us: Number.NEGATIVE_INFINITY, otherAt_us: Number.NEGATIVE_INFINITY, silent: new Map() };
      this.#destinations.set(id, known);
    }
    return known;
  }

  #confirmed(now_us: number, evidence: HopEvidence, destination: number): void {
    if (this.#hops.get(evidence.of.hop) !== evidence) return;
    const { sequence_us } = this.#options.window;
    this.#pass(now_us, evidence, 'blocked', 'silent', 1, destination);
    for (const [id, at_us] of evidence.silent) if (now_us - at_us > sequence_us) evidence.silent.delete(id);
    evidence.silent.set(destination, now_us);
    const destinations = evidence.silent.size;
    if (destinations >= this.#options.verdicts.badDestinations && now_us - evidence.answered_us > sequence_us)
      this.#pass(now_us, evidence, 'bad', 'silent', destinations);
  }

  #pass(
    now_us: number,
    { of }: HopEvidence,
    kind: VerdictKind,
    what: Verdict['evidence']['what'],
    destinations: number,
    id?: number,
  ): void {
    const { most_us, ...first } = this.#options.verdicts;
    const destination = id === undefined ? undefined : this.#egress.destinationKey(id);
    let passed = this.#passed.get(of.exit);
    if (passed === undefined) {
      passed = new Map();
      this.#passed.set(of.exit, passed);
    }
    const last = passed.get(destination ?? '');
    const strikes = last?.kind === kind ? last.evidence.strikes + 1 : 1;
    const until_us = now_us + Math.min(most_us, first[`${kind}_us`] * 2 ** Math.min(strikes - 1, 30));
    const evidence = { what, destinations, strikes };
    const verdict: Verdict = { kind, exit: of.exit, evidence, since_us: now_us, until_us };
    if (destination !== undefined) verdict.destination = destination;
    passed.set(destination ?? '', verdict);
    this.#tell(verdict);
    if (id !== undefined) this.#egress.pairExclude(now_us, of.hop, id, until_us);
    else this.#condemn(now_us, of.hop, until_us);
  }

  #slow(now_us: number, rows: Float64Array): void {
    const speeds: [HopEvidence, number][] = [];
    for (let at = 0; at < rows.length; at += EGRESS_HOP) {
      const evidence = this.#hops.get(rows[at + EgressHop.hop] as number);
      const speed = rows[at + EgressHop.speed] as number;
      if (evidence !== undefined && speed > 0) speeds.push([evidence, speed]);
    }
    if (speeds.length < 4) return;
    const median = speeds.map(([, speed]) => speed).sort((a, b) => a - b)[speeds.length >> 1] as number;
    for (const [evidence, speed] of speeds) {
      evidence.slow = speed * this.#options.verdicts.slowFactor < median ? evidence.slow + 1 : 0;
      if (evidence.slow >= 2) this.#pass(now_us, evidence, 'bad', 'slow', 0);
    }
  }
}
