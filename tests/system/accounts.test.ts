/** Accounts outlive a process that is killed in the middle of saving them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { openAccounts } from '../../ts/platform/accounts.js';

const PEERS = 40;
const folder = mkdtempSync(join(tmpdir(), 'wayfare-accounts-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Saves all accounts with the number of the round, and says so when that has returned. */
const SAVER = `
  const { openAccounts } = await import(process.argv[1]);
  const store = openAccounts(process.argv[2]);
  for (let round = Number(process.argv[3]); ; round++) {
    const kept = Array.from({ length: ${PEERS} }, (_, i) => ({ peer: String(i).padStart(64, '0'), account: round, mirror: -round,
      contributed: 1, value: 0.5, expected: 2, earned: 3, spent: 4 }));
    store.save(kept, round);
    process.stdout.write(round + '\\n');
  }
`;

test('what was acknowledged is there after kill -9, whole, and nothing is there twice', async () => {
  const file = join(folder, 'accounts.sqlite');
  const module = new URL('../../dist/platform/accounts.js', import.meta.url).href;
  let round = 1;
  for (let kill = 0; kill < 5; kill++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', SAVER, module, file, String(round)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    let acknowledged = 0;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      acknowledged = said.split('\n').length - 1;
      if (acknowledged > 7 * (kill + 1)) child.kill('SIGKILL');
    });
    await once(child, 'close');
    const last = Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
    const store = openAccounts(file);
    const { accounts, saved_ms } = store.load();
    store.close();
    expect(accounts.length).toBe(PEERS);
    // Killed between saving and saying so, it may be one further.
    expect([last, last + 1]).toContain(saved_ms);
    for (const kept of accounts)
      expect(kept).toMatchObject({ account: saved_ms, mirror: -saved_ms, earned: 3, spent: 4 });
    round = saved_ms + 1;
  }
});

test('the file is for its owner alone, and one that is none is named', () => {
  const file = join(folder, 'modes.sqlite');
  const store = openAccounts(file);
  store.save([], 1);
  for (const name of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600);
  store.close();
  const other = join(folder, 'other.sqlite');
  writeFileSync(other, 'no database, whatever its name says');
  expect(() => openAccounts(other)).toThrow(
    expect.objectContaining({ code: 'store_failed', message: expect.stringContaining(other) }),
  );
});
