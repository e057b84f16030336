// npm run soak [-- --seeds N] [--from N] [--seed N [--trace]] [--json]: whole networks on virtual time (ts/sim), a process a core.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { setUp } from './setup/index.mjs';
import { at, root } from './setup/paths.mjs';
import { runScript, SetupError } from './setup/progress.mjs';

const USAGE = `npm run soak -- [options]

  --seeds N     how many seeds (default 2000)
  --from N      the first of them (default 1)
  --seed N      this one alone
  --trace       with --seed: everything that happens, with its virtual time in µs, to stderr
  --json        one line of JSON for each seed, and one for the sum
`;

function options() {
  const number = { type: 'string' };
  const flag = { type: 'boolean', default: false };
  let values;
  try {
    ({ values } = parseArgs({
      options: { seeds: number, from: number, seed: number, trace: flag, json: flag, help: flag },
    }));
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${USAGE}`);
  }
  const whole = (name, fallback) => {
    const value = values[name] === undefined ? fallback : Number(values[name]);
    if (!Number.isSafeInteger(value) || value < 1) throw new SetupError(`--${name} is a whole number from 1`);
    return value;
  };
  const one = values.seed !== undefined;
  if (values.trace && !one) throw new SetupError('--trace shows one seed: name it with --seed');
  return { ...values, first: one ? whole('seed') : whole('from', 1), count: one ? 1 : whole('seeds', 2000) };
}

/** Every `step`th seed from `from` on, in a process of its own; `onResult` sees each. */
function worker(from, count, step, trace, onResult) {
  return new Promise((resolve, reject) => {
    const args = ['--import', 'tsx', at('ts', 'sim', 'soak.ts'), from, count, step, ...(trace ? ['--trace'] : [])];
    const child = spawn(process.execPath, args.map(String), { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] });
    let last = null;
    createInterface({ input: child.stdout }).on('line', (line) => {
      last = JSON.parse(line);
      onResult(last);
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new SetupError(`the simulator ended with ${code} after seed ${last?.seed ?? 'none'}`));
    });
  });
}

const replay = (seed) => `npm run soak -- --seed ${seed}`;

await runScript(async () => {
  const { first, count, trace, json, help } = options();
  if (help) {
    process.stdout.write(USAGE);
    return 0;
  }
  const code = await setUp(fileURLToPath(import.meta.url));
  if (code !== null) return code;
  const began_ms = performance.now();
  const failed = [];
  let done = 0;
  const sum = { virtual_s: 0, datagrams: 0, flows: 0, flows_done: 0 };
  const take = (result) => {
    done += 1;
    sum.virtual_s += result.virtual_ms / 1000;
    sum.datagrams += result.datagrams.delivered;
    for (const [outcome, flows] of Object.entries(result.outcomes)) {
      sum.flows += flows;
      if (outcome === 'done') sum.flows_done += flows;
    }
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`);
    if (result.failures.length > 0) {
      failed.push(result.seed);
      if (!json) {
        for (const failure of result.failures) process.stdout.write(`seed ${result.seed}: ${failure}\n`);
        process.stdout.write(`  again: ${replay(result.seed)}\n`);
      }
    } else if (count === 1 && !json) {
      process.stdout.write(`seed ${result.seed}: trace ${result.hash}, ${JSON.stringify(result.outcomes)}\n`);
    }
    if (!json && done % 100 === 0 && count > 100) process.stdout.write(`${done} of ${count} seeds\n`);
  };
  const workers = Math.min(count, availableParallelism());
  await Promise.all(
    Array.from({ length: workers }, (_, i) =>
      worker(first + i, Math.ceil((count - i) / workers), workers, trace, take),
    ),
  );
  const took_s = (performance.now() - began_ms) / 1000;
  const total = { seeds: done, failed: failed.sort((a, b) => a - b), took_s: Math.round(took_s * 10) / 10, ...sum };
  if (json) process.stdout.write(`${JSON.stringify(total)}\n`);
  else {
    process.stdout.write(
      `${done} seeds in ${took_s.toFixed(1)} s: ${failed.length} failed; ${Math.round(sum.virtual_s)} s of virtual time, ` +
        `${sum.datagrams} datagrams, ${sum.flows} streams, ${sum.flows_done} of them whole\n`,
    );
    for (const seed of total.failed) process.stdout.write(`failed: ${replay(seed)}\n`);
  }
  return failed.length === 0 ? 0 : 1;
});
