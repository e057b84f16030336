/** What the policy can be told; the reasons for the defaults are in docs/decisions/0009-egress-choice.md. */
import type { EgressWeighting } from '../core/egress.js';

export interface WindowOptions {
  /** N: hops the window never falls below while the directory has them. */
  baseline: number;
  /** S: hops that it grows by. */
  step: number;
  /** R: connections to one destination in K seconds above which it grows, and per which the floor rises by S. */
  per: number;
  /** An untried hop's estimate counts at most so many times the window's median: a descriptor may say anything. */
  estimateMost: number;
  /** K. */
  window_us: number;
  /** L. */
  sequence_us: number;
}

export interface VerdictOptions {
  /** Whether *bad* and *blocked* are passed at all; *disappeared* always is. */
  enabled: boolean;
  /** How long the first *blocked* of a destination through an exit holds; each one after it twice as long, up to `most_us`. */
  blocked_us: number;
  /** The same for *bad*. */
  bad_us: number;
  /** The same for *disappeared*. */
  disappeared_us: number;
  most_us: number;
  /** Destinations that answered through others while they were silent through this hop, without any answer through it. */
  badDestinations: number;
  /** A hop slower than the window's median by this factor, for two K in a row, is *bad*. */
  slowFactor: number;
  /** Records of destinations kept at most; the oldest goes. */
  destinations: number;
}

export interface RaceOptions {
  /** Attempts at once where nothing has come from the destination in the past K. 1: no race. */
  cold: number;
  /** Attempts at once where the draw explores although the destination is known: the second goes to a hop with data there. */
  explore: number;
  /** After so long without an answer another attempt is made; 0: never. */
  stagger_us: number;
  /** Attempts of one connection at most. */
  most: number;
}

export interface EgressPolicyOptions {
  window: WindowOptions;
  weighting: EgressWeighting;
  verdicts: VerdictOptions;
  race: RaceOptions;
}

/** What may be left out of it. */
export type EgressPolicyChoice = { [K in keyof EgressPolicyOptions]?: Partial<EgressPolicyOptions[K]> };

const S = 1_000_000;

export const NO_RACE: RaceOptions = { cold: 1, explore: 1, stagger_us: 0, most: 1 };

export const EGRESS_DEFAULTS: EgressPolicyOptions = {
  window: { baseline: 8, step: 2, per: 4, estimateMost: 4, window_us: 10 * S, sequence_us: 60 * S },
  weighting: {
    all: { measure: 'speed', roots: 0 },
    destination: { measure: 'speed', roots: 0 },
    combine: 'mixture',
    destinationShare: 0.92,
  },
  verdicts: {
    enabled: true,
    blocked_us: 60 * S,
    bad_us: 60 * S,
    disappeared_us: 30 * S,
    most_us: 600 * S,
    badDestinations: 4,
    slowFactor: 32,
    destinations: 65_536,
  },
  race: { cold: 2, explore: 1, stagger_us: 500_000, most: 8 },
};

export function egressOptions(choice: EgressPolicyChoice = {}): EgressPolicyOptions {
  return {
    window: { ...EGRESS_DEFAULTS.window, ...choice.window },
    weighting: { ...EGRESS_DEFAULTS.weighting, ...choice.weighting },
    verdicts: { ...EGRESS_DEFAULTS.verdicts, ...choice.verdicts },
    race: { ...EGRESS_DEFAULTS.race, ...choice.race },
  };
}
