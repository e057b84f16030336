/** What `wayfare credits` shows: both views of each account, flows and rewards, prices and what has changed them. */
import type { CircuitCredits, NeighbourCredits, NodeCredits } from '../core/node-credits.js';

/** What has happened to an account since the last look at all of them. */
export interface AccountChange {
  /** What it was given. */
  minted: number;
  /** What has decayed of it. */
  decayed: number;
  /** What was paid out of it. */
  spent: number;
  /** What was paid into it. */
  earned: number;
  /** Charged to what came from it for places in the table. */
  rent: number;
  /** Charged to it whatever the load. */
  always: number;
  /** Charged to it where it had to wait. */
  load: number;
  /** Credits per byte on the link to it, then. */
  price_before: number;
  /** The same now. */
  price: number;
  /** The link to it was saturated, and this is what it carried then, bytes. */
  waited_bytes: number;
}

/** A neighbour's account, and what has changed it. */
export interface AccountReport extends NeighbourCredits {
  /** Contributed − used since it was first met. */
  reputation: number;
  /** What has happened since; `null` before there is anything to compare with. */
  recent: AccountChange | null;
}

/** What a node tells of its accounts. */
export interface AccountsReport extends Omit<NodeCredits, 'neighbours'> {
  /** Neighbours whose links are up. */
  neighbours: AccountReport[];
  /** What `recent` covers, milliseconds. */
  recent_ms: number;
  /** Rewards since the start: what this node has kept of what passed. */
  rewards: CreditRewards;
}

/** What `node.credits()` tells. */
export interface CreditsReport extends AccountsReport {
  /** All circuits that this node has a part in. */
  circuits: CircuitCredits[];
  /** The circle of credits that this node runs, since it gains; `null` where there is none. */
  circle: CreditCircle | null;
}

/** A circuit of a node's own that leads back to it, and through which credits become more. */
export interface CreditCircle {
  /** The host's number of it. */
  circuit: number;
  /** The nodes between, in their order. */
  path: readonly string[];
  /** The class of credits that goes round. */
  flow: number;
  /** What a credit that goes round becomes, by what neighbours quote. */
  gain: number;
}

/** What a node keeps of what passes, credits. */
export interface CreditRewards {
  /** For places in the table. */
  rent: number;
  /** Whatever the load. */
  always: number;
  /** Where something waited. */
  load: number;
}

export function describeCredits(
  now: NodeCredits,
  before: NodeCredits | null,
  reputation: (peer: NeighbourCredits) => number,
): AccountsReport {
  const earlier = new Map(before?.neighbours.map((n) => [n.peer, n]));
  const neighbours = now.neighbours.map((n): AccountReport => {
    const then = earlier.get(n.peer);
    const recent: AccountChange | null =
      then === undefined || before === null
        ? null
        : {
            minted: n.books.minted - then.books.minted,
            decayed: n.books.decayed - then.books.decayed,
            spent: n.books.spent - then.books.spent,
            earned: n.books.earned - then.books.earned,
            rent: n.rent - then.rent,
            always: n.always - then.always,
            load: n.load - then.load,
            price_before: then.price,
            price: n.price,
            waited_bytes: n.waitedBytes - then.waitedBytes,
          };
    return { ...n, reputation: reputation(n), recent };
  });
  const { rent, always, load } = now.books;
  return {
    ...now,
    neighbours,
    recent_ms: before === null ? 0 : Math.round((now.now_us - before.now_us) / 1000),
    rewards: { rent, always, load },
  };
}
