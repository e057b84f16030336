// npm run lint: formatting, lints, types, the reference, the direction of dependencies, and the package; every fault is named before it fails.
import { fileURLToPath } from 'node:url';
import { typedoc } from './docs/typedoc.mjs';
import { crateFaults } from './lint/crates.mjs';
import { importFaults } from './lint/imports.mjs';
import { packageFaults } from './lint/package.mjs';
import { run } from './setup/exec.mjs';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript } from './setup/progress.mjs';
import { wasm } from './setup/wasm.mjs';

const tool = (...path) => [process.execPath, at('node_modules', ...path)];
const CHECKS = [
  [
    'biome',
    [...tool('@biomejs', 'biome', 'bin', 'biome'), 'check', '--error-on-warnings', '.'],
    'npx biome check --write .',
  ],
  ['types', [...tool('typescript', 'bin', 'tsc'), '--noEmit', '-p', 'tsconfig.test.json'], 'mend what it names'],
  ['docs', typedoc('--emit', 'none'), 'document what it names'],
  ['rustfmt', ['cargo', 'fmt', '--all', '--check'], 'cargo fmt --all'],
  ['clippy', ['cargo', 'clippy', '--workspace', '--all-targets', '--', '-D', 'warnings'], 'mend what it names'],
];

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  // The types of what it generates are checked with the rest.
  await wasm();
  const failed = [];
  for (const [name, [command, ...args], mending] of CHECKS) {
    process.stdout.write(`== ${name}\n`);
    const status = await run(command, args, { cwd: root, check: false, echo: true, failure: `${name} did not start` });
    if (status !== 0) failed.push(`${name} (${mending})`);
  }
  for (const [name, faults] of [
    ['imports', importFaults()],
    ['crates', crateFaults()],
    ['package', await packageFaults()],
  ]) {
    process.stdout.write(`== ${name}\n${faults.map((fault) => `${fault}\n`).join('')}`);
    if (faults.length > 0) failed.push(name);
  }
  process.stdout.write(failed.length === 0 ? '\nlint: clean\n' : `\nlint: failed: ${failed.join('; ')}\n`);
  return failed.length === 0 ? 0 : 1;
});
