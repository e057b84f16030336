/** `wayfare sim retries`: how often connections have to be tried again, on virtual time, policy beside policy. */
import type { Command } from 'commander';
import { UsageError } from '../../base/errors.js';
import { createNativeEgress } from '../../platform/native-egress.js';
import { type Compared, compare } from '../../retries/compare.js';
import type { RunFigures } from '../../retries/counts.js';
import { type RunOptions, WORLD_DEFAULTS } from '../../retries/options.js';
import { POLICY_NAMES, type PolicyName } from '../../retries/policies.js';
import { table } from '../format.js';
import { type Io, print, printJson } from '../io.js';
import { wholeNumber } from '../settings.js';
import { Status } from '../status-line.js';

const S = 1_000_000;

interface Flags {
  seed?: number;
  policy: PolicyName[];
  exits: number;
  intermediaries: number;
  destinations: number;
  rate: number;
  block: number;
  seconds: number;
  warm: number;
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
  return names as PolicyName[];
}

export function runOptions(flags: Flags): RunOptions {
  const { exits, intermediaries, destinations, rate, block } = flags;
  const world = { ...WORLD_DEFAULTS, exits, intermediaries, destinations, rate, block };
  return { seed: flags.seed ?? 1, world, warm_us: flags.warm * S, counted_us: flags.seconds * S };
}

const ms = (value: number): string => `${value.toFixed(0)} ms`;
const kb = (value: number): string => `${(value / 1000).toFixed(1)} kB`;
const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;

function row(name: string, { all, warm, cold, first, entropy, largest, window }: RunFigures): string[] {
  return [
    name,
    all.retries.toFixed(3),
    warm.retries.toFixed(3),
    cold.retries.toFixed(3),
    first.retries.toFixed(3),
    all.attempts.toFixed(2),
    ms(all.time_ms),
    kb(all.useful_bytes),
    kb(all.wasted_bytes),
    entropy.slice.toFixed(2),
    percent(entropy.ratio),
    entropy.run.toFixed(2),
    percent(largest.run),
    `${window.least}–${window.most}`,
  ];
}

const HEAD = [
  'POLICY',
  'RETRIES',
  'WARM',
  'COLD',
  'FIRST',
  'ATTEMPTS',
  'TIME',
  'USEFUL',
  'WASTED',
  'BITS IN K',
  'OF WINDOW',
  'BITS IN ALL',
  'LARGEST',
  'WINDOW',
];

export function comparison({ policies, oracle }: Compared): string {
  const rows = Object.entries(policies).map(([name, figures]) => row(name, figures));
  return table([HEAD, ...rows, row('oracle', oracle)]);
}

async function retries(io: Io, flags: Flags): Promise<void> {
  const options = runOptions(flags);
  const { world } = options;
  const status = new Status(io.stderr, `Simulating ${flags.seconds} s of ${world.rate} connections a second`);
  const compared = compare(createNativeEgress, options, flags.policy, (run, part) =>
    status.detail(`${run} ${percent(part)}`),
  );
  status.done();
  if (flags.json) {
    return printJson(io, { schema: 'wayfare.sim-retries', version: 1, seed: options.seed, world, ...compared });
  }
  print(io, comparison(compared));
  print(
    io,
    [
      '',
      `Per connection; seed ${options.seed}, P = ${world.block}, ${world.exits} exits. WARM: to destinations with data in the past 10 s; COLD: the`,
      'others; FIRST: to destinations never asked before, beside the rest. BITS IN K: entropy of the exits used in 10 s,',
      'and as a part of log2 of the window. The oracle knows every limit and black hole, at the entropy of the policy above it.',
    ].join('\n'),
  );
}

export function sim(program: Command, io: Io): void {
  const group = program
    .command('sim')
    .description('what the policies of this version do, on virtual time')
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare sim retries\n  wayfare sim retries --policy dual-buckets-race --block 8',
    );
  group
    .command('retries')
    .description(
      'how often connections must be tried again through exits that swallow some destinations, policy beside policy',
    )
    .option('--seed <N>', 'what everything follows from (default: 1)', wholeNumber('--seed', 0, 2 ** 31 - 1))
    .option('--policy <NAMES>', `all, or some of ${POLICY_NAMES.join(', ')}`, policyNames, policyNames('all'))
    .option('--exits <N>', 'independent exits', wholeNumber('--exits', 1, 100_000), WORLD_DEFAULTS.exits)
    .option(
      '--intermediaries <N>',
      'between the first hop and the exits',
      wholeNumber('--intermediaries', 1, 100_000),
      WORLD_DEFAULTS.intermediaries,
    )
    .option(
      '--destinations <N>',
      'asked for by Zipf’s law, exponent 0.9',
      wholeNumber('--destinations', 1, 100_000),
      WORLD_DEFAULTS.destinations,
    )
    .option('--rate <N>', 'connections a second', wholeNumber('--rate', 1, 10_000), WORLD_DEFAULTS.rate)
    .option(
      '--block <P>',
      'one of P (exit, destination) and (intermediary, destination) pairs is a black hole',
      wholeNumber('--block', 2, 1_000_000),
      WORLD_DEFAULTS.block,
    )
    .option('--seconds <N>', 'virtual seconds that are counted', wholeNumber('--seconds', 10, 1_000_000), 300)
    .option('--warm <N>', 'virtual seconds before these', wholeNumber('--warm', 0, 100_000), 60)
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare sim retries --seed 2\n  wayfare sim retries --policy uniform-with,dual-buckets-race --exits 10000 --json',
    )
    .action((flags: Flags) => retries(io, flags));
}
