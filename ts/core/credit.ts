/**
 * Credits between neighbours: one node's accounts, connections and rent as both bindings export them (`crates/credit` through
 * `crates/embed`). What `ts/credit` decides, it decides over this. The model is in docs/decisions/0011-credits.md.
 *
 * `now_us` counts microseconds from an origin of the caller's; a time before the latest one counts as the latest. Amounts are whole
 * credits, at most 2^53; rates are credits per second. Nothing here keeps a view of a caller's array. Ids of neighbours and of
 * connections are dense and small: use them as indices. They are given again once free.
 *
 * Errors are thrown as `code: text`: `argument_invalid`, `credit_full` or `closed`. What comes from another node (a class, a report)
 * is never thrown about: what cannot be taken is counted under a drop reason and answered `false`.
 */

export interface CreditOptions {
  /** R: what the node mints for all its neighbours together, credits per second. 0 to 2^40. Default 1,000,000. */
  increase?: number;
  /** In which a balance halves. 1 s to 2^40 µs, default 600 s. increase × halfLife / ln 2 is at most 2^52. */
  halfLife_us?: number;
  /**
   * By what the increase is shared. `contributed` (the default): by bytes carried for us, and a part for newcomers. `equal`: the same to
   * each, for comparison.
   */
  rule?: 'contributed' | 'equal';
  /** All newcomers' parts together, as a share of the average contributor's. 0 to 1, default 0.05. */
  newcomerShare?: number;
  /** How often weights are drawn up anew. Default 10 s. */
  weigh_us?: number;
  /** What `settle` waits for, at least. Default 1 s. */
  period_us?: number;
  /** Charged of what was paid whatever the load. 0 to 1, default 0.01. */
  alwaysShare?: number;
  /** Rent of a connection while the table is full, credits per second. Default 1,000. 0: none. */
  rent?: number;
  /** Connections in the table when it is full. Default 65,536. */
  capacity?: number;
  /** Neighbours at most. Default 131,072. */
  neighbours?: number;
  /** Charges nothing: no always-share, no load, no rent. Default false. */
  free?: boolean;
  /** Values stay at 1. Default true: credits are valuated. */
  valuation?: boolean;
}

/** What `configure` changes while running: what is left out stays. */
export type CreditChangeable = Pick<
  CreditOptions,
  'increase' | 'rule' | 'newcomerShare' | 'alwaysShare' | 'rent' | 'free' | 'valuation'
>;

/** No neighbour: this node itself is that end of the connection. */
export const CREDIT_SELF = -1;

/** From the client to the server. Its announcements come from `previous` and go to `next`. */
export const CREDIT_FORWARD = 0;
/** From the server to the client. Its announcements come from `next` and go to `previous`. */
export const CREDIT_BACKWARD = 1;

/** Classes in which flows are announced: 0 is none, c from 1 to 8 is 1,000 · 4^(c − 1) credits per second. */
export const CREDIT_CLASSES = 9;
export const creditRate = (creditClass: number): number => (creditClass === 0 ? 0 : 1000 * 4 ** (creditClass - 1));

/** What `connectionOpen` answers instead of an id: the flow or the account of the payer does not cover the rent. */
export const CREDIT_REFUSED_RENT = -1;
/** As above: the table is full. */
export const CREDIT_REFUSED_FULL = -2;

/** Numbers that open a neighbour's accounts, as they were kept. Fewer: the rest is 0. */
export const CREDIT_OPENING = 5;
export const CreditOpening = {
  account: 0,
  mirror: 1,
  contributed: 2,
  /** log2 of a credit's value, a fraction. */
  value: 3,
  /** What the neighbour is thought to mint for us, credits per second: the increase of `mirror`. */
  expected: 4,
} as const;

/** Numbers per row of `neighbour` and `neighbours`. Times are microseconds, -1 for never. */
export const CREDIT_NEIGHBOUR = 32;
export const CreditNeighbour = {
  neighbour: 0,
  /** What it may spend here. */
  account: 1,
  /** What we may spend there, by our own calculation. */
  mirror: 2,
  /** Bytes that it carried for us as the next hop of connections that somebody pays for, decayed. */
  contributed: 3,
  /** log2 of what a credit there is worth. */
  value: 4,
  /** Credits per second that `mirror` is taken to rise by itself. */
  expected: 5,
  /** Credits per second that are minted for it here now. */
  increase: 6,
  /** What it last said of `mirror`, and of what it mints for us; when, -1 for never. */
  report: 7,
  reportIncrease: 8,
  reported_us: 9,
  /** Credits per byte charged for load on the link to it, an average over a minute. */
  price: 10,
  /** Credits per second announced by it, and to it, over all connections. */
  announcedIn: 11,
  announcedOut: 12,
  /** Connections that come from it or go to it; one from it to itself counts twice. */
  connections: 13,
  /**
   * Its books here, since it was added: account = opening + minted − decayed − spent + earned, to the unit. `decayed` includes what an
   * account at 2^53 could not hold.
   */
  opening: 14,
  minted: 15,
  decayed: 16,
  /** What it paid here. */
  spent: 17,
  /** What we paid there, as far as its account is raised by it. */
  earned: 18,
  /** The same books of `mirror`: mirror = opening + minted − decayed − spent + earned. */
  mirrorOpening: 19,
  mirrorMinted: 20,
  mirrorDecayed: 21,
  mirrorSpent: 22,
  mirrorEarned: 23,
  /** What was announced by it and not paid for want of credits here. */
  throttled: 24,
  /** What we announced to it without having it there, by our calculation. */
  overdrawn: 25,
  /** The sum of all rounding of announcements to it: worth that is not announced yet, or was announced before it came. */
  carry: 26,
  /** Charged to flows that came from it: rent, always-share, load. */
  rent: 27,
  always: 28,
  load: 29,
  /** 1 from `neighbourRemove` on, while connections still name it. */
  leaving: 30,
  /** As `value`, what it was lately: credits pass at the less favourable of both. */
  valueLately: 31,
} as const;

/** Numbers per row of `connection` and `connections`: five for the whole, then as many for each direction. */
export const CREDIT_CONNECTION = 31;
export const CreditConnection = {
  connection: 0,
  /** Neighbours, or -1 for this node. */
  previous: 1,
  next: 2,
  opened_us: 3,
  /** 1 if it pays rent, and what of it is owed. */
  rented: 4,
  arrears: 5,
  /** The class this node adds: the client's to the flow forward, the server's to the flow backward. */
  own: 6,
  /** Where `CreditFlow` of each direction begins. */
  forward: 7,
  backward: 19,
} as const;
export const CREDIT_FLOW = 12;
/** Totals are since the connection was opened. */
export const CreditFlow = {
  /** Class announced to us, and by us. */
  in: 0,
  out: 1,
  /** Credits per second it is willing to pay here: the scheduler's weight. */
  weight: 2,
  /** What its payer paid; at the exit, backward, what turned round and what this node added. */
  paid: 3,
  throttled: 4,
  rent: 5,
  always: 6,
  load: 7,
  /** What was left of it, in credits of the payer: passed on, turned round at the exit, or come home. */
  rest: 8,
  /** What was announced on, in credits of the payee. */
  passed: 9,
  /** What was charged for load by `charge` and the bytes it was for. `load` is at most what there was. */
  charged: 10,
  bytes: 11,
} as const;

/** Numbers per row of `changes`. */
export const CREDIT_CHANGE = 4;
export const CreditChange = {
  kind: 0,
  connection: 1,
  /** Of an announcement: backward ones go to `previous`, forward ones to `next`. */
  direction: 2,
  class: 3,
} as const;
/** `kind`: tell the neighbour in that direction that this class flows from now on. */
export const CREDIT_ANNOUNCE = 0;
/** `kind`: the connection was dropped for arrears of rent; its id is free. */
export const CREDIT_DROP = 1;

/** Numbers of `books`: the whole node, since it began. */
export const CREDIT_BOOKS = 28;
export const CreditBooks = {
  /** Sums of the neighbours' books, of those that left included: account = opening + minted − decayed − spent + earned. */
  account: 0,
  opening: 1,
  minted: 2,
  decayed: 3,
  spent: 4,
  earned: 5,
  /** What neighbours that left still had, burned. account + burned is what the formula gives. */
  burned: 6,
  mirror: 7,
  mirrorOpening: 8,
  mirrorMinted: 9,
  mirrorDecayed: 10,
  mirrorSpent: 11,
  mirrorEarned: 12,
  mirrorBurned: 13,
  /** Of connections: paid + own = rent + always + load + home + rest. */
  paid: 14,
  /** What this node itself put in, as a client and as a server. */
  own: 15,
  rent: 16,
  always: 17,
  load: 18,
  /** At the exit: what of it went from flows forward into flows backward, where it is charged or rests. */
  turned: 19,
  /** At the client: came home. */
  home: 20,
  /** Went on to a payee: rest + valuedUp − valuedDown = passed + carry + kept. */
  rest: 21,
  valuedUp: 22,
  valuedDown: 23,
  /** Announced to payees, in their credits; of that `overdrawn` was not covered by `mirror`. */
  passed: 24,
  carry: 25,
  /** Worth that no class could carry on: kept by this node. Below 0 it was this node that gave. */
  kept: 26,
  overdrawn: 27,
} as const;

/** JSON of `stats`. */
export interface CreditStats {
  neighbours: number;
  leaving: number;
  connections: number;
  /** Connections over capacity, 0 to 1. */
  fill: number;
  /** Announced by neighbours and not paid for want of credits. */
  throttled: number;
  /** Openings refused since rent could not be paid; since the table was full. */
  refusedRent: number;
  refusedFull: number;
  /** Connections dropped for arrears. */
  dropped: number;
  /** Announcements of no class there is; reports that were no amounts. */
  flowsMalformed: number;
  reportsMalformed: number;
  /** Announcements or charges for a connection that is none. */
  flowsUnknown: number;
  chargesUnknown: number;
  /** Charges that were no amounts. */
  chargesMalformed: number;
  /** Calls whose clock had fallen; settlements over more time than may be settled at once (60 s), what is beyond flowed not. */
  clockFell: number;
  clockLeapt: number;
  /** Amounts that an account at 2^53 could not hold. */
  saturated: number;
  memoryBytes: number;
}

export interface CreditBinding {
  /** JSON of `CreditChangeable`. */
  configure(now_us: number, json: string): void;

  /** A neighbour, with `CREDIT_OPENING` numbers of what was kept of it, or fewer. Its id; `credit_full` when there are too many. */
  neighbourAdd(now_us: number, opening: Float64Array): number;
  /** It is gone: nothing is minted for it or paid by it any more. Its id is free once no connection names it. */
  neighbourRemove(now_us: number, neighbour: number): void;
  /** What it is thought to mint for us from now on. */
  neighbourExpect(now_us: number, neighbour: number, perSecond: number): void;
  /** What it said of `mirror` and of what it mints for us. Changes nothing but the record; false and counted if these are no amounts. */
  neighbourReport(now_us: number, neighbour: number, balance: number, perSecond: number): boolean;

  /** What it may spend here now. */
  account(now_us: number, neighbour: number): number;
  /** What we may spend there now, by our calculation. */
  mirror(now_us: number, neighbour: number): number;
  /** It pays so much here for something else than a connection, or what it has; how much that was. */
  spend(now_us: number, neighbour: number, credits: number): number;
  /** We pay so much there for something else than a connection, or what we have; how much that was. */
  earn(now_us: number, neighbour: number, credits: number): number;

  /**
   * A connection between two neighbours, or with this node at one end (`CREDIT_SELF`): its id, or `CREDIT_REFUSED_RENT` or
   * `CREDIT_REFUSED_FULL`. `announced` is the class announced with it, forward; at the client it is the class of its own. What it makes
   * this node announce is in `changes`.
   */
  connectionOpen(now_us: number, previous: number, next: number, announced: number): number;
  /** A neighbour announced another class in that direction. False and counted if there is no such class or connection. */
  connectionAnnounced(now_us: number, connection: number, direction: number, announced: number): boolean;
  /** The class this node adds: the client's own flow, or the server's beside what turns round. */
  connectionOwn(now_us: number, connection: number, own: number): void;
  /** What comes to a connection's end, which is this node, stays here from now on instead of turning round: a circle of its own. */
  connectionKeep(now_us: number, connection: number): void;
  /** Settled to now and forgotten. */
  connectionClose(now_us: number, connection: number): void;

  /** What the scheduler charged a connection for load since it last said, and the bytes sent meanwhile, uncharged ones included. */
  charge(connection: number, direction: number, credits: number, bytes: number): void;
  /** `count` of the same: connection, direction, credits, bytes. How many were counted; what names no connection is counted apart. */
  charges(records: Float64Array, count: number): number;
  /** Credits per second a connection is willing to pay here: its weight among those that wait. 0 counts as 1: last, not never. */
  weight(connection: number, direction: number): number;
  /** The same of all connections from id 0 on: forward, backward, forward, …; 0 for ids that are free. How many ids there are. */
  weights(out: Uint32Array): number;

  /**
   * If `period_us` have passed since it last did: settles every connection, valuates neighbours, and drops who owes rent in a table
   * that is nearly full. How many changes wait.
   */
  settle(now_us: number): number;
  /** Takes as many rows of changes as `out` holds, the oldest first; how many. */
  changes(out: Float64Array): number;

  /** One row of `CREDIT_NEIGHBOUR` numbers. */
  neighbour(now_us: number, neighbour: number, out: Float64Array): void;
  /** Rows of neighbours from id `from` on; where to go on, 0 at the end. Rows that are not filled begin with -1. */
  neighbours(now_us: number, from: number, out: Float64Array): number;
  /** One row of `CREDIT_CONNECTION` numbers, as of the latest settlement. */
  connection(connection: number, out: Float64Array): void;
  /** Rows of connections, likewise. */
  connections(from: number, out: Float64Array): number;
  /** `CREDIT_BOOKS` numbers. */
  books(now_us: number, out: Float64Array): void;
  /** Hexadecimal: equal for equal states on every host. */
  digest(): string;
  /** JSON of `CreditStats`. */
  stats(): string;
  /** Frees what it holds; every later call throws `closed`. */
  close(): void;
}

/** `randomSeed` has 32 bytes: the thresholds at which flows are rounded come from it. */
export type CreateCredit = (options: CreditOptions, randomSeed: Uint8Array, now_us: number) => CreditBinding;
