/** A node's accounts as its host tells of them (`crates/engine`, `credits_view`). Amounts are credits, rates credits per second. */

/** What is kept of a neighbour's accounts through a restart. */
export interface KeptAccount {
  /** Its id, 64 hex digits. */
  peer: string;
  /** What it may spend here. */
  account: number;
  /** What we may spend there, by our own calculation. */
  mirror: number;
  /** What we spent there, decayed. */
  contributed: number;
  /** log2 of what a credit there is worth. */
  value: number;
  /** The rate at which `mirror` rises by itself. */
  expected: number;
}

/** What one account's balance is made of: balance = opening + minted − decayed − spent + earned, to the unit. */
export interface CreditBooks {
  opening: number;
  minted: number;
  decayed: number;
  spent: number;
  earned: number;
}

export interface NeighbourCredits extends KeptAccount {
  /** What it last said of `mirror`; `null` before it has said anything. */
  report: number | null;
  reportIncrease: number | null;
  /** The rate at which `account` rises by itself. */
  increase: number;
  /** Ends of circuits at it. */
  connections: number;
  /** Credits per byte charged for load on the link to it, an average over a minute. */
  price: number;
  /** What it announces to us, and we to it. */
  announcedIn: number;
  announcedOut: number;
  books: CreditBooks;
  mirrorBooks: CreditBooks;
  /** Announced by it and not paid. */
  throttled: number;
  /** Announced to it and not there, by our calculation. */
  overdrawn: number;
  /** The sum of rounding towards it. */
  carry: number;
  /** What flows from it were charged. */
  rent: number;
  always: number;
  load: number;
}

/** One direction of a circuit. Classes are 0 (none) to 8, totals since it opened. */
export interface FlowCredits {
  in: number;
  out: number;
  /** What it is willing to pay here where it has to wait. */
  weight: number;
  paid: number;
  throttled: number;
  rent: number;
  always: number;
  load: number;
  rest: number;
  passed: number;
  /** What the scheduler charged, for so many bytes that waited. */
  charged: number;
  bytes: number;
}

export interface CircuitCredits {
  circuit: number;
  role: 'client' | 'relay' | 'exit' | null;
  /** Node ids; `null` for this node. */
  previous: string | null;
  next: string | null;
  rented: boolean;
  arrears: number;
  /** The class that this node adds. */
  own: number;
  forward: FlowCredits;
  backward: FlowCredits;
}

export interface NodeCredits {
  now_us: number;
  increase: number;
  halfLife_us: number;
  free: boolean;
  /** Circuits by what the table holds, 0 to 1. */
  fill: number;
  neighbours: NeighbourCredits[];
  circuits: CircuitCredits[];
  /** All accounts together, and where what was paid has gone. */
  books: CreditBooks & {
    burned: number;
    paid: number;
    own: number;
    rent: number;
    always: number;
    load: number;
    turned: number;
    home: number;
    rest: number;
    valuedUp: number;
    valuedDown: number;
    passed: number;
    carry: number;
    kept: number;
    overdrawn: number;
  };
}
