/**
 * What a user's flows may announce: their priorities, limited by the credits there are.
 */
import { creditRate } from '../core/credit.js';
import { classOf } from './priorities.js';

/** What is there is to last so long. */
export const HORIZON_S = 60;

export interface Wish<Flow> {
  flow: Flow;
  /** The neighbour that would be paid. */
  peer: string;
  class: number;
}

/** What a neighbour lets us spend: what is there, and what comes by itself, per second. */
export interface Purse {
  credits: number;
  increase: number;
}

/** Credits per second that may be announced to a neighbour so that they last for `HORIZON_S`. */
export const affordable = ({ credits, increase }: Purse): number =>
  Math.max(0, credits) / HORIZON_S + Math.max(0, increase);

/**
 * The class of each flow: what it wishes, as far as its neighbour's purse holds out. The highest wishes are served first, equal ones
 * in their order; what is left over goes to the next as the largest class that it covers.
 */
export function afford<Flow>(wishes: readonly Wish<Flow>[], purse: (peer: string) => Purse): Map<Flow, number> {
  const left = new Map<string, number>();
  const classes = new Map<Flow, number>();
  for (const wish of [...wishes].sort((a, b) => b.class - a.class)) {
    const rate = left.get(wish.peer) ?? affordable(purse(wish.peer));
    const given = Math.min(wish.class, classOf(rate));
    classes.set(wish.flow, given);
    left.set(wish.peer, rate - creditRate(given));
  }
  return classes;
}
