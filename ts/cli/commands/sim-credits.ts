/** `wayfare sim credits`: what the credit system does, scenario by scenario, on virtual time. */
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { SystemError, UsageError } from '../../base/errors.js';
import { checkCredits, creditsPlot, type SeedFound, simulateCredits } from '../../credits/run.js';
import { SCENARIO_NAMES, SCENARIOS } from '../../credits/scenarios.js';
import { createNativeCredit } from '../../platform/native-credit.js';
import { EXIT, type Io, print, printJson } from '../io.js';
import { wholeNumber } from '../settings.js';
import { creditsTable, percent } from '../sim-tables.js';
import { Status } from '../status-line.js';

const SEEDS = [1, 2, 3];
const NODES = 1000;

interface Flags {
  seed?: number;
  scenario?: string[];
  nodes: number;
  check?: boolean;
  svg?: string;
  json?: boolean;
}

function names(name: string, before: string[] | undefined): string[] {
  if (!SCENARIO_NAMES.includes(name)) {
    throw new UsageError('argument_invalid', `--scenario cannot be "${name}"`, {
      hint: `give some of ${SCENARIO_NAMES.join(', ')}`,
    });
  }
  return [...new Set([...(before ?? []), name])];
}

async function credits(io: Io, flags: Flags, setCode: (code: number) => void): Promise<void> {
  const { seed = 1, scenario: scenarios, nodes, svg } = flags;
  // A file that cannot be written is told of before anything is simulated.
  const file =
    svg === undefined
      ? null
      : await open(resolve(io.cwd, svg), 'w').catch((cause: Error) => {
          throw new SystemError('store_failed', `${svg} cannot be written`, { cause, hint: cause.message });
        });
  try {
    const options = { nodes, ...(scenarios !== undefined && { scenarios }) };
    const seeds = flags.check && flags.seed === undefined ? SEEDS : [seed];
    const status = new Status(
      io.stderr,
      `Simulating ${scenarios?.join(', ') ?? 'every scenario'} on seed ${seeds.join(', ')}`,
    );
    const progress = (run: string, part: number) => status.detail(`${run} ${percent(part)}`);
    const checked = flags.check
      ? checkCredits(createNativeCredit, seeds, options, progress)
      : { seeds: [simulateCredits(createNativeCredit, { ...options, seed }, progress)], held: true };
    status[checked.held ? 'done' : 'failed']();
    if (!checked.held) setCode(EXIT.failed);
    await file?.writeFile(creditsPlot(checked.seeds[0] as SeedFound));
    if (flags.json && flags.check)
      return printJson(io, { schema: 'wayfare.sim-credits-check', version: 1, nodes, ...checked });
    if (flags.json) return printJson(io, { schema: 'wayfare.sim-credits', version: 1, nodes, ...checked.seeds[0] });
    print(io, creditsTable(checked.seeds));
    if (flags.check) print(io, `\n${checked.held ? 'Every figure is held.' : 'A figure is missed.'}`);
    if (svg !== undefined) print(io, `\n${svg}`);
  } finally {
    await file?.close();
  }
}

export function simCredits(group: Command, io: Io, setCode: (code: number) => void): void {
  const list = SCENARIOS.map(({ name, title }) => `  ${name.padEnd(12)} ${title}`).join('\n');
  group
    .command('credits')
    .description('what the credit system does: who is served, who gains, what attacks bring')
    .option(
      '--seed <N>',
      'what everything follows from (default: 1; with --check: 1, 2 and 3)',
      wholeNumber('--seed', 0, 2 ** 31 - 1),
    )
    .option('--scenario <NAME>', 'one of those below; may be given again (default: all)', names)
    .option('--nodes <N>', 'as many, where the scenario’s shape allows', wholeNumber('--nodes', 100, 100_000), NODES)
    .option('--check', 'exits with 1 when a figure is missed')
    .option('--svg <FILE>', 'plot every scenario’s curves')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      `\nScenarios:\n${list}\n\nExamples:\n  wayfare sim credits --scenario fakes --scenario stubs\n  wayfare sim credits --check --seed 7\n  wayfare sim credits --svg credits.svg`,
    )
    .action((flags: Flags) => credits(io, flags, setCode));
}
