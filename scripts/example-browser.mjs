// npm run example:browser: sets up, core in WebAssembly included, then runs examples/browser/serve.ts.
import { fileURLToPath } from 'node:url';
import { foreground } from './setup/exec.mjs';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript } from './setup/progress.mjs';
import { wasm } from './setup/wasm.mjs';

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  await wasm();
  return foreground(process.execPath, ['--import', 'tsx', at('examples', 'browser', 'serve.ts')], { cwd: root });
});
