/**
 * Who knows every limit, what is using it, and every black hole: the best that can be had from the same window with the same
 * entropy. Among the hops through which the destination answers it draws in proportion to a power of the speed that the connection
 * would get there; the power is led to where the exits used have as much entropy as those of the policy that it is compared with.
 */

import { Chance } from '../base/chance.js';
import type { EgressPolicyChoice } from '../egress/options.js';
import { NO_RACE } from '../egress/options.js';
import type { RunHooks } from './hooks.js';

const DRAWS = 401;
/** Bits of entropy that a step of the power is worth, about. */
const BITS_PER_STEP = 1;
const POWER_MAX = 12;

export const ORACLE_CHOICE: EgressPolicyChoice = { verdicts: { enabled: false }, race: NO_RACE };

/** `ratio`: entropy of a slice as a part of log2 of the window's size. */
export function oracle(seed: number, ratio: number): Required<Pick<RunHooks, 'pick' | 'tick'>> {
  const chance = new Chance(seed, DRAWS);
  let power = 1;
  let last = Number.NaN;
  const hops: number[] = [];
  const sums: number[] = [];
  return {
    pick: (now_us, destination, { sender, world, transfers }) => {
      hops.length = 0;
      sums.length = 0;
      let sum = 0;
      for (const { hop } of sender.policy.window.hops()) {
        const { exit, intermediary } = sender.way(hop);
        if (world.meet(exit, intermediary, destination, now_us).silent) continue;
        sum += transfers.wouldGet(exit, intermediary) ** power;
        hops.push(hop);
        sums.push(sum);
      }
      if (hops.length === 0) return -1;
      const at = chance.unit() * sum;
      let [low, high] = [0, hops.length - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((sums[middle] as number) < at) low = middle + 1;
        else high = middle;
      }
      return hops[low] as number;
    },
    tick: (_now_us, { counts, sender }) => {
      if (Object.is(counts.ratio, last)) return;
      last = counts.ratio;
      const bits = (last - ratio) * Math.log2(sender.policy.window.size);
      if (!Number.isNaN(bits)) power = Math.min(POWER_MAX, Math.max(0, power + bits / BITS_PER_STEP));
    },
  };
}
