/** One node of the simulated network: its kernel, and where the kernel's ids lead. */
import {
  CREDIT_NEIGHBOUR,
  CREDIT_SELF,
  type CreateCredit,
  type CreditBinding,
  CreditNeighbour,
  CreditOpening,
  type CreditOptions,
} from '../core/credit.js';
import type { Hop } from './connection.js';

const RECORD = 4;
const row = new Float64Array(CREDIT_NEIGHBOUR);
let rows = new Float64Array(CREDIT_NEIGHBOUR * 64);

/** What a neighbour's accounts begin with. */
export interface Opening {
  account?: number;
  mirror?: number;
  contributed?: number;
  /** log2. */
  value?: number;
  /** Credits per second. */
  expected?: number;
}

export class SimulatedNode {
  readonly credit: CreditBinding;
  /** By the kernel's ids of connections. */
  readonly hops: (Hop | undefined)[] = [];
  /** Connections that are open here. */
  open = 0;
  /** How often it settled, or met or parted from a neighbour: what it mints for each and what they are worth changes then only. */
  revision = 0;
  #increases = new Float64Array(0);
  #increasesOf = -1;
  #ids = new Map<number, number>();
  #records = new Float64Array(RECORD * 16);
  #count = 0;

  constructor(create: CreateCredit, options: CreditOptions, seed: Uint8Array, now_us: number) {
    this.credit = create(options, seed, now_us);
  }

  meet(now_us: number, node: number, opening: Opening = {}): void {
    const numbers = new Float64Array(5);
    numbers[CreditOpening.account] = Math.floor(opening.account ?? 0);
    numbers[CreditOpening.mirror] = Math.floor(opening.mirror ?? 0);
    numbers[CreditOpening.contributed] = Math.floor(opening.contributed ?? 0);
    numbers[CreditOpening.value] = opening.value ?? 0;
    numbers[CreditOpening.expected] = Math.floor(opening.expected ?? 0);
    this.#ids.set(node, this.credit.neighbourAdd(now_us, numbers));
    this.revision += 1;
  }

  part(now_us: number, node: number): void {
    this.credit.neighbourRemove(now_us, this.id(node));
    this.#ids.delete(node);
    this.revision += 1;
  }

  knows(node: number): boolean {
    return this.#ids.has(node);
  }

  /** The kernel's id of a neighbour; of none, itself. */
  id(node: number | undefined): number {
    return node === undefined ? CREDIT_SELF : (this.#ids.get(node) as number);
  }

  /** One number of a neighbour's row. */
  of(now_us: number, node: number, what: keyof typeof CreditNeighbour): number {
    this.credit.neighbour(now_us, this.id(node), row);
    return row[CreditNeighbour[what]] as number;
  }

  /** Credits per second minted for a neighbour by the kernel's id, rounded down. */
  increase(now_us: number, id: number): number {
    if (this.#increasesOf !== this.revision) {
      this.#increasesOf = this.revision;
      const count = this.#ids.size;
      if (rows.length < count * CREDIT_NEIGHBOUR) rows = new Float64Array(2 * count * CREDIT_NEIGHBOUR);
      this.credit.neighbours(now_us, 0, rows);
      this.#increases = new Float64Array(Math.max(0, ...this.#ids.values()) + 1);
      for (let at = 0; at < count * CREDIT_NEIGHBOUR; at += CREDIT_NEIGHBOUR)
        this.#increases[rows[at + CreditNeighbour.neighbour] as number] = Math.floor(
          rows[at + CreditNeighbour.increase] as number,
        );
    }
    return this.#increases[id] as number;
  }

  /** For the next `flush`. */
  charge(id: number, direction: number, credits: number, bytes: number): void {
    const at = RECORD * this.#count;
    if (at === this.#records.length) {
      const more = new Float64Array(2 * at);
      more.set(this.#records);
      this.#records = more;
    }
    this.#records[at] = id;
    this.#records[at + 1] = direction;
    this.#records[at + 2] = credits;
    this.#records[at + 3] = bytes;
    this.#count += 1;
  }

  flush(): void {
    if (this.#count === 0) return;
    this.credit.charges(this.#records, this.#count);
    this.#count = 0;
  }
}
