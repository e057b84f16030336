// The package as it would be published: packed by npm, then held against publint and @arethetypeswrong/cli.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { npm, run } from '../setup/exec.mjs';
import { at, cache, root } from '../setup/paths.mjs';

/** Packs into a folder of the cache; the tarball's path. */
export async function pack(folder = join(cache, 'package')) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  let json = '';
  const [command, args] = npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  await run(command, args, {
    cwd: root,
    failure: 'npm pack failed',
    onLine: (line) => {
      json += `${line}\n`;
    },
  });
  return join(folder, JSON.parse(json.slice(json.indexOf('['), json.lastIndexOf(']') + 1))[0].filename);
}

/** What the two say against it; empty when they say nothing. */
export async function packageFaults() {
  const tarball = await pack();
  const faults = [];
  const checks = [
    ['publint', [at('node_modules', 'publint', 'src', 'cli.js'), 'run', '--strict', tarball]],
    // ES modules alone: whoever still resolves as Node 10 did, or requires, finds nothing here. The core's module is no entry to
    // import, but a file for bundlers and servers to find.
    [
      'attw',
      [
        at('node_modules', '@arethetypeswrong', 'cli', 'dist', 'index.js'),
        '--profile',
        'esm-only',
        '--exclude-entrypoints',
        'wayfare_bg.wasm',
        '--no-emoji',
        tarball,
      ],
    ],
  ];
  for (const [name, args] of checks) {
    const lines = [];
    const status = await run(process.execPath, args, {
      cwd: root,
      check: false,
      onLine: (line) => lines.push(line),
      failure: `${name} did not start`,
    });
    if (status !== 0) faults.push(`${name}:`, ...lines);
  }
  rmSync(join(tarball, '..'), { recursive: true, force: true });
  return faults;
}
