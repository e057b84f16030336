/**
 * Bandwidth as a fluid: what each flow gets of the links it crosses, when every saturated link divides itself in proportion to the
 * weights that flows have *there* and nobody is given more than he asks for or gets elsewhere.
 *
 * A link l has a level θ. A flow f gets x = min(demand, min over its links of w(f, l)·θ(l)), and each link either is full,
 * Σ use(f, l)·x(f) = capacity(l), or has no level (∞): nobody waits there. With equal weights this is max–min fairness; weights that
 * differ from link to link are what separates it from the textbook's filling, so levels are found link after link until they stand
 * (each pass is exact for one link, given the others).
 */

export interface FluidFlow {
  /** Links in the order of the path; below 0 one that is never full. */
  links: readonly number[];
  /** At each of them; more than 0. */
  weights: number[];
  /** Bytes of the link's capacity that a byte of this flow takes there; 1 where left out. */
  uses?: readonly number[];
  /** Bytes per second at most. */
  demand: number;
  /** What it gets: bytes per second. */
  rate: number;
  /** Which of `links` it waits at, by position; -1 where it gets what it asks for. */
  waits: number;
}

const STANDS = 1e-9;

export class Fluid {
  /** Bytes per second of each link. */
  readonly capacity: Float64Array;
  /** Bytes per second per weight; infinite where a link is not full. Kept from one call to the next to begin with. */
  readonly level: Float64Array;
  /** Bytes per second on each link after the latest call. */
  readonly load: Float64Array;
  readonly #members: { flow: FluidFlow; at: number }[][];
  readonly #caps: number[] = [];
  #used: number[] = [];

  /** Passes at most in one call: levels are kept, so that few are enough where little changes from call to call. */
  readonly #passes: number;

  constructor(capacity: ArrayLike<number>, passes = 200) {
    this.#passes = passes;
    this.capacity = Float64Array.from(capacity);
    this.level = new Float64Array(capacity.length).fill(Number.POSITIVE_INFINITY);
    this.load = new Float64Array(capacity.length);
    this.#members = Array.from({ length: capacity.length }, () => []);
  }

  full(link: number): boolean {
    return this.level[link] !== Number.POSITIVE_INFINITY;
  }

  /** Sets every flow's rate and where it waits. How many passes it took. */
  divide(flows: readonly FluidFlow[]): number {
    const links = this.#gather(flows);
    let passes = 0;
    for (let moved = true; moved && passes < this.#passes; passes++) {
      moved = false;
      for (const link of links) {
        const before = this.level[link] as number;
        const after = this.#fill(link);
        this.level[link] = after;
        if (before !== after && !(Math.abs(before - after) <= STANDS * after)) moved = true;
      }
    }
    for (const flow of flows) {
      flow.rate = flow.demand;
      flow.waits = -1;
      for (let at = 0; at < flow.links.length; at++) {
        const link = flow.links[at] as number;
        if (link < 0) continue;
        const share = (flow.weights[at] as number) * (this.level[link] as number);
        // A level that rounds is no other place to wait at.
        if (share < flow.rate * (1 - STANDS) || (flow.waits < 0 && share < flow.rate)) {
          flow.rate = share;
          flow.waits = at;
        }
      }
      for (let at = 0; at < flow.links.length; at++) {
        const link = flow.links[at] as number;
        if (link >= 0) this.load[link]! += flow.rate * (flow.uses?.[at] ?? 1);
      }
    }
    return passes;
  }

  /** Who crosses which link; those that could be full. */
  #gather(flows: readonly FluidFlow[]): number[] {
    for (const link of this.#used) {
      (this.#members[link] as unknown[]).length = 0;
      this.load[link] = 0;
    }
    const used: number[] = [];
    for (const flow of flows) {
      for (let at = 0; at < flow.links.length; at++) {
        const link = flow.links[at] as number;
        if (link < 0) continue;
        const members = this.#members[link] as { flow: FluidFlow; at: number }[];
        if (members.length === 0) used.push(link);
        members.push({ flow, at });
      }
    }
    // A level of before that nobody crosses any more is no level.
    for (const link of this.#used) if (this.#members[link]?.length === 0) this.level[link] = Number.POSITIVE_INFINITY;
    this.#used = used;
    return used.filter((link) => {
      let asked = 0;
      for (const { flow, at } of this.#members[link] as { flow: FluidFlow; at: number }[])
        asked += flow.demand * (flow.uses?.[at] ?? 1);
      if (asked > (this.capacity[link] as number)) return true;
      this.level[link] = Number.POSITIVE_INFINITY;
      return false;
    });
  }

  /** The level at which this link is full, as the others' levels are. */
  #fill(link: number): number {
    const members = this.#members[link] as { flow: FluidFlow; at: number }[];
    const caps = this.#caps;
    let left = this.capacity[link] as number;
    let weight = 0;
    let asked = 0;
    for (let i = 0; i < members.length; i++) {
      const { flow, at } = members[i] as { flow: FluidFlow; at: number };
      let cap = flow.demand;
      for (let other = 0; other < flow.links.length; other++) {
        const link = flow.links[other] as number;
        if (other === at || link < 0) continue;
        const share = (flow.weights[other] as number) * (this.level[link] as number);
        if (share < cap) cap = share;
      }
      caps[i] = cap;
      const use = flow.uses?.[at] ?? 1;
      asked += cap * use;
      weight += (flow.weights[at] as number) * use;
    }
    if (asked <= left) return Number.POSITIVE_INFINITY;
    // Whoever gets all he can take leaves the rest to the others, until nobody does.
    for (;;) {
      const level = left / weight;
      let satisfied = false;
      for (let i = 0; i < members.length; i++) {
        const { flow, at } = members[i] as { flow: FluidFlow; at: number };
        const cap = caps[i] as number;
        const own = flow.weights[at] as number;
        if (cap < 0 || cap > own * level) continue;
        const use = flow.uses?.[at] ?? 1;
        left -= cap * use;
        weight -= own * use;
        caps[i] = -1;
        satisfied = true;
      }
      if (!satisfied) return level;
      if (weight <= 1e-300 || left <= 0) return level;
    }
  }
}
