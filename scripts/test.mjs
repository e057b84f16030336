// npm test: sets up, runs every test (Rust, then TypeScript with the binding and whole networks), and closes with the sum.
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cargoCounts, vitestCounts } from './counts.mjs';
import { testTools } from './setup/browser.mjs';
import { run } from './setup/exec.mjs';
import { buildFuzzers, corpus, fuzzTargets } from './setup/fuzzers.mjs';
import { setUp } from './setup/index.mjs';
import { at, cache, root } from './setup/paths.mjs';
import { runScript } from './setup/progress.mjs';
import { wasm } from './setup/wasm.mjs';

const say = (text) => process.stdout.write(`\n== ${text}\n`);

async function rustTests() {
  const args = ['test', '--workspace', '--no-fail-fast'];
  say(`cargo ${args.join(' ')}`);
  const lines = [];
  const code = await run('cargo', args, {
    cwd: root,
    check: false,
    echo: true,
    onLine: (line) => lines.push(line),
    failure: 'cargo did not start',
  });
  return { code, ...cargoCounts(lines) };
}

/** The inputs that fuzzing found worth keeping, through each target; one test a target. */
async function corpora() {
  const path = await buildFuzzers({ coverage: false });
  const counts = { code: 0, passed: 0, failed: 0 };
  for (const target of fuzzTargets()) {
    const inputs = readdirSync(corpus(target)).map((file) => join(corpus(target), file));
    const lines = [];
    const failure = `${target} did not start`;
    const code = await run(path(target), inputs, {
      cwd: root,
      check: false,
      failure,
      onLine: (line) => lines.push(line),
    });
    const passed = code === 0 && inputs.length > 0;
    counts[passed ? 'passed' : 'failed'] += 1;
    process.stdout.write(`${passed ? '✓' : '✗'} ${target}: ${inputs.length} inputs\n`);
    if (!passed) process.stdout.write(`${lines.slice(-30).join('\n')}\n`);
  }
  return counts;
}

async function typescriptTests(browser) {
  const report = at('.cache', 'vitest.json');
  rmSync(report, { force: true });
  const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  say(`vitest ${args[0]}`);
  const code = await run(process.execPath, [at('node_modules', 'vitest', 'vitest.mjs'), ...args], {
    cwd: root,
    check: false,
    echo: true,
    failure: 'vitest did not start',
    env: { ...process.env, WAYFARE_CHROMIUM: browser },
  });
  let text = '';
  try {
    text = readFileSync(report, 'utf8');
  } catch {
    // No report: vitestCounts says so with a failure.
  }
  return { code, ...vitestCounts(text) };
}

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  await wasm();
  const browser = await testTools();
  say(`tests with Node ${process.versions.node}, ${browser}; caches in ${cache}`);
  const rust = await rustTests();
  say('inputs that fuzzing found, replayed');
  const results = [rust, await corpora(), await typescriptTests(browser)];
  const passed = results.reduce((sum, r) => sum + r.passed, 0);
  let failed = results.reduce((sum, r) => sum + r.failed, 0);
  // A runner that broke before it counted anything is a failure too.
  for (const r of results) if (r.code !== 0 && r.failed === 0) failed += 1;
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  return failed === 0 && passed > 0 ? 0 : 1;
});
