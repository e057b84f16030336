/** Policies side by side: the same seed, hence the same world and the same connections wanted, for each. */
import type { CreateEgress } from '../core/egress.js';
import type { RunFigures } from './counts.js';
import type { RunOptions } from './options.js';
import { ORACLE_CHOICE, oracle } from './oracle.js';
import { POLICIES, POLICY_NAMES, type PolicyName } from './policies.js';
import { Run } from './run.js';

/** Which run, and how much of its virtual time has passed: 0 to 1. */
export type Progress = (run: string, part: number) => void;

export interface Compared {
  policies: Partial<Record<PolicyName, RunFigures>>;
  /** Beside the last of them, with its entropy. */
  oracle: RunFigures;
}

export function simulate(
  createEgress: CreateEgress,
  options: RunOptions,
  name: PolicyName,
  progress: Progress = () => {},
): RunFigures {
  const end_us = options.warm_us + options.counted_us;
  const tick = (now_us: number) => progress(name, Math.min(1, now_us / end_us));
  return new Run(createEgress, options, { choice: POLICIES[name] }, { tick }).simulate();
}

export function simulateOracle(
  createEgress: CreateEgress,
  options: RunOptions,
  like: RunFigures,
  progress: Progress = () => {},
): RunFigures {
  const end_us = options.warm_us + options.counted_us;
  const knows = oracle(options.seed, like.entropy.ratio);
  const hooks = {
    pick: knows.pick,
    tick: (now_us: number, run: Run) => {
      knows.tick(now_us, run);
      progress('oracle', Math.min(1, now_us / end_us));
    },
  };
  return new Run(createEgress, options, { choice: ORACLE_CHOICE }, hooks).simulate();
}

export function compare(
  createEgress: CreateEgress,
  options: RunOptions,
  names: readonly PolicyName[] = POLICY_NAMES,
  progress?: Progress,
): Compared {
  const policies: Partial<Record<PolicyName, RunFigures>> = {};
  for (const name of names) policies[name] = simulate(createEgress, options, name, progress);
  const last = policies[names.at(-1) as PolicyName] as RunFigures;
  return { policies, oracle: simulateOracle(createEgress, options, last, progress) };
}
