/** A node's accounts as its host tells of them (`crates/engine`, `credits_view`). Amounts are credits, rates credits per second. */

/** What is kept of a neighbour's accounts through a restart. */
export interface KeptAccount {
  /** Its id, 64 hex digits. */
  peer: string;
  /** What it may spend here. */
  account: number;
  /** What we may spend there, by our own calculation. */
  mirror: number;
  /** Bytes that it carried for us, decayed. */
  contributed: number;
  /** log2 of what a credit there is worth. */
  value: number;
  /** The rate at which `mirror` rises by itself. */
  expected: number;
}

/** What one account's balance is made of: balance = opening + minted − decayed − spent + earned, to the unit. */
export interface CreditBooks {
  /** What it was opened with. */
  opening: number;
  /** What it was given. */
  minted: number;
  /** What has decayed of it. */
  decayed: number;
  /** What was paid out of it. */
  spent: number;
  /** What was paid into it. */
  earned: number;
}

/** A neighbour whose link is up. */
export interface NeighbourCredits extends KeptAccount {
  /** What it last said of `mirror`; `null` before it has said anything. */
  report: number | null;
  /** What it last said that it mints for us, credits per second; `null` likewise. */
  reportIncrease: number | null;
  /** What `value` was lately: credits pass at the less favourable of both. */
  valueLately: number;
  /** The rate at which `account` rises by itself. */
  increase: number;
  /** Ends of circuits at it. */
  connections: number;
  /** Credits per byte charged for load on the link to it, an average over a minute. */
  price: number;
  /** What it announces to us. */
  announcedIn: number;
  /** What we announce to it. */
  announcedOut: number;
  /** What `account` is made of since its link came up. */
  books: CreditBooks;
  /** What `mirror` is made of. */
  mirrorBooks: CreditBooks;
  /** Announced by it and not paid. */
  throttled: number;
  /** Announced to it and not there, by our calculation. */
  overdrawn: number;
  /** The sum of rounding towards it. */
  carry: number;
  /** What flows from it were charged for their places in the table. */
  rent: number;
  /** What they were charged whatever the load. */
  always: number;
  /** What they were charged where they had to wait. */
  load: number;
  /** What waited for the link to it while that was saturated, bytes. */
  waitedBytes: number;
}

/** One direction of a circuit. Classes are 0 (none) to 8: 1,000 · 4^(c − 1) credits per second; totals are since it opened. */
export interface FlowCredits {
  /** The class announced to us. */
  in: number;
  /** The class that we announce. */
  out: number;
  /** What it is willing to pay here where it has to wait, credits per second. */
  weight: number;
  /** What came in. */
  paid: number;
  /** What was announced and did not come in. */
  throttled: number;
  /** Charged for its place in the table. */
  rent: number;
  /** Charged whatever the load. */
  always: number;
  /** Charged where it had to wait. */
  load: number;
  /** What was left, before it was valued. */
  rest: number;
  /** What was passed on. */
  passed: number;
  /** What the scheduler asked for. */
  charged: number;
  /** The bytes that waited. */
  bytes: number;
}

/** A circuit as far as credits flow with it. */
export interface CircuitCredits {
  /** The host's number of it. */
  circuit: number;
  /** This node's part in it; `null` while it ends. */
  role: 'client' | 'relay' | 'exit' | null;
  /** The node towards the client; `null` for this node, or one whose last link is gone. */
  previous: string | null;
  /** The node towards the exit; `null` likewise. */
  next: string | null;
  /** Whether it pays rent. */
  rented: boolean;
  /** Rent that it owes. */
  arrears: number;
  /** The class that this node adds. */
  own: number;
  /** Away from the client. */
  forward: FlowCredits;
  /** Towards the client. */
  backward: FlowCredits;
}

/** All accounts together, and where what was paid has gone, since the start. */
export interface NodeBooks extends CreditBooks {
  /** What went with accounts that were closed. */
  burned: number;
  /** What neighbours paid here. */
  paid: number;
  /** What this node put into flows. */
  own: number;
  /** Kept for places in the table. */
  rent: number;
  /** Kept whatever the load. */
  always: number;
  /** Kept where something waited. */
  load: number;
  /** What was turned round here, as the exit. */
  turned: number;
  /** What came home, as the client. */
  home: number;
  /** What was left to pass on, before it was valued. */
  rest: number;
  /** What valuation added. */
  valuedUp: number;
  /** What valuation took. */
  valuedDown: number;
  /** What was passed on. */
  passed: number;
  /** The sum of all rounding. */
  carry: number;
  /** Rounding beyond what is carried. */
  kept: number;
  /** What was passed on without being there, by our calculation. */
  overdrawn: number;
}

/** A node's accounts and books. */
export interface NodeCredits {
  /** The time of all this, microseconds since the node's start. */
  now_us: number;
  /** What the node mints for all neighbours together. */
  increase: number;
  /** In which a balance halves, microseconds. */
  halfLife_us: number;
  /** Whether it charges nothing. */
  free: boolean;
  /** Circuits by what the table holds, 0 to 1. */
  fill: number;
  /** Neighbours whose links are up. */
  neighbours: NeighbourCredits[];
  /** Totals. */
  books: NodeBooks;
}
