/**
 * The sticky set of first hops. An attacker who can make paths fail must gain nothing by it: whatever fails, the next path starts
 * in the same few nodes.
 *
 * Invariant: the set is drawn once and never grows; no call takes a failure, so none can change it.
 */
import type { Random } from '../base/ports.js';

export class EntrySet {
  readonly ids: readonly string[];

  /** `kept` from an earlier run come first; what is missing up to `size` is drawn from `candidates`. */
  constructor(candidates: readonly string[], size: number, random: Random, kept: readonly string[] = []) {
    const ids = [...new Set(kept)].slice(0, size);
    const left = [...new Set(candidates)].filter((id) => !ids.includes(id));
    while (ids.length < size && left.length > 0) ids.push(...left.splice(random.below(left.length), 1));
    this.ids = Object.freeze(ids);
  }

  /** One of them, other than `without`; `null` where that leaves none. */
  draw(random: Random, without: readonly string[] = []): string | null {
    const fit = this.ids.filter((id) => !without.includes(id));
    return fit.length === 0 ? null : (fit[random.below(fit.length)] as string);
  }
}
