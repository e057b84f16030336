// npm run build: the set-up alone.
import { fileURLToPath } from 'node:url';
import { setUp } from './setup/index.mjs';
import { runScript } from './setup/progress.mjs';

await runScript(() => setUp(fileURLToPath(import.meta.url)));
