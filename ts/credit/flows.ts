/**
 * What this node's own circuits announce: what the owner's priorities wish, as far as the credits go.
 *
 * Invariant: a circuit is told of a class once, and again only when it changes.
 */
import type { CircuitId } from '../core/host.js';
import { afford, type Purse } from './budget.js';

/** A circuit in use. */
export interface OwnCircuit {
  id: CircuitId;
  /** The neighbour that it begins with. */
  peer: string;
  /** The class that its streams are to have. */
  class: number;
}

export interface OwnFlowsParts {
  circuits(): OwnCircuit[];
  /** What a neighbour lets us spend, where that is known. */
  purse(peer: string): Purse | undefined;
  announce(circuit: CircuitId, flowClass: number): void;
  /** What circuits have announced with their set-ups. Default 0, nothing. */
  begun?: number;
}

/** Nothing is known of a neighbour yet: what is announced beyond what it has for us is its to throttle. */
const UNKNOWN: Purse = { credits: Number.POSITIVE_INFINITY, increase: 0 };

export class OwnFlows {
  readonly #parts: OwnFlowsParts;
  #told = new Map<CircuitId, number>();

  constructor(parts: OwnFlowsParts) {
    this.#parts = parts;
  }

  /** To be called when a circuit is new, and from time to time as credits come and go. */
  apply(): void {
    const { circuits, purse, announce, begun = 0 } = this.#parts;
    const wishes = circuits().map(({ id, peer, class: wished }) => ({ flow: id, peer, class: wished }));
    const classes = afford(wishes, (peer) => purse(peer) ?? UNKNOWN);
    for (const [circuit, flowClass] of classes) {
      if ((this.#told.get(circuit) ?? begun) !== flowClass) announce(circuit, flowClass);
    }
    this.#told = classes;
  }

  /** The class that a circuit announces. */
  classOf(circuit: CircuitId): number {
    return this.#told.get(circuit) ?? 0;
  }
}
