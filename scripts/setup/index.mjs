// Everything a fresh clone needs, in order; each part does nothing when nothing changed.
import { mkdirSync } from 'node:fs';
import { compile } from './compile.mjs';
import { native } from './native.mjs';
import { underNewNode } from './node.mjs';
import { packages } from './packages.mjs';
import { cache } from './paths.mjs';

/** Resolves with an exit code when another process did the work (see `underNewNode`), with null when we are to go on. */
export async function setUp(script) {
  mkdirSync(cache, { recursive: true });
  const code = await underNewNode(script);
  if (code !== null) return code;
  await packages();
  await native();
  await compile();
  return null;
}
