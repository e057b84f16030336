/** `wayfare up`: one real node in this process, until it is told to end. */
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { startAdmin } from '../../admin/server.js';
import { loadToken, removeAddress, writeAddress } from '../../admin/token.js';
import { asWayfareError, SystemError } from '../../base/errors.js';
import { createNode, type WayfareNode } from '../../platform/node.js';
import { type Io, printJson } from '../io.js';
import { createLog } from '../log.js';
import { listen, type ProxyWish } from '../proxies.js';
import { loadSettings, nodeOptions, readCredentials, type Settings } from '../settings.js';
import { packageVersion } from '../version.js';

interface Flags {
  config?: string;
  json?: boolean;
}

type Undo = () => Promise<void> | void;

async function startProxies(node: WayfareNode, settings: Settings): Promise<Record<string, string>> {
  const { proxy } = settings.config;
  const folder = settings.file === null ? process.cwd() : dirname(settings.file);
  const credentials =
    proxy.credentials_file === undefined
      ? undefined
      : await readCredentials(resolve(folder, proxy.credentials_file), 'proxy.credentials_file');
  const bound: Record<string, string> = {};
  for (const kind of ['socks', 'http'] as const) {
    if (proxy[kind] === 'off') continue;
    const wish: ProxyWish = {
      kind,
      listen: proxy[kind],
      flag: `proxy.${kind}`,
      credentialsFlag: 'proxy.credentials_file',
      credentials,
    };
    bound[kind] = (await listen(node, wish)).address;
  }
  return bound;
}

/** A UDP address that cannot be had is one of `listen`. */
function nameListen(caught: unknown): never {
  const error = asWayfareError(caught);
  if (error.code !== 'address_in_use' && error.code !== 'address_unavailable') throw error;
  throw new SystemError(error.code, error.message, { cause: caught, hint: 'choose another address with listen' });
}

async function run(io: Io, flags: Flags): Promise<void> {
  const settings = await loadSettings(io, flags.config);
  const log = createLog(settings.config.log.level);
  const stop = io.stop();
  const undo: Undo[] = [() => stop.dispose()];
  try {
    const node = await createNode({ ...(await nodeOptions(settings)), log }).catch(nameListen);
    undo.push(() => node.close());
    const bound = await startProxies(node, settings);
    let admin: string | null = null;
    if (settings.config.admin.listen !== 'off') {
      const token = await loadToken(settings.tokenFile);
      const server = await startAdmin(node, { listen: settings.config.admin.listen, token, version: packageVersion() });
      admin = server.address;
      undo.push(() => server.close());
      await writeAddress(settings.dataDir, { address: admin, pid: process.pid, token_file: settings.tokenFile });
      undo.push(() => removeAddress(settings.dataDir));
    }
    log.info('up', { id: node.id, listening: node.addresses.join(' '), admin, ...bound });
    if (flags.json) {
      const { id, addresses } = node;
      const proxies = { socks: bound.socks ?? null, http: bound.http ?? null };
      printJson(io, {
        schema: 'wayfare.up',
        version: 1,
        id,
        addresses,
        roles: settings.config.roles,
        ...proxies,
        admin,
        data_dir: settings.dataDir,
      });
    }
    const signal = await stop.asked;
    log.info('draining', { signal });
    await node.drain();
    log.info('ended');
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

export function up(program: Command, io: Io): void {
  program
    .command('up')
    .description('run one node until Ctrl-C')
    .option('--config <FILE>', 'the configuration (default: wayfare.toml here)')
    .option('--json', 'print one JSON object once the node is up')
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare config init relay.toml && wayfare up --config relay.toml\n  WAYFARE_ROLES=client WAYFARE_PROXY_SOCKS=127.0.0.1:1080 wayfare up --config client.toml\n\nThe first Ctrl-C drains: running flows get up to 10 s to end. A second one ends at once.',
    )
    .action((flags: Flags) => run(io, flags));
}
