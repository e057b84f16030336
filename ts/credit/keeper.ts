/**
 * Accounts over a restart: opened with what was saved, less what has decayed since, and saved before they are told to neighbours.
 *
 * Invariant: a neighbour is told of no balance that a crash could take back; what is restored is absolute, so that nothing counts twice.
 */
import type { AccountStore, StoredAccount } from '../base/credit.js';
import { asWayfareError } from '../base/errors.js';
import type { Clock, Log } from '../base/ports.js';
import { every } from '../core/timing.js';

const SAVE_EVERY_MS = 10_000;

export interface KeeperParts {
  store: AccountStore;
  clock: Clock;
  log: Log;
  /** The accounts as they are now. */
  accounts(): StoredAccount[];
  /** Tells each neighbour what it may spend here. */
  report(): void;
  /** In which a balance halves. */
  halfLife_us: number;
}

/** What is left of these accounts after `elapsed_ms`: the part that increase is to fill again comes by itself. A clock set back is no time. */
export function aged(accounts: readonly StoredAccount[], elapsed_ms: number, halfLife_us: number): StoredAccount[] {
  const left = 2 ** (-Math.max(0, elapsed_ms) / (halfLife_us / 1000));
  return accounts.map((kept) => ({
    ...kept,
    account: Math.floor(kept.account * left),
    mirror: Math.floor(kept.mirror * left),
    contributed: Math.floor(kept.contributed * left),
  }));
}

export class AccountKeeper {
  readonly #parts: KeeperParts;
  #stop: () => void = () => {};
  /** What each peer's line was when it was last written. */
  readonly #written = new Map<string, string>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** What was kept, as it is worth now. */
  restored(): StoredAccount[] {
    const { store, clock, halfLife_us } = this.#parts;
    const { accounts, saved_ms } = store.load();
    return aged(accounts, clock.now_ms() - saved_ms, halfLife_us);
  }

  start(): void {
    const { clock, log } = this.#parts;
    const save = () => {
      try {
        this.save();
      } catch (error) {
        log.error('accounts were not saved', { code: asWayfareError(error).code });
      }
    };
    this.#stop = every(clock, () => SAVE_EVERY_MS, save);
  }

  /** Saves what has changed, then tells the neighbours. Throws `store_failed`; then nobody is told. */
  save(): void {
    const { store, clock, accounts, report } = this.#parts;
    const changed = accounts().filter((kept) => this.#written.get(kept.peer) !== JSON.stringify(kept));
    if (changed.length > 0) {
      store.save(changed, clock.now_ms());
      for (const kept of changed) this.#written.set(kept.peer, JSON.stringify(kept));
    }
    report();
  }

  /** Saves for the last time, unless there is nothing that is to be. */
  close(save = true): void {
    this.#stop();
    try {
      if (save) this.save();
    } finally {
      this.#parts.store.close();
    }
  }
}
