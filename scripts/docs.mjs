// npm run docs: the API reference into docs/api; whatever is exported and not documented fails it.
import { fileURLToPath } from 'node:url';
import { typedoc } from './docs/typedoc.mjs';
import { run } from './setup/exec.mjs';
import { setUp } from './setup/index.mjs';
import { root } from './setup/paths.mjs';
import { runScript } from './setup/progress.mjs';

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  const [command, ...args] = typedoc(...process.argv.slice(2));
  return run(command, args, { cwd: root, check: false, echo: true, failure: 'typedoc did not start' });
});
