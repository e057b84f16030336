// TypeScript's layers: imports go down this list, never up, so that what decides can be simulated without what it runs on.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { at } from '../setup/paths.mjs';

// Folders of one layer may not import each other, except where `within` says so.
const LAYERS = [
  ['core', 'base'],
  ['transport'],
  ['session', 'host'],
  ['directory', 'circuit', 'exit', 'egress', 'credit'],
  ['proxy', 'retries', 'credits'],
  ['runtime'],
  ['embed', 'web'],
  ['platform'],
  ['admin'],
  ['demo', 'sim'],
  ['cli'],
];
const TOGETHER = new Set(['core base', 'base core']);
// Machine-specific modules belong to the platform and to what talks to people.
const MACHINE = new Set(['embed', 'platform', 'admin', 'demo', 'sim', 'cli']);

// Time and chance are handed in below the platform (the ports Clock and Random).
const AMBIENT =
  /(?<![\w.])(?:Date\.now|performance\.now|Math\.random|crypto\.getRandomValues|setTimeout|setInterval)\(|new Date\(\)/g;
const COMMENT = /\/\*[\s\S]*?\*\/|\/\/.*$/gm;

function files(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
}

const layerOf = (folder) => LAYERS.findIndex((layer) => layer.includes(folder));

/** Every import against the layers, as sentences. */
export function importFaults(root = at('ts')) {
  const faults = [];
  for (const file of files(root)) {
    const here = relative(root, file).split(sep)[0];
    if (here === 'testing') continue;
    if (layerOf(here) < 0) {
      faults.push(`ts/${here} is in no layer: add it to scripts/lint/imports.mjs`);
      continue;
    }
    const text = readFileSync(file, 'utf8');
    if (!MACHINE.has(here) && !file.endsWith(join('base', 'ports.ts'))) {
      for (const [call] of text.replace(COMMENT, '').matchAll(AMBIENT))
        faults.push(
          `${relative(at('.'), file)} calls ${call.replace('(', '')}: take Clock or Random of ts/base/ports.ts`,
        );
    }
    for (const [, from] of text.matchAll(/(?:from|import)\s*\(?'([^']+)'/g)) {
      const name = relative(at('.'), file);
      if (from.startsWith('node:') && !MACHINE.has(here) && !isConfig(file, root))
        faults.push(`${name} imports ${from}: take a port of ts/base instead`);
      if (!from.startsWith('.')) continue;
      const there = relative(root, join(dirname(file), from)).split(sep)[0];
      if (there === '..' || there === here || TOGETHER.has(`${here} ${there}`)) continue;
      if (layerOf(there) < 0) faults.push(`${name} imports ts/${there}, which is in no layer`);
      else if (layerOf(there) >= layerOf(here)) faults.push(`${name} imports ts/${there}, which is not below it`);
    }
  }
  return [...new Set(faults)];
}

// Configuration reads files and the environment before there is a platform.
const isConfig = (file, root) =>
  relative(root, file).startsWith(join('base', 'config')) || file.endsWith(join('base', 'log.ts'));
