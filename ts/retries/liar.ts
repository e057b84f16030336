/**
 * An exit that says of itself whatever attracts flows. What it gets is measured, and beside it stands what docs/decisions/0009 says
 * it may get at most of the draws by all data: u·m / (n - u + u·m), with u untried hops among n, and m the most that they weigh.
 */
import { type CreateEgress, EGRESS_BY_ALL, EGRESS_HOP, EgressHop } from '../core/egress.js';
import { EGRESS_DEFAULTS } from '../egress/options.js';
import type { RunOptions } from './options.js';
import { POLICIES, type PolicyName } from './policies.js';
import { Run } from './run.js';

const S = 1_000_000;
/** What it claims, bytes per second. */
const CLAIMED = 1e300;

export interface Liar {
  /** What is behind the claim: a hundredth of the median limit, or a black hole for everything. */
  kind: 'slow' | 'silent';
  /** Of all tries, in the seconds before counting and in those after. */
  shareFirst: number;
  share: number;
  /** In the worst second of the latter. */
  shareMost: number;
  /** An even part of the window, on average. */
  even: number;
  /** Of draws by all data, in the counted seconds; and what the bound says of them on average. */
  byAll: number;
  bound: number;
}

export function liar(createEgress: CreateEgress, options: RunOptions, policy: PolicyName, kind: Liar['kind']): Liar {
  const choice = POLICIES[policy];
  // The first exit that enters the window.
  const before = new Run(createEgress, options, { choice });
  const [first] = before.sender.policy.window.hops();
  before.sender.close();
  const exit = Number(first?.exit.slice(1));
  const { median } = options.world.exitLimit;
  const world = { ...options.world, liar: { exit, limit: median / 100, silent: kind === 'silent' } };
  const m = EGRESS_DEFAULTS.weighting.untriedMost ?? 1;
  const [tries, its] = [
    { first: 0, counted: 0, second: 0 },
    { first: 0, counted: 0, second: 0 },
  ];
  const [all, itsOfAll] = [{ drawn: 0 }, { drawn: 0 }];
  let [shareMost, bounds, evens, ticks] = [0, 0, 0, 0];
  new Run(
    createEgress,
    { ...options, world, drain_us: 0 },
    { choice, told: (plan) => (plan.exit === `x${exit}` ? { ...plan, estimate: CLAIMED } : plan) },
    {
      opened: ({ how }, to, now_us) => {
        const into = to === exit ? [tries, its] : [tries];
        const counted = now_us >= options.warm_us;
        for (const counts of into) {
          counts[counted ? 'counted' : 'first'] += 1;
          counts.second += 1;
        }
        if (!counted || how !== EGRESS_BY_ALL) return;
        all.drawn += 1;
        if (to === exit) itsOfAll.drawn += 1;
      },
      tick: (now_us, { sender }) => {
        if (now_us > options.warm_us + S && tries.second > 0) {
          const rows = sender.policy.window.rows(now_us);
          let [n, u] = [0, 0];
          for (let at = 0; at < rows.length; at += EGRESS_HOP) {
            if (rows[at + EgressHop.draining] === 1) continue;
            n += 1;
            u += rows[at + EgressHop.untried] === 1 ? 1 : 0;
          }
          shareMost = Math.max(shareMost, its.second / tries.second);
          bounds += (u * m) / (n - u + u * m);
          evens += 1 / n;
          ticks += 1;
        }
        tries.second = 0;
        its.second = 0;
      },
    },
  ).simulate();
  return {
    kind,
    shareFirst: its.first / tries.first,
    share: its.counted / tries.counted,
    shareMost,
    even: evens / ticks,
    byAll: itsOfAll.drawn / Math.max(1, all.drawn),
    bound: bounds / ticks,
  };
}
