/**
 * One circle at a time, run while it is worth it: what neighbours quote says which to try, what comes home decides whether it goes on.
 *
 * Invariant: a circle takes a small part of what there is at its first hop, and one that brings home clearly less than was quoted is
 * ended, and its way not tried again for a while: a quote is another's word.
 */
import { CircleSeeker, circleClass, circleMost, wayGain } from './circles.js';
import type { Sight } from './quotes.js';
import type { CreditCircle } from './report.js';

/** What a circle that was not what had been quoted is not tried again for. */
export const SHUNNED_MS = 3_600_000;
/** Less of what was quoted than that, over a whole look: classes are rounded, so that a minute's sum is off by some periods. */
const BROUGHT_LEAST = 0.75;
const SHUNNED_MAX = 1024;

export interface CircleParts {
  now_ms(): number;
  /** Rates by now, but those of `without`: nodes by number, this one 0. */
  sight(without: ReadonlySet<string>): Sight;
  /** What there is to spend at a neighbour. */
  mirror(peer: string): number;
  /** A circuit over these nodes and back, with a class from the beginning: its number. Rejects when it cannot be had. */
  open(path: readonly string[], flow: number): Promise<number>;
  announce(circuit: number, flow: number): void;
  /** What it was given and has brought home so far; `null` once it has ended. */
  stats(circuit: number): { credits_paid: number; credits_home: number } | null;
  close(circuit: number): void;
}

interface Running extends CreditCircle {
  paid: number;
  home: number;
}

export class CircleRunner {
  readonly #parts: CircleParts;
  readonly #seeker = new CircleSeeker();
  readonly #shunned = new Map<string, number>();
  #running: Running | null = null;
  #looking = false;

  constructor(parts: CircleParts) {
    this.#parts = parts;
  }

  get running(): CreditCircle | null {
    if (this.#running === null) return null;
    const { circuit, path, flow, gain } = this.#running;
    return { circuit, path, flow, gain };
  }

  /** Once a minute: goes on with the circle that runs, or looks for one. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      if (this.#running !== null) this.#goOn(this.#running, this.#parts.sight(this.#without()));
      // Seen anew: what has just been shunned is out of sight.
      if (this.#running === null) await this.#seek(this.#parts.sight(this.#without()));
    } finally {
      this.#looking = false;
    }
  }

  close(): void {
    if (this.#running !== null) this.#parts.close(this.#running.circuit);
    this.#running = null;
  }

  #goOn(running: Running, sight: Sight): void {
    const { stats, announce } = this.#parts;
    const now = stats(running.circuit);
    if (now === null) {
      this.#running = null;
      return;
    }
    const [paid, home] = [now.credits_paid - running.paid, now.credits_home - running.home];
    [running.paid, running.home] = [now.credits_paid, now.credits_home];
    const { path } = running;
    const [first, last] = [path[0] as string, path.at(-1) as string];
    running.gain = gainOf(sight, path);
    // What this node makes of it is in the gain, and not in what was counted.
    const between = running.gain / 2 ** sight.own(last, first);
    if (home < BROUGHT_LEAST * between * paid) {
      this.#shun(path);
      this.close();
      return;
    }
    const flow = circleClass(running.flow, running.gain, circleMost(this.#parts.mirror(first)));
    if (flow === 0) {
      this.close();
      return;
    }
    if (flow !== running.flow) announce(running.circuit, flow);
    running.flow = flow;
  }

  async #seek(sight: Sight): Promise<void> {
    const found = this.#seeker.best(0, sight);
    if (found === null) return;
    const path = found.path.slice(1, -1).map((node) => sight.ids[node] as string);
    if (path.length < 2 || circleMost(this.#parts.mirror(path[0] as string)) === 0) return;
    try {
      const circuit = await this.#parts.open(path, 1);
      this.#running = { circuit, path, flow: 1, gain: found.gain, paid: 0, home: 0 };
    } catch {
      this.#shun(path);
    }
  }

  /** The links between others on this way: one of their ends has said too much, or does not serve. */
  #shun(path: readonly string[]): void {
    const until_ms = this.#parts.now_ms() + SHUNNED_MS;
    for (let i = 1; i < path.length; i++) this.#shunned.set(`${path[i - 1]} ${path[i]}`, until_ms);
    for (const link of this.#shunned.keys()) {
      if (this.#shunned.size <= SHUNNED_MAX) break;
      this.#shunned.delete(link);
    }
  }

  #without(): ReadonlySet<string> {
    const now_ms = this.#parts.now_ms();
    for (const [link, until_ms] of this.#shunned) if (now_ms >= until_ms) this.#shunned.delete(link);
    return new Set(this.#shunned.keys());
  }
}

/** Of one round from here over these nodes, by what is quoted; 0 where something is not: nobody who has fallen silent is waited for. */
function gainOf(sight: Sight, path: readonly string[]): number {
  return wayGain([0, ...path.map((node) => sight.ids.indexOf(node)), 0], sight);
}
