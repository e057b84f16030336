// npm start: sets up, then runs `wayfare start` in this process.
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setUp } from './setup/index.mjs';
import { at } from './setup/paths.mjs';
import { runScript } from './setup/progress.mjs';

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  const { main } = await import(pathToFileURL(at('dist', 'cli', 'main.js')).href);
  return main(['start', ...process.argv.slice(2)]);
});
