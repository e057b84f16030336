/**
 * Which hops there are to choose from: the window's size, who enters it and who leaves.
 *
 * Invariant: never fewer than the floor N + (c / R) × S while the directory has more (c: the most connections to one destination
 * in the past L, fractions rounded up); who leaves takes no new flow and keeps those it has.
 */
import { EGRESS_HOP, type EgressBinding, EgressHop } from '../core/egress.js';
import type { HopPlan } from './enumerate.js';
import type { WindowOptions } from './options.js';

/** Where hops come from. */
export interface HopSupply {
  hops(count: number, now_us: number): HopPlan[];
  release(exit: string, until_us?: number): void;
}

export interface WindowHop extends HopPlan {
  hop: number;
  added_us: number;
  /** No two uses of an id have the same. */
  serial: number;
}

export const windowFloor = ({ baseline, step, per }: WindowOptions, peak: number): number =>
  baseline + Math.ceil((peak * step) / per);

export class HopWindow {
  readonly #egress: EgressBinding;
  readonly #supply: HopSupply;
  readonly #options: WindowOptions;
  readonly #hops = new Map<number, WindowHop>();
  #draining: { hop: WindowHop; until_us: number }[] = [];
  #rows = new Float64Array(64 * EGRESS_HOP);
  #grown_us = Number.NEGATIVE_INFINITY;
  #shrunk_us: number;
  #serial = 0;
  /** Of the hops that entered before this serial. */
  #median = { estimate: 0, until: 0 };
  /** The directory had no more then: it is not asked again at every connection. */
  #dry_us = Number.NEGATIVE_INFINITY;

  constructor(egress: EgressBinding, supply: HopSupply, options: WindowOptions, now_us: number) {
    this.#egress = egress;
    this.#supply = supply;
    this.#options = options;
    this.#shrunk_us = now_us;
  }

  get size(): number {
    return this.#hops.size;
  }

  get(hop: number): WindowHop | undefined {
    return this.#hops.get(hop);
  }

  hops(): IterableIterator<WindowHop> {
    return this.#hops.values();
  }

  /** Up to the floor; the hops that entered. */
  fill(now_us: number, peak = this.#egress.connectionsPeak(now_us)): WindowHop[] {
    return this.#grow(now_us, windowFloor(this.#options, peak));
  }

  /**
   * After a connection was opened; `connections` to its destination in the past K. Above R the window grows by S, at most once in K
   * and to S above its floor: growth without that end would take the whole directory, as only one hop leaves in K.
   */
  opened(now_us: number, connections: number, peak: number): WindowHop[] {
    const { step, per, window_us } = this.#options;
    const floor = windowFloor(this.#options, peak);
    let size = floor;
    if (connections > per && now_us - this.#grown_us >= window_us) {
      this.#grown_us = now_us;
      size = Math.max(size, Math.min(this.size + step, floor + step));
    }
    return this.#grow(now_us, size);
  }

  #grow(now_us: number, size: number): WindowHop[] {
    const wanted = size - this.#hops.size;
    if (wanted <= 0 || now_us - this.#dry_us < 1_000_000) return [];
    const plans = this.#supply.hops(wanted, now_us);
    const most = this.#options.estimateMost * this.#medianEstimate(plans);
    const added = plans.map((plan) => {
      const hop = {
        ...plan,
        hop: this.#egress.hopAdd(now_us, Math.min(plan.estimate, most)),
        added_us: now_us,
        serial: ++this.#serial,
      };
      this.#hops.set(hop.hop, hop);
      return hop;
    });
    if (added.length < wanted) this.#dry_us = now_us;
    return added;
  }

  /**
   * What the window's hops and these estimate, the lower one of two in the middle: while fewer than half of them lie, it is bounded by
   * what an honest one says. It is found again when an eighth of the window is new.
   */
  #medianEstimate(plans: readonly HopPlan[]): number {
    if (this.#serial >= this.#median.until) {
      const all = [...this.#hops.values(), ...plans];
      const said = all.map(({ estimate }) => (estimate > 0 ? estimate : 0)).sort((a, b) => a - b);
      this.#median = {
        estimate: said[(said.length - 1) >> 1] ?? 0,
        until: this.#serial + plans.length + (all.length >> 3),
      };
    }
    return this.#median.estimate;
  }

  /** It takes no more flows; its exit may be had again from `until_us` on. */
  remove(now_us: number, hop: number, until_us = now_us): WindowHop | undefined {
    const removed = this.#hops.get(hop);
    if (removed === undefined) return undefined;
    this.#hops.delete(hop);
    this.#egress.hopRemove(now_us, hop);
    this.#draining.push({ hop: removed, until_us });
    return removed;
  }

  /** Hops whose last flow has ended are let go; every K one leaves if the window is above its floor. */
  tick(now_us: number): WindowHop | undefined {
    this.#draining = this.#draining.filter(({ hop, until_us }) => {
      if (!this.#egress.hopRelease(hop.hop)) return true;
      this.#supply.release(hop.exit, until_us);
      return false;
    });
    this.#dry_us = Number.NEGATIVE_INFINITY;
    if (now_us - this.#shrunk_us < this.#options.window_us) return undefined;
    this.#shrunk_us = now_us;
    const floor = windowFloor(this.#options, this.#egress.connectionsPeak(now_us));
    if (this.size <= floor) return undefined;
    const least = this.#least(now_us);
    return least === undefined ? undefined : this.remove(now_us, least);
  }

  /** Draining hops that still have flows. */
  get draining(): number {
    return this.#draining.length;
  }

  /** Rows of `EgressHop`, valid until the next call. */
  rows(now_us: number): Float64Array {
    let count = this.#egress.hops(now_us, this.#rows);
    if (count * EGRESS_HOP > this.#rows.length) {
      this.#rows = new Float64Array(2 * count * EGRESS_HOP);
      count = this.#egress.hops(now_us, this.#rows);
    }
    return this.#rows.subarray(0, count * EGRESS_HOP);
  }

  /** Least data in the past K, among those that have been here so long; the oldest of equals. */
  #least(now_us: number): number | undefined {
    const rows = this.rows(now_us);
    let best: number | undefined;
    let [data, added_us] = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    for (let at = 0; at < rows.length; at += EGRESS_HOP) {
      const hop = this.#hops.get(rows[at + EgressHop.hop] as number);
      if (hop === undefined || now_us - hop.added_us < this.#options.window_us) continue;
      const moved = rows[at + EgressHop.data] as number;
      if (moved < data || (moved === data && hop.added_us < added_us)) {
        [best, data, added_us] = [hop.hop, moved, hop.added_us];
      }
    }
    return best;
  }
}
