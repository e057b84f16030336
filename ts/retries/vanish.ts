/** A part of all exits vanishes at once, again and again: how soon connections have as few retries as before. */
import type { CreateEgress } from '../core/egress.js';
import type { RunOptions } from './options.js';
import { POLICIES, type PolicyName } from './policies.js';
import { Run } from './run.js';

const S = 1_000_000;
const TIMES = 6;
const EVERY_US = 180 * S;
const FOR_US = 60 * S;
/** What counts as before. */
const BEFORE_US = 60 * S;

export interface Vanished {
  policy: PolicyName;
  /** Which part of the exits, and how often. */
  share: number;
  times: number;
  /** Per connection begun in the minute before. */
  retries: number;
  attempts: number;
  /** Per connection begun in each K after, as multiples of that. */
  after: { from_s: number; retries: number; attempts: number }[];
}

export function vanished(
  createEgress: CreateEgress,
  options: RunOptions,
  policy: PolicyName,
  { share = 0.2, tick }: { share?: number; tick?: (part: number) => void } = {},
): Vanished {
  const k_us = options.world.stall_us;
  const at_us = options.warm_us + BEFORE_US;
  const vanish = { share, at_us, for_us: FOR_US, every_us: EVERY_US, times: TIMES };
  const bins = FOR_US / k_us;
  const after = Array.from({ length: bins }, () => ({ connections: 0, retries: 0, attempts: 0 }));
  const before = { connections: 0, retries: 0, attempts: 0 };
  const counted_us = BEFORE_US + TIMES * EVERY_US;
  const end_us = options.warm_us + counted_us;
  new Run(
    createEgress,
    { ...options, world: { ...options.world, vanish }, counted_us },
    { choice: POLICIES[policy] },
    {
      ended: (born_us, retries, attempts) => {
        const since_us = (born_us - at_us + EVERY_US) % EVERY_US;
        const first = born_us < at_us;
        const calm = since_us >= EVERY_US - BEFORE_US;
        const into = calm ? before : first ? undefined : after[Math.floor(since_us / k_us)];
        if (into === undefined) return;
        into.connections += 1;
        into.retries += retries;
        into.attempts += attempts;
      },
      ...(tick && { tick: (now_us: number) => tick(Math.min(1, now_us / end_us)) }),
    },
  ).simulate();
  const retries = before.retries / before.connections;
  const attempts = before.attempts / before.connections;
  return {
    policy,
    share,
    times: TIMES,
    retries,
    attempts,
    after: after.map((bin, i) => ({
      from_s: (i * k_us) / S,
      retries: bin.retries / bin.connections / retries,
      attempts: bin.attempts / bin.connections / attempts,
    })),
  };
}
