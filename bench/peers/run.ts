/**
 * `npm run bench:peers`: a download through three hops, ours beside what others have built, in the same run on the same
 * cores, every process in a network namespace. Writes bench/results/peers.json, prints a table of ratios.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { SetupError } from '../../scripts/setup/progress.mjs';
import { Cleanup } from '../../tests/harness/cleanup.js';
import { machine } from '../machine.js';
import { judge, type Limit, table } from '../rows.js';
import { direct } from './direct.js';
import { type At, rowsOf } from './figures.js';
import { peersFolder } from './install.js';
import { ours } from './ours.js';
import type { Peer } from './peer.js';
import { rounds } from './rounds.js';
import { shadowsocks } from './shadowsocks.js';
import { obstacle, sweep } from './space.js';
import { ssh } from './ssh.js';
import { tor } from './tor.js';
import { yggdrasil } from './yggdrasil.js';

const PEERS: Peer[] = [ours, direct, shadowsocks, ssh, yggdrasil, tor];
const MTUS = [1_500, 9_000, 16_384, 65_535];

const HELP = `usage: npm run bench:peers -- [--only PEER]... [--mtu N]... [--rounds N] [--seconds N] [--check] [--json]

  --only PEER  ours and just this one; may be given several times; results are not recorded
  --mtu N      just this MTU of the links; may be given several times; results are not recorded
  --rounds N   medians are taken of so many (5)
  --seconds N  how long each transfer is measured (2)
  --check      exits with 1 without shadowsocks-rust, or when a limit of bench/peers/limits.json is missed
  --json       prints one JSON object on standard output instead of the table

peers, which are brought into .cache/peers (the first time takes minutes):
${PEERS.map((p) => `  ${p.name.padEnd(12)} ${p.title}`).join('\n')}

Needs Linux and root, for network namespaces; nothing of them is left when it ends. Writes bench/results/peers.json, and
.cache/peers/last.json with every round, the links' packet sizes and what was dropped, also of runs that are not recorded.
A quiet machine gives the clearest figures.`;

const recorded = new URL('../results/peers.json', import.meta.url);

class Usage extends Error {}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Usage(`--${name} is a number above 0, not ${text}`);
  return value;
}

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      mtu: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '2' },
      check: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const unknown = values.only.find((name) => !PEERS.some((p) => p.name === name));
  if (unknown !== undefined) {
    throw new Usage(`there is no peer ${unknown}; there are ${PEERS.map((p) => p.name).join(', ')}`);
  }
  const mtus = values.mtu.map((text) => positive(text, 'mtu'));
  const odd = mtus.find((mtu) => !Number.isInteger(mtu) || mtu < 1_280 || mtu > 65_535);
  if (odd !== undefined) throw new Usage(`--mtu is a whole number from 1280 to 65535, not ${odd}`);
  return {
    ...values,
    whole: values.only.length + mtus.length === 0,
    mtus: mtus.length > 0 ? mtus : MTUS,
    rounds: Math.ceil(positive(values.rounds, 'rounds')),
    seconds: positive(values.seconds, 'seconds'),
  };
}

/** Those that can be had, with their versions, and why the others cannot. */
async function bring(only: readonly string[]) {
  const versions: Record<string, string> = {};
  const missing: Record<string, string> = {};
  const had: Peer[] = [];
  for (const peer of PEERS) {
    if (only.length > 0 && peer !== ours && !only.includes(peer.name)) continue;
    try {
      versions[peer.name] = await peer.bring();
      had.push(peer);
    } catch (error) {
      missing[peer.name] = sentence(error);
      console.error(`without ${peer.name}: ${missing[peer.name]}`);
    }
  }
  return { had, versions, missing };
}

const sentence = (error: unknown) => (error instanceof Error ? error.message : String(error));

async function main(cleanup: Cleanup, signal: AbortSignal): Promise<number> {
  const asked = options();
  if (asked.help) {
    console.log(HELP);
    return 0;
  }
  const why = obstacle();
  if (why !== null) throw new SetupError(why);
  sweep();
  const limits = JSON.parse(await readFile(new URL('./limits.json', import.meta.url), 'utf8')) as Record<string, Limit>;
  const described = machine();
  const { had, versions, missing } = await bring(asked.only);
  const all: At[] = [];
  for (const mtu of asked.mtus) {
    // Small links are the rule; what only some do on large ones is not asked of the others.
    const peers = had.filter((peer) => peer.everywhere || mtu === MTUS[0]);
    all.push(await rounds(cleanup, peers, mtu, { ...asked, more: mtu === MTUS[0], signal }, missing));
  }
  const rows = all.flatMap(rowsOf).map((row) => judge(row, limits));
  const missed = rows.filter((row) => row.held === false && !row.tolerated).map((row) => row.name);
  const said = { machine: described, versions, missing, rows };
  const result = JSON.stringify({ name: 'peers', at: new Date().toISOString(), ...said, rounds: all }, null, 2);
  for (const file of [peersFolder('last.json'), ...(asked.whole ? [fileURLToPath(recorded)] : [])]) {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${result}\n`);
  }
  if (asked.json) console.log(JSON.stringify({ v: 1, ...said, missed }));
  else console.log(table(rows, 'peer'));
  for (const [name, reason] of Object.entries(missing)) console.error(`could not be had: ${name}: ${reason}`);
  if (missed.length > 0) console.error(`missed: ${missed.join(', ')}`);
  const yardstick = missing[shadowsocks.name] === undefined && missing[ours.name] === undefined;
  return asked.check && (missed.length > 0 || !yardstick) ? 1 : 0;
}

const cleanup = new Cleanup();
const interrupted = new AbortController();
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => {
    interrupted.abort();
    console.error('ending what was started');
    void cleanup.run().finally(() => process.exit(code));
  });
}
try {
  process.exitCode = await main(cleanup, interrupted.signal);
} catch (error) {
  // What fails because it was ended is no fault of its own.
  if (!interrupted.signal.aborted) {
    console.error(error instanceof Usage || error instanceof SetupError ? error.message : error);
  }
  process.exitCode = 2;
} finally {
  await cleanup.run();
}
