/** Nodes that look for circles and run them as real ones do (`ts/credit/circle-runner.ts`), with everybody's quotes in sight. */
import { type Circle, CircleSeeker, circleClass, circleMost, type Quotes, wayGain } from '../credit/circles.js';
import type { Connection } from './connection.js';
import type { Network } from './network.js';

export class Seekers {
  readonly #network: Network;
  readonly #quotes: Quotes;
  readonly #seeker = new CircleSeeker();
  readonly #running = new Map<number, { connection: Connection; own: number }>();

  constructor(network: Network, quotes: Quotes) {
    this.#network = network;
    this.#quotes = quotes;
  }

  /** Circles that run. */
  get running(): number {
    return this.#running.size;
  }

  /** A node goes on with its circle, or looks for one. */
  look(node: number): void {
    const had = this.#running.get(node);
    if (had !== undefined) {
      const { connection } = had;
      const own = circleClass(had.own, wayGain(connection.path, this.#quotes), this.#most(connection.path));
      if (own > 0) {
        if (own !== had.own) this.#network.own(connection, own);
        had.own = own;
        return;
      }
      this.#network.close(connection);
      this.#running.delete(node);
    }
    const found = this.best(node);
    if (found === null || this.#most(found.path) === 0) return;
    const connection = this.#network.open({ path: found.path, own: 1, keeps: true });
    if (connection !== null) this.#running.set(node, { connection, own: 1 });
  }

  best(node: number): Circle | null {
    return this.#seeker.best(node, this.#quotes);
  }

  #most(path: readonly number[]): number {
    const node = this.#network.node(path[0] as number);
    return circleMost(node.credit.mirror(this.#network.now_us, node.id(path[1])));
  }
}
