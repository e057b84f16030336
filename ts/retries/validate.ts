/**
 * The simulator against closed forms: a window of N exits of which B = N/P swallow everything, always, and nothing else is in the
 * way. A uniform draw then needs N/(N - B) = P/(P - 1) tries on average with replacement, and (N + 1)/(N - B + 1) without.
 * Whatever a run finds beyond chance, the simulator is wrong.
 */
import type { CreateEgress } from '../core/egress.js';
import type { EgressPolicyChoice } from '../egress/options.js';
import type { RunHooks } from './hooks.js';
import { WORLD_DEFAULTS, type WorldOptions } from './options.js';
import { POLICIES } from './policies.js';
import { Run } from './run.js';

const S = 1_000_000;

export interface ClosedForm {
  name: string;
  /** N and B. */
  exits: number;
  bad: number;
  connections: number;
  /** Tries per connection. */
  expected: number;
  simulated: number;
  /** simulated / expected - 1. */
  error: number;
  /** One standard error, as a part of what is expected. */
  sigma: number;
}

const still = (exits: number, bad: number): WorldOptions => ({
  ...WORLD_DEFAULTS,
  exits,
  intermediaries: 2,
  rate: 1000,
  firstRate: 0,
  block: Number.POSITIVE_INFINITY,
  badExits: bad,
  upMean_us: Number.POSITIVE_INFINITY,
  exitLimit: { median: 1e12, sigma: 0 },
  intermediaryLimit: { median: 1e12, sigma: 0 },
  plane_us: 0,
  access_us: 0,
  size: { least: 1000, most: 2000, alpha: 1 },
});

/** `connections` or a few more. */
export function closedForms(
  createEgress: CreateEgress,
  seed: number,
  {
    exits = 16,
    bad = 4,
    connections = 1_000_000,
    tick,
  }: {
    exits?: number;
    bad?: number;
    connections?: number;
    tick?: NonNullable<RunHooks['tick']>;
  } = {},
): ClosedForm[] {
  const world = still(exits, bad);
  const counted_us = (1.01 * connections * S) / world.rate;
  const forms: [string, EgressPolicyChoice, number][] = [
    ['uniform-with', POLICIES['uniform-with'], exits / (exits - bad)],
    ['uniform-without', POLICIES['uniform-without'], (exits + 1) / (exits - bad + 1)],
  ];
  return forms.map(([name, choice, expected]) => {
    const window = { baseline: exits, step: 0, per: Number.MAX_SAFE_INTEGER };
    const hooks = tick === undefined ? {} : { tick };
    const run = new Run(
      createEgress,
      { seed, world, warm_us: 0, counted_us },
      { choice: { ...choice, window } },
      hooks,
    );
    const { all } = run.simulate();
    const simulated = 1 + all.retries;
    return {
      name,
      exits,
      bad,
      connections: all.connections,
      expected,
      simulated,
      error: simulated / expected - 1,
      sigma: all.retriesError / expected,
    };
  });
}
