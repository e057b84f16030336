// npm run vectors -- FILE: checks a file of packet vectors byte for byte through both bindings.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setUp } from './setup/index.mjs';
import { at } from './setup/paths.mjs';
import { runScript, SetupError } from './setup/progress.mjs';
import { PKG, wasm } from './setup/wasm.mjs';

async function bindings() {
  await wasm();
  const web = await import(pathToFileURL(join(PKG(), 'wayfare.js')).href);
  web.initSync({ module: readFileSync(join(PKG(), 'wayfare_bg.wasm')) });
  return [
    ['native', createRequire(import.meta.url)(at('bindings', 'node', 'wayfare.node'))],
    ['WebAssembly', web],
  ];
}

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  const files = process.argv.slice(2);
  if (files.length === 0)
    throw new SetupError('no file named: npm run vectors -- FILE, as printed by the packet model');
  const cores = await bindings();
  for (const file of files) {
    let text;
    try {
      text = readFileSync(file, 'utf8');
    } catch (error) {
      throw new SetupError(`${file} cannot be read: ${error.message}`);
    }
    for (const [name, core] of cores) {
      try {
        const { cases, suites } = core.checkVectors(text);
        process.stdout.write(`${file}: ${name}: ${cases} cases match byte for byte (${suites.join(', ')})\n`);
      } catch (error) {
        throw new SetupError(`${file}: ${name}: does not match: ${error.message.replace(/^[a-z_]+: /, '')}`);
      }
    }
  }
  return 0;
});
