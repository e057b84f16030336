/**
 * Accounts in SQLite, in a file beside the node's keys: readable by the owner alone, written ahead and synchronised, so that
 * what `save` has returned from is there after a crash, and nothing of what it had not finished.
 */
import { chmodSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { AccountStore, StoredAccount } from '../base/credit.js';
import { SystemError } from '../base/errors.js';

const SCHEMA = `
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = FULL;
  CREATE TABLE IF NOT EXISTS saved (one INTEGER PRIMARY KEY CHECK (one = 1), saved_ms REAL NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS accounts (
    peer TEXT PRIMARY KEY, account INTEGER NOT NULL, mirror INTEGER NOT NULL, contributed INTEGER NOT NULL,
    value REAL NOT NULL, expected REAL NOT NULL, earned INTEGER NOT NULL, spent INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
`;
const COLUMNS = ['account', 'mirror', 'contributed', 'value', 'expected', 'earned', 'spent'] as const;

/** Opens the file, or makes it. Throws `store_failed`, naming the file. */
export function openAccounts(file: string): AccountStore {
  const failed = (what: string, cause: unknown) =>
    new SystemError('store_failed', `cannot ${what} ${file}`, {
      cause,
      hint: `${cause instanceof Error ? cause.message : String(cause)}; without the file, accounts begin anew`,
    });
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(file);
    database.exec(SCHEMA);
    for (const name of [file, `${file}-wal`, `${file}-shm`]) chmodSync(name, 0o600);
  } catch (cause) {
    throw failed('open', cause);
  }
  const put = database.prepare(
    `INSERT OR REPLACE INTO accounts (peer, ${COLUMNS.join(', ')}) VALUES (?, ${COLUMNS.map(() => '?').join(', ')})`,
  );
  const stamp = database.prepare('INSERT OR REPLACE INTO saved (one, saved_ms) VALUES (1, ?)');
  return {
    load() {
      try {
        const rows = database.prepare(`SELECT peer, ${COLUMNS.join(', ')} FROM accounts`).all();
        const saved = database.prepare('SELECT saved_ms FROM saved').get() as { saved_ms: number } | undefined;
        return { accounts: rows as unknown as StoredAccount[], saved_ms: saved?.saved_ms ?? 0 };
      } catch (cause) {
        throw failed('read', cause);
      }
    },
    save(accounts, saved_ms) {
      try {
        database.exec('BEGIN IMMEDIATE');
        try {
          for (const kept of accounts) put.run(kept.peer, ...COLUMNS.map((name) => kept[name]));
          stamp.run(saved_ms);
          database.exec('COMMIT');
        } catch (cause) {
          database.exec('ROLLBACK');
          throw cause;
        }
      } catch (cause) {
        throw failed('write', cause);
      }
    },
    close: () => database.close(),
  };
}
