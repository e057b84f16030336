// npm run bench [-- --check]: sets up, then measures (bench/run.ts says what).
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { foreground } from './setup/exec.mjs';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript, SetupError } from './setup/progress.mjs';
import { wasm } from './setup/wasm.mjs';

await runScript(async () => {
  // Help needs no native core; on a clone that has been set up before it comes at once.
  const help = process.argv.slice(2).some((arg) => arg === '--help' || arg === '-h');
  if (!help || !existsSync(at('node_modules', 'tsx'))) {
    const code = await setUp(fileURLToPath(import.meta.url));
    if (code !== null) return code;
    await wasm();
  }
  const main = ['run.ts', 'run.mjs'].map((name) => at('bench', name)).find((file) => existsSync(file));
  if (main === undefined) throw new SetupError('bench/run.ts is not there: this checkout holds no benchmarks');
  const args = ['--expose-gc', '--import', 'tsx', main, ...process.argv.slice(2)];
  return foreground(process.execPath, args, { cwd: root });
});
