// npm run planted: plants single-change bugs (tests/planted/*.patch) one at a time in a copy of the commit, and sees whether
// the suite catches each. A bug that goes unnoticed is a hole in the tests, not in the product.
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { capture, run } from './setup/exec.mjs';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript, SetupError } from './setup/progress.mjs';

const HELP = `usage: npm run planted -- [--only PART]... [--json]

  --only PART  plants only the bugs whose name contains this; may be given several times
  --json       prints one JSON object on standard output

Works on a copy of HEAD: what is not committed is not tested. Exits with 1 when a bug goes unnoticed.
`;

/** The commands that build (must pass with the bug in) and test (must fail). */
function commands(test) {
  const [kind, ...names] = test.split(' ');
  if (kind === 'cargo') {
    const packages = names.flatMap((name) => ['-p', name]);
    return { build: ['cargo', ['test', '--no-run', ...packages]], test: ['cargo', ['test', ...packages]] };
  }
  if (kind !== 'vitest')
    throw new SetupError(`"${test}" is no test that is known here: cargo PACKAGE… or vitest FOLDER…`);
  const vitest = join('node_modules', 'vitest', 'vitest.mjs');
  return { build: null, test: [process.execPath, [vitest, 'run', '--project', 'ts', ...names]] };
}

/** Whether a command ends well; what it prints is kept to itself. */
async function passes([command, args], cwd) {
  const env = { ...process.env, CARGO_TARGET_DIR: at('target', 'planted') };
  return (await run(command, args, { cwd, env, check: false, failure: `${command} did not start` })) === 0;
}

await runScript(async () => {
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  const { values } = parseArgs({
    options: { only: { type: 'string', multiple: true }, json: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const say = (text) => process.stderr.write(text);
  const wanted = (name) => values.only === undefined || values.only.some((part) => name.includes(part));
  const bugs = readdirSync(at('tests', 'planted'))
    .filter((file) => file.endsWith('.patch') && wanted(file))
    .map((file) => {
      const path = at('tests', 'planted', file);
      const test = /^test: (.*)$/m.exec(readFileSync(path, 'utf8'))?.[1];
      if (test === undefined) throw new SetupError(`${path} does not begin with "test: "`);
      return { name: file.replace(/^\d+-|\.patch$/g, ''), path, test };
    });
  if (bugs.length === 0) throw new SetupError(`no planted bug has such a name: ${values.only?.join(', ')}`);
  const copy = mkdtempSync(join(tmpdir(), 'wayfare-planted-'));
  const git = (...args) => capture('git', args, { cwd: copy });
  const results = [];
  try {
    if (capture('git', ['worktree', 'add', '--detach', copy, 'HEAD'], { cwd: root }) === null)
      throw new SetupError('the commit cannot be copied: `git worktree add` failed');
    symlinkSync(at('node_modules'), join(copy, 'node_modules'));
    for (const file of ['wayfare.node', 'index.d.ts'])
      copyFileSync(at('bindings', 'node', file), join(copy, 'bindings', 'node', file));
    for (const test of new Set(bugs.map((bug) => bug.test))) {
      say(`without a bug: ${test} `);
      if (!(await passes(commands(test).test, copy)))
        throw new SetupError(`the tests fail without any bug planted: ${test}`);
      say('passes\n');
    }
    for (const [i, { name, path, test }] of bugs.entries()) {
      say(`${i + 1} of ${bugs.length}  ${name} `);
      if (git('apply', '--recount', path) === null)
        throw new SetupError(`${path} does not apply any more: plant the bug anew where its code is now`);
      const { build, test: tests } = commands(test);
      if (build !== null && !(await passes(build, copy)))
        throw new SetupError(`${name} does not compile: plant it anew`);
      const caught = !(await passes(tests, copy));
      git('checkout', '-q', '--', '.');
      say(caught ? 'caught\n' : 'UNNOTICED\n');
      results.push({ name, test, caught });
    }
  } finally {
    capture('git', ['worktree', 'remove', '--force', copy], { cwd: root });
    rmSync(copy, { recursive: true, force: true });
  }
  const caught = results.filter((result) => result.caught).length;
  if (values.json) process.stdout.write(`${JSON.stringify({ planted: results.length, caught, results })}\n`);
  else process.stdout.write(`${caught} of ${results.length} planted bugs caught\n`);
  return caught === results.length ? 0 : 1;
});
