/** What commands read from disk: the configuration, credentials, and where a node's data lie. */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Config, joinHostPort, type LoadedConfig, parseConfig, splitHostPort } from '../base/config/index.js';
import { ConfigError, NetworkError, UsageError } from '../base/errors.js';
import type { BootstrapPeer, NodeOptions } from '../platform/node.js';
import type { Io } from './io.js';

export const CONFIG_FILE = 'wayfare.toml';

export interface Settings extends LoadedConfig {
  /** Null where no file was named and none lies here. */
  file: string | null;
  /** Absolute. */
  dataDir: string;
  tokenFile: string;
}

/** `file` undefined: `WAYFARE_CONFIG`, then wayfare.toml here, then none at all. */
export async function loadSettings(io: Io, file: string | undefined): Promise<Settings> {
  const named = file ?? io.env.WAYFARE_CONFIG;
  const path = resolve(io.cwd, named ?? CONFIG_FILE);
  let text: string | null = null;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    if (!missing || named !== undefined) {
      throw new ConfigError('config_missing', `${named ?? CONFIG_FILE} cannot be read`, {
        cause,
        hint: missing ? '`wayfare config init` writes one with comments' : (cause as Error).message,
      });
    }
  }
  const loaded = parseConfig({ text: text ?? '', file: named ?? CONFIG_FILE, env: io.env });
  const base = text === null ? io.cwd : dirname(path);
  const dataDir = resolve(base, loaded.config.data_dir);
  const tokenFile = loaded.config.admin.token_file;
  return {
    ...loaded,
    file: text === null ? null : path,
    dataDir,
    tokenFile: tokenFile === undefined ? join(dataDir, 'admin-token') : resolve(base, tokenFile),
  };
}

/** USER:PASSWORD on one line. */
export async function readCredentials(file: string, flag: string): Promise<{ user: string; password: string }> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError('config_missing', `${flag}: ${file} cannot be read`, {
      cause,
      hint: (cause as Error).message,
    });
  }
  const line = text.split(/\r?\n/)[0] ?? '';
  const colon = line.indexOf(':');
  const [user, password] = [line.slice(0, colon), line.slice(colon + 1)];
  const fits = (part: string) => part.length > 0 && Buffer.byteLength(part) <= 255;
  if (colon < 1 || !fits(user) || !fits(password)) {
    throw new ConfigError('config_invalid', `${flag}: ${file} holds no credentials`, {
      hint: 'write USER:PASSWORD on one line, each of 1 to 255 bytes',
    });
  }
  return { user, password };
}

/** Names of bootstrap peers are resolved here, once; an address passes as it is. */
export async function resolveBootstrap(peers: string[]): Promise<BootstrapPeer[]> {
  const resolved = await Promise.all(
    peers.map(async (text) => {
      const { host, port } = splitHostPort(text.slice(65))!;
      const all = await lookup(host, { all: true }).catch(() => []);
      return all.map(({ address }) => ({ id: text.slice(0, 64), address: joinHostPort(address, port) }));
    }),
  );
  const found = resolved.flat();
  if (peers.length > 0 && found.length === 0) {
    throw new NetworkError('peer_unreachable', 'no bootstrap peer’s name resolves', {
      hint: 'check `bootstrap` and this machine’s DNS',
    });
  }
  return found;
}

/** What `createNode` is told by a configuration. */
export async function nodeOptions(settings: Settings): Promise<NodeOptions> {
  const { config } = settings;
  return {
    roles: config.roles,
    dataDir: settings.dataDir,
    listen: config.listen,
    ...(config.listen_reliable.length > 0 && { listenReliable: config.listen_reliable }),
    ...webOptions(settings),
    ...(config.advertise.length > 0 && { advertise: config.advertise }),
    bootstrap: await resolveBootstrap(config.bootstrap),
    exit: config.exit,
    hops: config.path.hops,
    egress: egressOf(config),
    credit: creditOf(config),
    limits: limitsOf(config),
  };
}

/** Relative names are those beside the configuration. */
function webOptions({ config, file }: Settings): Pick<NodeOptions, 'web'> {
  const { host, certificate_file, key_file } = config.web;
  if (host === undefined || certificate_file === undefined || key_file === undefined) return {};
  const at = (name: string) => (file === null ? resolve(name) : resolve(dirname(file), name));
  return { web: { host, certificateFile: at(certificate_file), keyFile: at(key_file) } };
}

function egressOf({ egress }: Config): NonNullable<NodeOptions['egress']> {
  const { race_explore, race_most, ...rest } = egress;
  return { ...rest, raceExplore: race_explore, raceMost: race_most };
}

function creditOf({ credit }: Config): NonNullable<NodeOptions['credit']> {
  const { half_life_s, always_share, ...rest } = credit;
  return { ...rest, halfLife_s: half_life_s, alwaysShare: always_share };
}

function limitsOf({ limits }: Config): NonNullable<NodeOptions['limits']> {
  return {
    circuits: limits.circuits,
    setupsPerSecond: limits.setups_per_second,
    readerBytes: limits.reader_bytes,
    windowBytesMax: limits.window_bytes_max,
    linkIdleMs: limits.link_idle_ms,
    fastLinks: limits.fast_links,
    offload: limits.offload,
    linkBytesPerSecond: limits.link_bytes_per_second,
    shards: limits.shards,
  };
}

/** A whole number given by a flag. */
export function wholeNumber(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) {
      throw new UsageError('argument_invalid', `${flag} cannot be "${text}"`, {
        hint: `give a number from ${min} to ${max}`,
      });
    }
    return value;
  };
}
