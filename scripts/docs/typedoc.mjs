// How typedoc is called. It lies in a workspace of its own, beside the compiler that it needs.
import { at } from '../setup/paths.mjs';

export const typedoc = (...args) => [
  process.execPath,
  at('scripts', 'docs', 'node_modules', 'typedoc', 'bin', 'typedoc'),
  '--options',
  at('scripts', 'docs', 'typedoc.json'),
  ...args,
];
