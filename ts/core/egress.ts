/**
 * Which exit takes a flow: the statistics and the draw as both bindings export them (`crates/stats` through `crates/embed`). What
 * `ts/egress` decides, it decides over this. The terms and the formulas are in docs/decisions/0009-egress-choice.md.
 *
 * `now_us` counts microseconds from an origin of the caller's; a time before the latest one counts as the latest. Randomness is a seed
 * given once. Nothing here keeps a view of a caller's array. Ids of hops are dense and small: use them as indices. Ids of flows and
 * destinations name one use of a slot; one that is no more is refused, or counted and ignored, never taken for another.
 *
 * Errors are thrown as `code: text`: `argument_invalid`, `window_empty`, `egress_full` or `closed`.
 */

export interface EgressOptions {
  /** K, for which data weigh. Default 10 s. Whole `step_us`. */
  window_us?: number;
  /** L, over which connections to one destination are counted. Default 60 s. Whole `step_us`, at most 62 of them. */
  sequence_us?: number;
  /** The small windows that both are made of. Default 1 s. */
  step_us?: number;
  limits?: {
    /** Hops at most, those that drain included. Default 131,072. */
    hops?: number;
    /** (host, port) pairs remembered. Default 65,536: the oldest idle one makes room, one with live flows never. */
    destinations?: number;
    /** (hop, destination) cells. Default 131,072: the oldest idle one makes room. */
    pairs?: number;
    /** Tuples remembered, live and idle. Default 1,048,576: the oldest idle one makes room, a live one never. */
    tuples?: number;
    /** Connections that `groups` looks back on. Default 4,096. */
    log?: number;
  };
}

/** What a weight is made of. `uniform`: 1 each. `yield`: data per connection tried. */
export type EgressMeasure = 'uniform' | 'data' | 'speed' | 'yield';

export interface EgressWeights {
  measure: EgressMeasure;
  /** How many square roots are taken of it, 0 to 8: 1 flattens a ratio of 100 to 10. */
  roots?: number;
}

/** How a hop is drawn. What is left out stays as it is; the defaults are those named. */
export interface EgressWeighting {
  /** (a) over all data of the past K. Default data, no root. */
  all?: EgressWeights;
  /** (b) over data to this destination. Default data, no root. */
  destination?: EgressWeights;
  /**
   * Default `mixture`: by (b) with probability `destinationShare` where some hop has data to this destination, else by (a).
   * `product`: by (a) × (b) among the hops with data to the destination, with that same probability. `all`: by (a) alone.
   * `destination`: by (b), where hops untried at the destination weigh their estimate.
   */
  combine?: 'all' | 'destination' | 'mixture' | 'product';
  /** 0 to 1. Default 0.9. */
  destinationShare?: number;
  /** The probability of drawing uniformly from the window whatever the weights. Default 0. */
  uniformShare?: number;
  /** In a bucket of like weight: `uniform` as drawn there (the default), or `exact`, in proportion to each weight. */
  within?: 'uniform' | 'exact';
  /** How wide a bucket is: weights within a factor of 2^octaves. 1 to 8, default 1. */
  octaves?: number;
  /** The untried hops together weigh at most so many times what as many tried ones weigh on average. Default 1. */
  untriedMost?: number;
  /** Whether draws by (a) leave out hops that have failed at this destination in the past K and moved nothing. Default true. */
  avoidFailed?: boolean;
  /** M: a connection from the same address to the same destination so soon after a failed one is its retry. Default 2 s. */
  retryWithin_us?: number;
  /** Whether a retry leaves out the hops that its chain has tried. Default true. */
  avoidTried?: boolean;
}

/** How a hop was come by: `out[1]` of `flowOpen`, and the result of `draw` for its first hop. */
export const EGRESS_STICKY = 0;
/** By (a). */
export const EGRESS_BY_ALL = 1;
/** By (b), or by both. */
export const EGRESS_BY_DESTINATION = 2;
/** Uniformly: by `uniformShare`, or since no hop has any weight. */
export const EGRESS_UNIFORM = 3;
/** Everything was excluded; drawn from the window as if nothing were. */
export const EGRESS_FORCED = 4;
/** The caller named it. */
export const EGRESS_GIVEN = 5;

/** Numbers that `flowOpen` writes: hop, how, connections to the destination in the past K, the most to one destination in L. */
export const EGRESS_OPENED = 4;

/** A tuple's source: address 16 (IPv4 as ::ffff:0:0/96) | port u16 | protocol u8. */
export const EGRESS_SOURCE_BYTES = 19;

/** `record`: flow, at_us, bytes sent, bytes received, packets sent, packets received. */
export const EGRESS_RECORD = 6;

/** Numbers per row of `hops`. Times are microseconds, -1 for never; data are bytes in the past K. */
export const EGRESS_HOP = 15;
export const EgressHop = {
  hop: 0,
  added_us: 1,
  /** 1 from `hopRemove` on. */
  draining: 2,
  estimate: 3,
  sent: 4,
  received: 5,
  /** What weighs: all that was received, and what was sent by flows that were answered. */
  data: 6,
  opened: 7,
  failed: 8,
  /** Bytes per second, by the packet interval of the past K. */
  speed: 9,
  /** As (a) has it at this moment, before buckets. */
  weight: 10,
  /** 1 where nothing came of it in the past K, so that its estimate counts. */
  untried: 11,
  flows: 12,
  last_us: 13,
  excludedUntil_us: 14,
} as const;

/** Numbers per row of `pairs`: as above, of one hop at one destination. */
export const EGRESS_PAIR = 9;
export const EgressPair = {
  hop: 0,
  data: 1,
  opened: 2,
  failed: 3,
  speed: 4,
  weight: 5,
  flows: 6,
  last_us: 7,
  excludedUntil_us: 8,
} as const;

/** Numbers per row of `destinations`. */
export const EGRESS_DESTINATION = 6;
export const EgressDestination = {
  destination: 0,
  /** Connections tried in the past K, and L. */
  connections: 1,
  connectionsL: 2,
  flows: 3,
  /** Hops with data there in the past K. */
  hops: 4,
  last_us: 5,
} as const;

/** Numbers per row of `flows`. */
export const EGRESS_FLOW = 10;
export const EgressFlow = {
  flow: 0,
  hop: 1,
  destination: 2,
  /** 0 for a tuple that is remembered only. */
  live: 3,
  first_us: 4,
  last_us: 5,
  sent: 6,
  received: 7,
  packetsSent: 8,
  packetsReceived: 9,
} as const;

/** JSON of `groups`. */
export interface EgressGroups {
  /** Connections looked back on. */
  connections: number;
  /** How many run now, and the most that ran at once. */
  running: number;
  peak: number;
  /** Maximal runs with more than none: when each began and ended (null: it runs), its connections, the most at once. */
  groups: { start_us: number; end_us: number | null; connections: number; peak: number }[];
  /** Retries: connections to one destination of which each but the last failed and was followed by the next. */
  chains: { destination: number; start_us: number; tries: number; hops: number[]; failed: boolean }[];
}

/** JSON of `stats`. */
export interface EgressStats {
  hops: number;
  draining: number;
  destinations: number;
  pairs: number;
  flowsLive: number;
  tuplesIdle: number;
  /** Forgotten to make room. */
  tuplesEvicted: number;
  destinationsEvicted: number;
  pairsEvicted: number;
  /** Records that named no flow, or were no numbers; records out of the sequence's reach, counted at the latest time. */
  recordsStale: number;
  recordsMalformed: number;
  recordsLate: number;
  /** Calls whose clock had fallen. */
  clockFell: number;
  /** Openings refused since everything remembered is live. */
  refused: number;
  /** Draws in which everything was excluded. */
  forced: number;
  memoryBytes: number;
}

export interface EgressBinding {
  /** JSON of `EgressWeighting`. From the next draw on. */
  setWeighting(json: string): void;

  /** A hop in the window. `estimate` in the unit of (a)'s measure; what is not a finite number from 0 counts as 0. Its id. */
  hopAdd(now_us: number, estimate: number): number;
  hopEstimate(hop: number, estimate: number): void;
  /** Out of the window: no flow is given to it any more, those it has go on. */
  hopRemove(now_us: number, hop: number): void;
  /** Frees a removed hop's id once no flow is live on it; false as long as one is. */
  hopRelease(hop: number): boolean;
  /** A verdict on the hop: no draw gives it before then. 0 takes it back. */
  hopExclude(hop: number, until_us: number): void;

  /** The id of `host:port`, at most 300 bytes. May change once nothing refers to it: ask per connection, it is quick. */
  destination(now_us: number, key: string): number;
  /** Its key, or '' once it is forgotten. */
  destinationKey(destination: number): string;
  /** A verdict on a destination through a hop. 0 takes it back. */
  pairExclude(now_us: number, hop: number, destination: number, until_us: number): void;
  /**
   * Connections tried to a destination in the past `span_us`, at most L: exact where `now_us - span_us` is a whole `step_us`, else the
   * small window it falls into counts in proportion (the error is at most what that one holds).
   */
  connections(now_us: number, destination: number, span_us: number): number;
  /** The largest count to one destination in the past L. */
  connectionsPeak(now_us: number): number;

  /**
   * Draws as many distinct hops as `out` holds for one connection, or as many as the window has; how many. `avoid` and verdicts are
   * honoured as long as they leave a hop; the kind of the first is `lastHow()`. Nothing is counted.
   */
  draw(now_us: number, destination: number, avoid: Uint32Array, out: Uint32Array): number;
  lastHow(): number;
  /** Fills `out` with the hops that a connection from this address to this destination is a retry of; how many. */
  retryOf(now_us: number, source: Uint8Array, destination: number, out: Uint32Array): number;

  /** The flow of a tuple, live or remembered; -1 for none. */
  flowFind(source: Uint8Array, destination: number): number;
  /**
   * A connection: the flow of its tuple. A live tuple keeps its hop. An idle one keeps it while the hop is in the window and nothing
   * excludes it. Else `hop` is taken, or, with -1, one is drawn without `avoid` and, for a retry, without those tried. Writes
   * `EGRESS_OPENED` numbers to `out`.
   */
  flowOpen(
    now_us: number,
    source: Uint8Array,
    destination: number,
    hop: number,
    avoid: Uint32Array,
    out: Float64Array,
  ): number;
  /** Another hop for a live flow to which nothing has come yet (a race's winner); false once something has. */
  flowMove(now_us: number, flow: number, hop: number): boolean;
  /** The flow has ended; `failed`: as its policy sees it, which counts against the hop only if nothing came. The tuple stays. */
  flowClose(now_us: number, flow: number, failed: boolean): void;
  /** The tuple's life is over. */
  flowForget(flow: number): void;
  /** An attempt beside a flow's own, in a race: counted as tried, and on its end as failed or not. */
  attemptOpen(now_us: number, destination: number, hop: number): void;
  attemptClose(now_us: number, destination: number, hop: number, failed: boolean): void;

  /** `count` records of `EGRESS_RECORD` numbers: what moved since the last ones. How many were counted. */
  record(now_us: number, records: Float64Array, count: number): number;
  /** The same by tuple: `sources` holds `EGRESS_SOURCE_BYTES` each, and a record's first number is the destination. */
  recordTuples(now_us: number, sources: Uint8Array, records: Float64Array, count: number): number;

  /** Rows of every hop, as many as `out` holds; how many there are. */
  hops(now_us: number, out: Float64Array): number;
  /** Rows of the hops tried at a destination in the past K or excluded there. */
  pairs(now_us: number, destination: number, out: Float64Array): number;
  /** Rows of destinations from slot `from` on; where to go on, 0 at the end. Rows that are not filled begin with -1. */
  destinations(now_us: number, from: number, out: Float64Array): number;
  /** Rows of tuples, likewise. */
  flows(from: number, out: Float64Array): number;
  /** JSON of `EgressGroups`, over the latest connections. `tolerance_us` is M. */
  groups(now_us: number, tolerance_us: number): string;
  /** JSON of `EgressStats`. */
  stats(): string;
  /** Frees what it holds; every later call throws `closed`. */
  close(): void;
}

/** `optionsJson` is `EgressOptions`; `randomSeed` has 32 bytes, unpredictable in a real node. */
export type CreateEgress = (options: EgressOptions, randomSeed: Uint8Array, now_us: number) => EgressBinding;
