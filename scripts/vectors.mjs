// npm run vectors -- FILE: checks a file of packet vectors byte for byte through the binding.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { setUp } from './setup/index.mjs';
import { at } from './setup/paths.mjs';
import { runScript, SetupError } from './setup/progress.mjs';

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  const files = process.argv.slice(2);
  if (files.length === 0)
    throw new SetupError('no file named: npm run vectors -- FILE, as printed by the packet model');
  const core = createRequire(import.meta.url)(at('bindings', 'node', 'wayfare.node'));
  for (const file of files) {
    let text;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      throw new SetupError(`${file} cannot be read: ${error.message}`);
    }
    try {
      const { cases, suites } = core.checkVectors(text);
      process.stdout.write(`${file}: ${cases} cases match byte for byte (${suites.join(', ')})\n`);
    } catch (error) {
      throw new SetupError(`${file} does not match: ${error.message.replace(/^[a-z_]+: /, '')}`);
    }
  }
  return 0;
});
