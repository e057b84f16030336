/**
 * `npm run bench`: measures, writes bench/results/<name>.json, prints a table of ratios, and with --check says by its exit
 * code whether every limit of limits.json is held.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { credit } from './credit.js';
import { credits } from './credits.js';
import { crossing } from './crossing.js';
import { fallback } from './fallback.js';
import { flood } from './flood.js';
import { machine } from './machine.js';
import { wholeNodes } from './network.js';
import { packets } from './packets.js';
import { picture } from './picture.js';
import { processes } from './processes.js';
import { type RelayFigures, relay, type ShardFigures } from './relay.js';
import { type Judged, judge, type Limit, type Measurement, table } from './rows.js';
import { stats } from './stats.js';
import { wasm } from './wasm.js';

const measurements: Measurement[] = [
  packets,
  stats,
  credit,
  credits,
  relay,
  flood,
  crossing,
  wasm,
  ...wholeNodes,
  processes,
  fallback,
];

const HELP = `usage: npm run bench -- [--only NAME]... [--check] [--json]

  --only NAME  measures just this; may be given several times
  --check      exits with 1 when a limit of bench/limits.json is missed
  --json       prints one JSON object on standard output instead of the table

measurements:
${measurements.map((m) => `  ${m.name.padEnd(10)} ${m.title}`).join('\n')}

Each writes bench/results/NAME.json. A quiet machine gives the clearest figures.`;

const results = new URL('./results/', import.meta.url);

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      check: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const unknown = values.only.find((name) => !measurements.some((m) => m.name === name));
  if (unknown !== undefined) {
    console.error(`there is no measurement ${unknown}; there are ${measurements.map((m) => m.name).join(', ')}`);
    return 2;
  }
  const limits = JSON.parse(await readFile(new URL('./limits.json', import.meta.url), 'utf8')) as Record<string, Limit>;
  const described = machine();
  await mkdir(results, { recursive: true });
  const all: Judged[] = [];
  for (const measurement of measurements) {
    if (values.only.length > 0 && !values.only.includes(measurement.name)) continue;
    console.error(`measuring ${measurement.title}`);
    const { rows, rounds } = await measurement.run();
    const judged = rows.map((row) => judge(row, limits));
    all.push(...judged);
    const result = { name: measurement.name, at: new Date().toISOString(), machine: described, rows: judged, rounds };
    await writeFile(new URL(`${measurement.name}.json`, results), `${JSON.stringify(result, null, 2)}\n`);
    if (measurement === relay) {
      const { cases, shards } = rounds as { cases: (RelayFigures & { name: string })[]; shards: ShardFigures };
      await writeFile(new URL('relay.svg', results), picture(cases, shards));
    }
  }
  const missed = all.filter((row) => row.held === false).map((row) => row.name);
  if (values.json) console.log(JSON.stringify({ v: 1, machine: described, rows: all, missed }));
  else console.log(table(all));
  if (missed.length > 0) console.error(`missed: ${missed.join(', ')}`);
  return values.check && missed.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
