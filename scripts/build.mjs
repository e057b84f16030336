// npm run build: the set-up alone; with `-- --wasm` the core in WebAssembly as well.
import { fileURLToPath } from 'node:url';
import { setUp } from './setup/index.mjs';
import { runScript } from './setup/progress.mjs';
import { wasm } from './setup/wasm.mjs';

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code === null && process.argv.includes('--wasm')) await wasm();
  return code;
});
