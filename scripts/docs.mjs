// npm run docs: the API reference into docs/api; whatever is exported and not documented fails it.
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './setup/exec.mjs';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript } from './setup/progress.mjs';

const typedoc = () =>
  join(dirname(createRequire(at('scripts', 'docs', 'package.json')).resolve('typedoc/package.json')), 'bin', 'typedoc');

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  return run(
    process.execPath,
    [typedoc(), '--options', at('scripts', 'docs', 'typedoc.json'), ...process.argv.slice(2)],
    {
      cwd: root,
      check: false,
      echo: true,
      failure: 'typedoc did not start',
    },
  );
});
