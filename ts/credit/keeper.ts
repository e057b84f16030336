/**
 * Accounts over a restart: opened with what was saved, and how long ago, and saved before they are told to neighbours.
 *
 * Invariant: a neighbour is told of no balance that a crash could take back; what is restored is absolute, so that nothing counts twice.
 */
import type { AccountStore, StoredAccount } from '../base/credit.js';
import type { Clock } from '../base/ports.js';

export interface KeeperParts {
  store: AccountStore;
  clock: Clock;
  /** The accounts as they are now. */
  accounts(): StoredAccount[];
  /** Tells each neighbour what it may spend here. */
  report(): void;
}

export class AccountKeeper {
  readonly #parts: KeeperParts;
  /** What each peer's line was when it was last written. */
  readonly #written = new Map<string, string>();

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  /** What was kept, and for how long. A clock that was set back is no time. */
  restored(): { accounts: StoredAccount[]; ago_ms: number } {
    const { store, clock } = this.#parts;
    const { accounts, saved_ms } = store.load();
    return { accounts, ago_ms: Math.max(0, clock.now_ms() - saved_ms) };
  }

  /** Saves what has changed, then tells the neighbours. Throws `store_failed`; then nobody is told. */
  save(): void {
    const { store, clock, accounts, report } = this.#parts;
    const lines = accounts().map((kept) => ({ kept, line: JSON.stringify(kept) }));
    const changed = lines.filter(({ kept, line }) => this.#written.get(kept.peer) !== line);
    if (changed.length > 0) {
      store.save(
        changed.map(({ kept }) => kept),
        clock.now_ms(),
      );
      for (const { kept, line } of changed) this.#written.set(kept.peer, line);
    }
    report();
  }

  /** Saves for the last time, unless there is nothing that is to be. */
  close(save = true): void {
    try {
      if (save) this.save();
    } finally {
      this.#parts.store.close();
    }
  }
}
