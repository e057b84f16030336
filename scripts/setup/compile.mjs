// TypeScript to dist/, incrementally: the compiler decides what is stale.
import { existsSync, rmSync } from 'node:fs';
import { run } from './exec.mjs';
import { at, root } from './paths.mjs';
import { step } from './progress.mjs';

export const tsc = () => at('node_modules', 'typescript', 'bin', 'tsc');

export async function compile() {
  // A build record without what it records would make the compiler write nothing.
  if (!existsSync(at('dist', 'cli', 'main.js'))) rmSync(at('dist'), { recursive: true, force: true });
  await step(
    'Compiling TypeScript',
    () =>
      run(process.execPath, [tsc(), '-p', at('tsconfig.json')], {
        cwd: root,
        failure: 'TypeScript did not compile: see the messages above',
      }),
    { quiet_ms: 1500 },
  );
}
