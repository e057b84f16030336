// npm ci, when what is installed is not what the lock file says.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { npm, run } from './exec.mjs';
import { at, root } from './paths.mjs';
import { step } from './progress.mjs';

// Inside node_modules, so that it goes when they go.
const stampFile = () => at('node_modules', '.wayfare-lock');

function wanted() {
  const lock = readFileSync(at('package-lock.json'));
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}`;
}

export async function packages() {
  const stamp = wanted();
  if (existsSync(stampFile()) && readFileSync(stampFile(), 'utf8') === stamp) return;
  await step('Installing npm packages', async () => {
    const [command, args] = npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']);
    await run(command, args, { cwd: root, failure: 'npm ci failed: see its message above, then run this again' });
  });
  writeFileSync(stampFile(), stamp);
}
