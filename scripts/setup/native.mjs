// The native core: finds the Rust toolchain, builds bindings/node, and puts the library where ts/platform loads it.
import { copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { capture, run, which } from './exec.mjs';
import { at, root } from './paths.mjs';
import { SetupError, step } from './progress.mjs';

const RUSTUP = 'install Rust with https://rustup.rs (or `rustup update stable`), then run this again';

export function compareVersions(a, b) {
  const [x, y] = [a, b].map((v) => v.split('.').map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) - (y[i] ?? 0);
  return 0;
}

/** Throws one sentence with the mending unless cargo, rustc and a C compiler are there. */
export function rust() {
  const minimum = /^rust-version = "([\d.]+)"/m.exec(readFileSync(at('Cargo.toml'), 'utf8'))?.[1] ?? '0';
  if (which('cargo') === null) throw new SetupError(`Rust is not on PATH (cargo not found): ${RUSTUP}`);
  const version = /^rustc (\S+)/.exec(capture('rustc', ['--version'], { cwd: root }) ?? '')?.[1];
  if (version === undefined) throw new SetupError(`rustc does not run: ${RUSTUP}`);
  if (compareVersions(version, minimum) < 0) {
    throw new SetupError(`Rust ${version} is older than ${minimum}: ${RUSTUP}`);
  }
  const compiler = process.platform === 'win32' || process.env.CC || which('cc') || which('gcc') || which('clang');
  if (!compiler) {
    const mending = process.platform === 'darwin' ? '`xcode-select --install`' : '`apt-get install build-essential`';
    throw new SetupError(`no C compiler on PATH, which the cryptography needs: ${mending}, then run this again`);
  }
}

/** Puts `from` in the place of `to` in one step; a process that has the old one loaded keeps it. */
function replace(from, to) {
  if (!existsSync(from)) throw new SetupError(`the build left no ${from}`);
  if (existsSync(to) && readFileSync(from).equals(readFileSync(to))) return;
  copyFileSync(from, `${to}.new`);
  renameSync(`${to}.new`, to);
}

export async function native() {
  rust();
  const out = at('target', 'napi');
  mkdirSync(out, { recursive: true });
  await step(
    'Building the native core',
    async (note) => {
      let crates = 0;
      const args = [at('node_modules', '@napi-rs', 'cli', 'dist', 'cli.js'), 'build', '--release', '--cwd', root];
      args.push('--manifest-path', at('bindings', 'node', 'Cargo.toml'));
      args.push('--package-json-path', at('bindings', 'node', 'package.json'));
      args.push('--output-dir', out);
      await run(process.execPath, args, {
        cwd: root,
        failure: 'the native core did not build: see the message above',
        onLine: (line) => {
          const crate = /^\s*Compiling (\S+)/.exec(line)?.[1];
          if (crate !== undefined) note(`${++crates} crates compiled, at ${crate}`);
          else if (/^\s*(Downloaded|Downloading|Updating)/.test(line)) note('fetching crates');
        },
        env: { ...process.env, CARGO_TERM_COLOR: 'never', CARGO_TERM_PROGRESS_WHEN: 'never' },
      });
      note(crates > 0 ? `${crates} crates compiled` : 'up to date');
    },
    { quiet_ms: 2000 },
  );
  replace(`${out}/wayfare.node`, at('bindings', 'node', 'wayfare.node'));
  replace(`${out}/index.d.ts`, at('bindings', 'node', 'index.d.ts'));
  rmSync(`${out}/wayfare.node.new`, { force: true });
}
