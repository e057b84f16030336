/**
 * What the credit system tells other parts of a node, and where its accounts outlive the process (docs/decisions/0011-credits.md).
 */
import type { KeptAccount } from '../core/node-credits.js';

/** What neighbours have done for this node, and have had of it. */
export interface Reputation {
  /**
   * Contributed − used, in credits since the neighbour was first met: what this node spent there, less what the neighbour spent here.
   * 0 for one that was never met.
   */
  of(peer: string): number;
}

/** What it costs to send. */
export interface Price {
  /** Credits per byte that are charged for load on the link to this neighbour, an average over a minute; 0 while it is not saturated. */
  load(peer: string): number;
  /** What becomes of a credit that comes from one neighbour and goes on to another: 1 where neither is scarce. */
  gain(from: string, to: string): number;
}

/** What is on disk of a neighbour. Amounts are credits. */
export interface StoredAccount extends KeptAccount {
  /** For reputation: what was spent there and here since the neighbour was first met. */
  earned: number;
  spent: number;
}

/** Accounts on disk. Amounts are absolute, so that writing something twice is writing it once. */
export interface AccountStore {
  /** What was saved last, and when (Unix time). */
  load(): { accounts: StoredAccount[]; saved_ms: number };
  /** Replaces these peers' accounts, all or none; when it returns, they have outlived the process. */
  save(accounts: readonly StoredAccount[], saved_ms: number): void;
  close(): void;
}
