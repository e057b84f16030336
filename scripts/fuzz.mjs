// npm run fuzz -- --seconds N: runs every fuzz target for so long, from its committed corpus on.
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { run } from './setup/exec.mjs';
import { buildFuzzers, corpus, fuzzTargets } from './setup/fuzzers.mjs';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript, SetupError } from './setup/progress.mjs';

const HELP = `usage: npm run fuzz -- [--seconds N] [--runs N] [--only TARGET]... [--keep] [--json]

  --seconds N    how long each target runs (default 10)
  --runs N       executions of each target at most, whatever the time (without --seconds: no limit of time)
  --only TARGET  runs just this; may be given several times
  --keep         adds what reached new code to the committed corpus, reduced to what is needed
  --json         prints one JSON object on standard output instead of the table

Exits with 1 when a target crashed, leaked, or grew beyond 2 GiB; the input is kept in target/fuzz/artifacts.
`;

/** Memory that a target may take before it counts as running away. */
const RSS_MB_MAX = 2048;
/** An input that takes longer is a find. */
const INPUT_S_MAX = 10;

function number(text, name) {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < 1)
    throw new SetupError(`--${name} takes a whole number from 1, not "${text}"`);
  return value;
}

await runScript(async () => {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string' },
      runs: { type: 'string' },
      only: { type: 'string', multiple: true },
      keep: { type: 'boolean' },
      json: { type: 'boolean' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const all = fuzzTargets();
  const unknown = values.only?.find((name) => !all.includes(name));
  if (unknown !== undefined) throw new SetupError(`there is no fuzz target "${unknown}"; there are ${all.join(', ')}`);
  const runs = number(values.runs, 'runs');
  const seconds = number(values.seconds, 'seconds') ?? (runs === undefined ? 10 : undefined);
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  const path = await buildFuzzers({ coverage: true });
  const artifacts = at('target', 'fuzz', 'artifacts');
  mkdirSync(artifacts, { recursive: true });
  const results = [];
  for (const target of all.filter((name) => values.only?.includes(name) ?? true)) {
    process.stderr.write(`${target} `);
    const found = at('target', 'fuzz', 'corpus', target);
    for (const folder of [found, corpus(target)]) mkdirSync(folder, { recursive: true });
    const stats = {};
    const tail = [];
    const args = [
      found,
      corpus(target),
      '-print_final_stats=1',
      `-rss_limit_mb=${RSS_MB_MAX}`,
      `-timeout=${INPUT_S_MAX}`,
    ];
    args.push(`-artifact_prefix=${artifacts}/${target}-`);
    if (seconds !== undefined) args.push(`-max_total_time=${seconds}`);
    if (runs !== undefined) args.push(`-runs=${runs}`);
    const failed = await run(path(target), args, {
      cwd: root,
      check: false,
      failure: `${target} did not start`,
      onLine: (line) => {
        const stat = /^stat::(\w+):\s+(\d+)/.exec(line);
        if (stat !== null) stats[stat[1]] = Number(stat[2]);
        else if (!/^#\d+/.test(line)) tail.push(line);
      },
    });
    const result = {
      target,
      executions: stats.number_of_executed_units ?? 0,
      executions_per_s: stats.average_exec_per_sec ?? 0,
      peak_rss_mb: stats.peak_rss_mb ?? 0,
      passed: failed === 0,
    };
    results.push(result);
    process.stderr.write(`${result.executions} executions, ${failed === 0 ? 'none failed' : 'FAILED'}\n`);
    if (failed !== 0)
      process.stderr.write(`${tail.slice(-25).join('\n')}\nreplay: ${path(target)} FILE in ${artifacts}\n`);
    if (values.keep && failed === 0) {
      const reduced = `${found}.reduced`;
      rmSync(reduced, { recursive: true, force: true });
      mkdirSync(reduced);
      const failure = `the corpus of ${target} could not be reduced`;
      await run(path(target), ['-merge=1', '-max_len=4096', reduced, corpus(target), found], { cwd: root, failure });
      rmSync(corpus(target), { recursive: true });
      renameSync(reduced, corpus(target));
      process.stderr.write(`  corpus: ${readdirSync(corpus(target)).length} inputs\n`);
    }
  }
  const failed = results.filter((result) => !result.passed);
  if (values.json) process.stdout.write(`${JSON.stringify({ results })}\n`);
  else {
    process.stdout.write('target               executions   per s  peak RSS\n');
    for (const r of results) {
      const columns = [
        String(r.executions).padStart(10),
        String(r.executions_per_s).padStart(7),
        `${r.peak_rss_mb} MB`.padStart(9),
      ];
      process.stdout.write(`${r.target.padEnd(20)} ${columns.join(' ')}${r.passed ? '' : '  failed'}\n`);
    }
  }
  return failed.length === 0 ? 0 : 1;
});
