/** The world of a simulation, in numbers. Every default is printed by `wayfare sim retries --json` and explained in docs/retries.md. */

const S = 1_000_000;

export interface WorldOptions {
  exits: number;
  intermediaries: number;
  /** Asked for again and again, by Zipf's law. */
  destinations: number;
  /** The exponent of that law. */
  zipf: number;
  /** Connections per second to them, at random times. */
  rate: number;
  /** Connections per second beside these, each to a destination that nobody has asked for before. */
  firstRate: number;
  /** P: one of P (exit, destination) and one of P (intermediary, destination) pairs is a black hole at any time. Infinite: none. */
  block: number;
  /** Whether intermediaries do so too. */
  intermediariesBlock: boolean;
  /** How long a black hole lasts on average. */
  blockMean_us: number;
  /** Instead of that: so many of the exits, always, for every destination. */
  badExits: number | null;
  /** How long an exit stays on average, and how long it is away. */
  upMean_us: number;
  downMean_us: number;
  /** Exits that all vanish at once: which part of them, when first, how long, and how often. */
  vanish: { share: number; at_us: number; for_us: number; every_us: number; times: number } | null;
  /** Bytes per second that an exit and an intermediary can move for this sender: log-normal, by median and sigma of its logarithm. */
  exitLimit: { median: number; sigma: number };
  intermediaryLimit: { median: number; sigma: number };
  /** What the directory says of an exit: as speed its limit but for a log-normal error, as capacity the limit over a part in use. */
  estimates: { sigma: number; leastPart: number };
  /** An exit of its own kind: moves so much and swallows everything or not, whatever its estimate says. */
  liar: { exit: number; limit: number; silent: boolean } | null;
  /** Round trips over the whole plane that nodes lie on, and what each node adds on average. 0 and 0: none takes any time. */
  plane_us: number;
  access_us: number;
  /** Bytes of a transfer: Pareto, cut at both ends. */
  size: { least: number; most: number; alpha: number };
  /** n and K of a sender's stream: it gives up when it has received fewer than n bytes in K. */
  stallBytes: number;
  stall_us: number;
  /** The sender notices after so long that a circuit in use is gone. */
  lost_us: number;
}

export const WORLD_DEFAULTS: WorldOptions = {
  exits: 1000,
  intermediaries: 200,
  destinations: 200,
  zipf: 0.9,
  rate: 100,
  firstRate: 10,
  block: 4,
  intermediariesBlock: true,
  blockMean_us: 600 * S,
  badExits: null,
  upMean_us: 3600 * S,
  downMean_us: 300 * S,
  vanish: null,
  exitLimit: { median: 5e5, sigma: 1.2 },
  intermediaryLimit: { median: 2e6, sigma: 1 },
  estimates: { sigma: 0.7, leastPart: 0.2 },
  liar: null,
  plane_us: 100_000,
  access_us: 10_000,
  size: { least: 8192, most: 16 * 2 ** 20, alpha: 1.2 },
  stallBytes: 16_384,
  stall_us: 10 * S,
  lost_us: 2 * S,
};

export interface RunOptions {
  seed: number;
  world: WorldOptions;
  /** Before anything is counted. */
  warm_us: number;
  /** Counted: connections that begin in this time. */
  counted_us: number;
  /** How long they are waited for; else until the last one has ended. */
  drain_us?: number;
}

/** Mean bytes of a transfer, by the law's own formula. */
export function meanSize({ least, most, alpha }: WorldOptions['size']): number {
  const cut = 1 - (least / most) ** alpha;
  if (alpha === 1) return (least * Math.log(most / least)) / cut;
  return ((alpha / (alpha - 1)) * least * (1 - (least / most) ** (alpha - 1))) / cut;
}
