/** `wayfare keygen`: a node's identity, made ahead of its first start so that others can name it in `bootstrap`. */

import { resolve } from 'node:path';
import type { Command } from 'commander';
import { nodePlatform } from '../../platform/node.js';
import { IDENTITY_FILE, idOf, loadIdentity } from '../../runtime/keys.js';
import { type Io, print, printJson } from '../io.js';
import { loadSettings } from '../settings.js';

interface Flags {
  config?: string;
  dataDir?: string;
  json?: boolean;
}

export function keygen(program: Command, io: Io): void {
  program
    .command('keygen')
    .description("make this node's identity, or print the id of the one that is there")
    .option('--config <FILE>', 'the configuration whose data_dir is meant')
    .option('--data-dir <DIR>', 'the data directory itself')
    .option('--json', 'print one JSON object')
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare keygen --config relay.toml\n  wayfare keygen --data-dir ./node --json',
    )
    .action(async (flags: Flags) => {
      const dataDir =
        flags.dataDir === undefined ? (await loadSettings(io, flags.config)).dataDir : resolve(io.cwd, flags.dataDir);
      const { core, random, openStore } = nodePlatform();
      const { store } = await openStore(dataDir);
      const created = (await store.read(IDENTITY_FILE)) === null;
      const seed = await loadIdentity(store, random);
      const id = idOf(core, seed);
      seed.fill(0);
      if (flags.json) return printJson(io, { schema: 'wayfare.keygen', version: 1, id, data_dir: dataDir, created });
      print(io, id);
      io.stderr.write(created ? `identity made in ${dataDir}\n` : `identity was there already, in ${dataDir}\n`);
    });
}
