/** The policies that are compared. Each is the shipping one with other options. */
import type { EgressWeighting } from '../core/egress.js';
import { EGRESS_DEFAULTS, type EgressPolicyChoice, NO_RACE } from '../egress/options.js';

const ALONE = { verdicts: { enabled: false }, race: NO_RACE };
const uniform: EgressWeighting = { uniformShare: 1, avoidFailed: false, avoidTried: false };

const PLAIN: EgressWeighting = {
  all: { measure: 'data', roots: 0 },
  destination: { measure: 'speed', roots: 0 },
  uniformShare: 0,
  within: 'exact',
  octaves: 1,
  avoidFailed: false,
};

export const POLICIES = {
  'uniform-with': { ...ALONE, weighting: uniform },
  'uniform-without': { ...ALONE, weighting: { ...uniform, avoidTried: true } },
  speed: { ...ALONE, weighting: { ...PLAIN, combine: 'all', all: { measure: 'speed', roots: 0 } } },
  data: { ...ALONE, weighting: { ...PLAIN, combine: 'all' } },
  destination: { ...ALONE, weighting: { ...PLAIN, combine: 'destination' } },
  dual: { race: NO_RACE, weighting: { ...EGRESS_DEFAULTS.weighting, within: 'exact' } },
  'dual-buckets': { race: NO_RACE },
  'dual-buckets-race': {},
} satisfies Record<string, EgressPolicyChoice>;

export type PolicyName = keyof typeof POLICIES;
export const POLICY_NAMES = Object.keys(POLICIES) as PolicyName[];
