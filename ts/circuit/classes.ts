/**
 * Which size class the next circuit along a path asks for: the largest that its links have not refused. A jumbo class travels
 * only where every link of the path is fast and its own path takes such packets; who refuses does not say which link it was.
 *
 * Invariant: memory is bounded, and what was refused is tried again, since links become fast, and larger, later on.
 */
import type { Clock } from '../base/ports.js';
import type { SizeClass } from '../core/host.js';

/** Tried in this order, from the largest that is wanted. Every link carries the last two, in halves where need be. */
const LARGEST_FIRST: readonly SizeClass[] = ['X', 'J', 'L'];
/** For so long a refusal holds. */
export const REFUSAL_MS = 300_000;
const LINKS_MAX = 4096;

export class SizeClasses {
  readonly #clock: Clock;
  readonly #choices: readonly SizeClass[];
  /** By link, as `from to`: the first choice that it may carry, and until when that is believed. */
  readonly #refusals = new Map<string, { first: number; until_ms: number }>();

  /** `largest`: no circuit asks for more. */
  constructor(largest: SizeClass, clock: Clock) {
    this.#clock = clock;
    const from = LARGEST_FIRST.indexOf(largest);
    this.#choices = from < 0 ? [largest] : LARGEST_FIRST.slice(from);
  }

  /** For a path of node ids, the client's own first. `atLeast`: whatever was refused, nothing smaller will do. */
  of(path: readonly string[], atLeast?: SizeClass): SizeClass {
    const least = atLeast === undefined ? this.#choices.length - 1 : this.#choices.indexOf(atLeast);
    return this.#choices[Math.min(this.#first(path), least)] as SizeClass;
  }

  /** Some link of the path refused this class. Returns whether there is a smaller one to ask for. */
  refused(path: readonly string[], sizeClass: SizeClass): boolean {
    const first = this.#choices.indexOf(sizeClass) + 1;
    if (first === this.#choices.length) return false;
    const until_ms = this.#clock.now_ms() + REFUSAL_MS;
    for (const link of links(path)) {
      this.#refusals.delete(link);
      this.#refusals.set(link, { first, until_ms });
    }
    for (const oldest of this.#refusals.keys()) {
      if (this.#refusals.size <= LINKS_MAX) break;
      this.#refusals.delete(oldest);
    }
    return true;
  }

  /** Every link of the path carries this class: it was another link that refused it elsewhere. */
  carried(path: readonly string[], sizeClass: SizeClass): void {
    const first = this.#choices.indexOf(sizeClass);
    for (const link of links(path)) {
      const refusal = this.#refusals.get(link);
      if (refusal !== undefined && refusal.first > first) this.#refusals.delete(link);
    }
  }

  #first(path: readonly string[]): number {
    const now_ms = this.#clock.now_ms();
    let first = 0;
    for (const link of links(path)) {
      const refusal = this.#refusals.get(link);
      if (refusal === undefined) continue;
      if (refusal.until_ms <= now_ms) this.#refusals.delete(link);
      else first = Math.max(first, refusal.first);
    }
    return first;
  }
}

function links(path: readonly string[]): string[] {
  return path.slice(1).map((to, i) => `${path[i]} ${to}`);
}
