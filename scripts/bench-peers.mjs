// npm run bench:peers [-- --check]: sets up, then measures against what others have built (bench/peers/run.ts says what).
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { foreground } from './setup/exec.mjs';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript } from './setup/progress.mjs';

await runScript(async () => {
  // Help needs no native core; on a clone that has been set up before it comes at once.
  const help = process.argv.slice(2).some((arg) => arg === '--help' || arg === '-h');
  if (!help || !existsSync(at('node_modules', 'tsx'))) {
    const code = await setUp(fileURLToPath(import.meta.url));
    if (code !== null) return code;
  }
  const args = ['--import', 'tsx', at('bench', 'peers', 'run.ts'), ...process.argv.slice(2)];
  return foreground(process.execPath, args, { cwd: root });
});
