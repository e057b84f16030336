// The fuzzers: libFuzzer targets of crates/fuzz, built plainly (to replay corpora) or so that they see coverage (to fuzz).
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture, run } from './exec.mjs';
import { at, root } from './paths.mjs';
import { SetupError, step } from './progress.mjs';

/** What cargo-fuzz passes, less the address sanitizer: the code is safe Rust, and all of these work on a stable compiler. */
const COVERAGE = [
  '-Cpasses=sancov-module',
  '-Cllvm-args=-sanitizer-coverage-level=4',
  '-Cllvm-args=-sanitizer-coverage-inline-8bit-counters',
  '-Cllvm-args=-sanitizer-coverage-pc-table',
  '-Cllvm-args=-sanitizer-coverage-trace-compares',
  '--cfg',
  'fuzzing',
  '-Cdebug-assertions',
];

/** Names of all targets, in the order of crates/fuzz/Cargo.toml. */
export function fuzzTargets() {
  const manifest = readFileSync(at('crates', 'fuzz', 'Cargo.toml'), 'utf8');
  return [...manifest.matchAll(/^\[\[bin\]\]\nname = "([^"]+)"/gm)].map((match) => match[1]);
}

/** Where a target's committed inputs lie. */
export const corpus = (target) => at('crates', 'fuzz', 'corpus', target);

/** Builds all targets; resolves with a function from a target's name to its executable. */
export async function buildFuzzers({ coverage }) {
  const host = /^host: (\S+)$/m.exec(capture('rustc', ['-vV'], { cwd: root }) ?? '')?.[1];
  if (host === undefined) throw new SetupError('rustc does not say what machine this is: `rustc -vV`');
  // Flags for a named target are not those of build scripts. Plain builds share what `cargo test` has compiled.
  const out = coverage ? at('target', 'fuzz') : at('target');
  mkdirSync(out, { recursive: true });
  const args = ['build', '--manifest-path', at('crates', 'fuzz', 'Cargo.toml'), '--bins'];
  if (coverage) args.push('--release', '--target', host);
  const env = { ...process.env, CARGO_TARGET_DIR: out, CARGO_TERM_COLOR: 'never' };
  if (coverage) env.RUSTFLAGS = COVERAGE.join(' ');
  await step(
    coverage ? 'Building the fuzzers' : 'Building the fuzzers, to replay their corpora',
    async (note) => {
      let crates = 0;
      const onLine = (line) => {
        const crate = /^\s*Compiling (\S+)/.exec(line)?.[1];
        if (crate !== undefined) note(`${++crates} crates compiled, at ${crate}`);
      };
      await run('cargo', args, { cwd: root, env, onLine, failure: 'the fuzzers did not build: see the message above' });
    },
    { quiet_ms: 2000 },
  );
  const folder = coverage ? join(out, host, 'release') : join(out, 'debug');
  return (target) => join(folder, target);
}
