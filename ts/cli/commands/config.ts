/** `wayfare config init|check|show`. */

import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { flatten, renderConfig } from '../../base/config/index.js';
import { SystemError } from '../../base/errors.js';
import { table } from '../format.js';
import { type Io, print, printJson } from '../io.js';
import { CONFIG_FILE, loadSettings, readCredentials } from '../settings.js';

interface Flags {
  config?: string;
  json?: boolean;
}

export function config(program: Command, io: Io): void {
  const group = program
    .command('config')
    .description('write, check and show the configuration')
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare config init relay.toml\n  wayfare config check --config relay.toml\n  wayfare config show --json',
    );

  group
    .command('init')
    .argument('[FILE]', 'where to write it', CONFIG_FILE)
    .description('write a file with every key, its meaning and its default')
    .option('--json', 'print one JSON object')
    .action(async (file: string, flags: Flags) => {
      await writeFile(resolve(io.cwd, file), renderConfig(), { flag: 'wx', mode: 0o600 }).catch((cause) => {
        const there = cause.code === 'EEXIST';
        throw new SystemError('store_failed', `${file} cannot be written`, {
          cause,
          hint: there ? 'it exists already; name another, or remove it first' : cause.message,
        });
      });
      if (flags.json) return printJson(io, { schema: 'wayfare.config-init', version: 1, file: resolve(io.cwd, file) });
      print(io, `${file} written; set roles and bootstrap in it, then: wayfare up --config ${file}`);
    });

  group
    .command('check')
    .description('say whether the configuration is good, or where it is not')
    .option('--config <FILE>', 'the configuration')
    .option('--json', 'print one JSON object')
    .action(async (flags: Flags) => {
      const settings = await loadSettings(io, flags.config);
      const credentials = settings.config.proxy.credentials_file;
      if (credentials !== undefined)
        await readCredentials(resolve(settings.file ?? io.cwd, '..', credentials), 'proxy.credentials_file');
      if (flags.json)
        return printJson(io, { schema: 'wayfare.config-check', version: 1, ok: true, file: settings.file });
      print(io, settings.file === null ? 'no file; the defaults and variables are good' : `${settings.file} is good`);
    });

  group
    .command('show')
    .description('print every key, its value, and where that came from')
    .option('--config <FILE>', 'the configuration')
    .option('--json', 'print one JSON object')
    .action(async (flags: Flags) => {
      const settings = await loadSettings(io, flags.config);
      const keys = flatten(settings.config).map(([key, value]) => ({
        key,
        value: value ?? null,
        origin: settings.origins[key]!,
      }));
      if (flags.json)
        return printJson(io, {
          schema: 'wayfare.config',
          version: 1,
          file: settings.file,
          data_dir: settings.dataDir,
          keys,
        });
      print(
        io,
        table(keys.map(({ key, value, origin }) => [key, value === null ? '-' : JSON.stringify(value), origin])),
      );
    });
}
