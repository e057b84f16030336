/** `wayfare sim retries`: how often connections have to be tried again, on virtual time, policy beside policy. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { SystemError, UsageError } from '../../base/errors.js';
import { createNativeEgress } from '../../platform/native-egress.js';
import { check } from '../../retries/check.js';
import { compare } from '../../retries/compare.js';
import { type RunOptions, WORLD_DEFAULTS } from '../../retries/options.js';
import { type Curve, plot } from '../../retries/plot.js';
import { POLICY_NAMES, type PolicyName } from '../../retries/policies.js';
import { EXIT, type Io, print, printJson } from '../io.js';
import { wholeNumber } from '../settings.js';
import { checkTable, comparison, LEGEND, percent } from '../sim-tables.js';
import { Status } from '../status-line.js';
import { simCredits } from './sim-credits.js';

const S = 1_000_000;
const SEEDS = [1, 2, 3];
/** P of a plot. */
const BLOCKS = [2, 3, 4, 6, 8, 12, 16, 32];

interface Flags {
  seed?: number;
  policy?: PolicyName[];
  exits: number;
  intermediaries: number;
  destinations: number;
  rate: number;
  block: number;
  seconds: number;
  warm: number;
  check?: boolean;
  svg?: string;
  json?: boolean;
}

function policyNames(text: string): PolicyName[] {
  if (text === 'all') return [...POLICY_NAMES];
  const names = text.split(',');
  const unknown = names.find((name) => !(POLICY_NAMES as string[]).includes(name));
  if (unknown !== undefined) {
    throw new UsageError('argument_invalid', `--policy cannot be "${unknown}"`, {
      hint: `give all, or some of ${POLICY_NAMES.join(', ')}`,
    });
  }
  return [...new Set(names)] as PolicyName[];
}

const runOptions = (flags: Flags, seed = flags.seed ?? 1, block = flags.block): RunOptions => {
  const { exits, intermediaries, destinations, rate } = flags;
  const world = { ...WORLD_DEFAULTS, exits, intermediaries, destinations, rate, block };
  return { seed, world, warm_us: flags.warm * S, counted_us: flags.seconds * S };
};

async function retries(io: Io, flags: Flags): Promise<void> {
  const options = runOptions(flags);
  const { world, seed } = options;
  const status = new Status(io.stderr, `Simulating ${flags.seconds} s with ${world.rate} connections a second`);
  const started_ms = performance.now();
  const compared = compare(createNativeEgress, options, flags.policy, (run, part) =>
    status.detail(`${run} ${percent(part)}`),
  );
  status.done();
  const runs = Object.values(compared.policies);
  const connections = [...runs, compared.oracle].reduce((sum, run) => sum + run.connections, 0);
  const perSecond = (1000 * connections) / (performance.now() - started_ms);
  if (flags.json) {
    return printJson(io, { schema: 'wayfare.sim-retries', version: 1, seed, options, ...compared });
  }
  print(io, `${comparison(compared)}\n`);
  print(io, LEGEND);
  print(
    io,
    `\nSeed ${seed}, P = ${world.block}, ${world.exits} exits; ${perSecond.toFixed(0)} connections a second of real time.`,
  );
}

/** Exits with 1 when a figure is missed. */
function held(io: Io, flags: Flags, setCode: (code: number) => void): void {
  if (flags.policy !== undefined) {
    throw new UsageError('argument_invalid', '--check and --policy do not go together', {
      hint: 'the figures name the policies that they are about',
    });
  }
  const seeds = flags.seed === undefined ? SEEDS : [flags.seed];
  const status = new Status(io.stderr, `Checking the figures on seed ${seeds.join(', ')}`);
  const checked = check(
    createNativeEgress,
    seeds,
    (seed) => runOptions(flags, seed),
    (run, part) => status.detail(`${run} ${percent(part)}`),
  );
  status[checked.held ? 'done' : 'failed']();
  if (!checked.held) setCode(EXIT.failed);
  if (flags.json) printJson(io, { schema: 'wayfare.sim-retries-check', version: 1, ...checked });
  else print(io, `${checkTable(checked)}\n\n${checked.held ? 'Every figure is held.' : 'A figure is missed.'}`);
}

async function drawn(io: Io, flags: Flags, svg: string): Promise<void> {
  const file = await open(resolve(io.cwd, svg), 'w').catch((cause: Error) => {
    throw new SystemError('store_failed', `${svg} cannot be written`, { cause, hint: cause.message });
  });
  try {
    const status = new Status(io.stderr, `Simulating P = ${BLOCKS.join(', ')}`);
    const curves = new Map<string, Curve>();
    for (const block of BLOCKS) {
      const { policies, oracle } = compare(
        createNativeEgress,
        runOptions(flags, flags.seed, block),
        flags.policy,
        (run, part) => status.detail(`P = ${block}, ${run} ${percent(part)}`),
      );
      for (const [name, figures] of [...Object.entries(policies), ['oracle', oracle] as const]) {
        const curve = curves.get(name) ?? { name, points: [] };
        curve.points.push({ block, figures });
        curves.set(name, curve);
      }
    }
    status.done();
    await file.writeFile(plot([...curves.values()]));
    if (flags.json) {
      const figures = { seed: flags.seed ?? 1, file: svg, curves: [...curves.values()] };
      return printJson(io, { schema: 'wayfare.sim-retries-plot', version: 1, ...figures });
    }
    print(io, svg);
  } finally {
    await file.close();
  }
}

export function sim(program: Command, io: Io, setCode: (code: number) => void): void {
  const group = program
    .command('sim')
    .description('what the policies of this version do, on virtual time')
    .addHelpText('after', '\nExamples:\n  wayfare sim retries\n  wayfare sim retries --check\n  wayfare sim credits');
  const count = (flag: string, most: number, least = 1) => wholeNumber(flag, least, most);
  const { exits, intermediaries, destinations, rate, block } = WORLD_DEFAULTS;
  group
    .command('retries')
    .description('how often connections must be tried again through exits that swallow some destinations')
    .option(
      '--seed <N>',
      'what everything follows from (default: 1; with --check: 1, 2 and 3)',
      count('--seed', 2 ** 31 - 1, 0),
    )
    .option('--policy <NAMES>', `all (the default), or some of ${POLICY_NAMES.join(', ')}`, policyNames)
    .option('--exits <N>', 'independent exits', count('--exits', 100_000), exits)
    .option('--intermediaries <N>', 'on the way to them', count('--intermediaries', 100_000), intermediaries)
    .option(
      '--destinations <N>',
      'asked for by Zipf’s law, exponent 0.9',
      count('--destinations', 100_000),
      destinations,
    )
    .option('--rate <N>', 'connections a second', count('--rate', 10_000), rate)
    .option(
      '--block <P>',
      'one of P (exit, destination) and (intermediary, destination) pairs is a black hole',
      count('--block', 1_000_000, 2),
      block,
    )
    .option('--seconds <N>', 'virtual seconds that are counted', count('--seconds', 100_000, 10), 200)
    .option('--warm <N>', 'virtual seconds before these', count('--warm', 100_000, 0), 60)
    .option('--check', 'hold the figures; exits with 1 when one is missed')
    .option('--svg <FILE>', `plot retries, time and entropy over P = ${BLOCKS.join(', ')}`)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare sim retries --seed 2\n  wayfare sim retries --policy uniform-with,dual-buckets-race --exits 10000\n  wayfare sim retries --check --seed 7\n  wayfare sim retries --svg retries.svg',
    )
    .action(async (flags: Flags) => {
      if (flags.check) held(io, flags, setCode);
      else if (flags.svg !== undefined) await drawn(io, flags, flags.svg);
      else await retries(io, flags);
    });
  simCredits(group, io, setCode);
}
