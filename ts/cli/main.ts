#!/usr/bin/env node
/** The `wayfare` command. */
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EXIT, processIo } from './io.js';
import { tooOld, underNewerNode } from './newer-node.js';

/** What is left open after the last word may take this long to end by itself. */
const LINGER_MS = 2000;

/** Runs one command line; resolves with the exit code. */
export async function main(argv: string[]): Promise<number> {
  if (tooOld(process.versions.node)) return underNewerNode(fileURLToPath(import.meta.url), argv);
  // The reader of our output went away: nothing is left to say to it.
  process.stdout.on('error', (error: NodeJS.ErrnoException) =>
    process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed),
  );
  const { runProgram } = await import('./program.js');
  const code = await runProgram(argv, processIo());
  setTimeout(() => process.exit(code), LINGER_MS).unref();
  return code;
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  process.exitCode = await main(process.argv.slice(2));
}
