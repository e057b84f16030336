// The core in WebAssembly: brings the target and a C compiler for it where they are missing, builds bindings/wasm, and
// generates its JavaScript and types into bindings/wasm/pkg. Only tests, `npm run build -- --wasm` and the browser example
// ask for it.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { apt, aptPrefix } from './apt.mjs';
import { capture, run, which } from './exec.mjs';
import { rust } from './native.mjs';
import { at, root } from './paths.mjs';
import { SetupError, step } from './progress.mjs';

export const TARGET = 'wasm32-unknown-unknown';
export const PKG = () => at('bindings', 'wasm', 'pkg');
const BY_HAND = `run \`rustup target add ${TARGET}\` (https://rustup.rs), then run this again`;

const hasStd = (folder) =>
  folder !== null && existsSync(folder) && readdirSync(folder).some((file) => /^libstd-.*\.rlib$/.test(file));

function targetFolder(rustc = 'rustc') {
  return capture(rustc, ['--print', 'target-libdir', '--target', TARGET], { cwd: root });
}

/**
 * Debian's own Rust for the web, for machines that reach a Debian mirror but not Rust's: its standard library comes as source
 * and is built once into its place. Resolves with the environment under which cargo uses it, or null.
 */
async function debian() {
  const prefix = aptPrefix();
  if (prefix === null) return null;
  const folder = `/usr/lib/rustlib/${TARGET}/lib`;
  const failure = `Rust's ${TARGET} target could not be had from rustup or Debian: ${BY_HAND}`;
  if (!existsSync('/usr/bin/cargo') || !existsSync('/usr/lib/rustlib/src/rust/library')) {
    if (!(await apt(['rustc-web', 'cargo-web', 'rust-web-src'], failure))) return null;
  }
  // With bitcode, since the module is optimised as a whole, its standard library included.
  const own = { ...process.env, RUSTC_BOOTSTRAP: '1', RUSTC: '/usr/bin/rustc', RUSTFLAGS: '-Cembed-bitcode=yes' };
  for (const name of ['RUSTUP_TOOLCHAIN', 'CARGO_TARGET_DIR']) delete own[name];
  const asRoot = async (command, ...args) => {
    const [first, ...rest] = [...prefix, command, ...args];
    await run(first, rest, { failure });
  };
  if (!hasStd(folder)) {
    await step(`Building Rust's standard library for ${TARGET}`, async () => {
      const probe = mkdtempSync(join(tmpdir(), 'wayfare-std-'));
      try {
        mkdirSync(join(probe, 'src'));
        writeFileSync(join(probe, 'src', 'lib.rs'), '');
        writeFileSync(join(probe, 'Cargo.toml'), '[package]\nname = "probe"\nversion = "0.0.0"\nedition = "2021"\n');
        const args = ['build', '-q', '--release', '--target', TARGET, '-Zbuild-std=std,panic_abort'];
        await run('/usr/bin/cargo', args, { cwd: probe, env: own, failure });
        const made = join(probe, 'target', TARGET, 'release', 'deps');
        const libraries = readdirSync(made).filter((file) => file.endsWith('.rlib') && !file.startsWith('libprobe-'));
        await asRoot('mkdir', '-p', folder);
        await asRoot('cp', ...libraries.map((file) => join(made, file)), folder);
      } finally {
        rmSync(probe, { recursive: true, force: true });
      }
    });
  }
  const host = (rustc) => /^host: (\S+)/m.exec(capture(rustc, ['-vV']) ?? '')?.[1] ?? '';
  const tools = `/usr/lib/rustlib/${host('/usr/bin/rustc')}/bin`;
  if (!existsSync(join(tools, 'rust-lld'))) {
    let linker = join(
      capture('rustc', ['--print', 'sysroot']) ?? '/',
      'lib',
      'rustlib',
      host('rustc'),
      'bin',
      'rust-lld',
    );
    if (!existsSync(linker)) {
      await apt(['lld'], failure);
      linker = which('lld') ?? linker;
    }
    await asRoot('mkdir', '-p', tools);
    await asRoot('ln', '-sf', linker, join(tools, 'rust-lld'));
  }
  return { RUSTC: '/usr/bin/rustc', CARGO: '/usr/bin/cargo' };
}

/** Resolves with what cargo's environment needs so that it can build for the target. */
export async function target() {
  if (hasStd(targetFolder())) return {};
  const adding = () =>
    run('rustup', ['target', 'add', TARGET], { cwd: root, timeout: 180_000, failure: 'rustup could not add it' });
  const added =
    which('rustup') !== null &&
    (await step(`Adding Rust's ${TARGET} target`, adding).then(
      () => true,
      () => false,
    ));
  if (added && hasStd(targetFolder())) return {};
  const env = await debian();
  if (env === null || !hasStd(targetFolder(env.RUSTC))) {
    throw new SetupError(`Rust's ${TARGET} target is missing and could not be added: ${BY_HAND}`);
  }
  return env;
}

/** Whether this compiler makes objects for WebAssembly. Apple's does not. */
function compiles(command) {
  const folder = mkdtempSync(join(tmpdir(), 'wayfare-cc-'));
  try {
    writeFileSync(join(folder, 'probe.c'), 'int probe;\n');
    const args = [`--target=${TARGET}`, '-c', join(folder, 'probe.c'), '-o', join(folder, 'probe.o')];
    return capture(command, args) !== null && readFileSync(join(folder, 'probe.o')).subarray(1, 4).toString() === 'asm';
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function findCompiler() {
  const brew = ['/opt/homebrew/opt/llvm/bin/clang', '/usr/local/opt/llvm/bin/clang'];
  const numbered = Array.from({ length: 9 }, (_, i) => `clang-${22 - i}`);
  const named = process.env.CC_wasm32_unknown_unknown;
  const names = named ? [named] : ['clang', ...numbered, ...brew];
  return names.find((name) => (name.includes('/') ? existsSync(name) : which(name) !== null) && compiles(name));
}

async function compiler() {
  let found = findCompiler();
  for (const name of ['clang-19', 'clang']) {
    if (found !== undefined) break;
    if (await apt([name], '').catch(() => false)) found = findCompiler();
  }
  if (found !== undefined) return found;
  const mending = process.platform === 'darwin' ? '`brew install llvm`' : 'install clang';
  throw new SetupError(
    `no clang that compiles for WebAssembly, which the cryptography needs: ${mending}, then run this again`,
  );
}

function cargo(env, args, note, failure) {
  let crates = 0;
  return run(env.CARGO ?? 'cargo', args, {
    cwd: root,
    failure,
    env,
    onLine: (line) => {
      const crate = /^\s*Compiling (\S+)/.exec(line)?.[1];
      if (crate !== undefined) note(`${++crates} crates compiled, at ${crate}`);
      else if (/^\s*(Downloaded|Downloading|Updating)/.test(line)) note('fetching crates');
    },
  });
}

export async function wasm() {
  rust();
  const [extra, cc] = [await target(), await compiler()];
  const env = { ...process.env, ...extra, CC_wasm32_unknown_unknown: cc, CARGO_TERM_COLOR: 'never' };
  const beside = join(dirname(cc), 'llvm-ar');
  env.AR_wasm32_unknown_unknown ??= cc.includes('/') && existsSync(beside) ? beside : (which('llvm-ar') ?? 'ar');
  env.CARGO_TERM_PROGRESS_WHEN = 'never';
  const built = join(env.CARGO_TARGET_DIR ?? at('target'), TARGET, 'wasm', 'wayfare_wasm.wasm');
  await step(
    'Building the core in WebAssembly',
    (note) =>
      cargo(
        env,
        ['build', '-p', 'wayfare-wasm', '--target', TARGET, '--profile', 'wasm'],
        note,
        'the core in WebAssembly did not build: see the message above',
      ),
    { quiet_ms: 2000 },
  );
  const stamp = createHash('sha256')
    .update(readFileSync(built))
    .update(readFileSync(at('Cargo.lock')))
    .update(readFileSync(at('bindings', 'wasm', 'generate', 'src', 'main.rs')))
    .digest('hex');
  const stampFile = join(PKG(), '.stamp');
  if (existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  await step('Generating bindings/wasm/pkg', async (note) => {
    const failure = 'the JavaScript of the WebAssembly core could not be generated: see the message above';
    const fresh = `${PKG()}.new`;
    rmSync(fresh, { recursive: true, force: true });
    await cargo(
      process.env,
      ['run', '--profile', 'generate', '-p', 'wayfare-wasm-generate', '--', built, fresh],
      note,
      failure,
    );
    writeFileSync(join(fresh, 'package.json'), `${JSON.stringify({ type: 'module', sideEffects: false })}\n`);
    writeFileSync(join(fresh, '.stamp'), stamp);
    rmSync(PKG(), { recursive: true, force: true });
    renameSync(fresh, PKG());
    note(`${Math.round(statSync(join(PKG(), 'wayfare_bg.wasm')).size / 1024)} KiB`);
  });
}
