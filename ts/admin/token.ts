/** The admin port's token and its whereabouts, in files that only the owner reads. */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ConfigError, SystemError } from '../base/errors.js';

export const TOKEN_FILE = 'admin-token';
export const ADDRESS_FILE = 'admin.json';

export interface AdminAddress {
  version: 1;
  /** `ip:port`. */
  address: string;
  pid: number;
  token_file: string;
}

const TOKEN = /^[A-Za-z0-9_-]{32,}$/;

/** The token in the file; made when there is none. */
export async function loadToken(file: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(file, 'utf8')).trim();
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new SystemError('permission_denied', `the admin token ${file} cannot be read`, {
        cause,
        hint: (cause as Error).message,
      });
    }
    const token = randomBytes(32).toString('base64url');
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(file, `${token}\n`, { mode: 0o600, flag: 'wx' });
    return token;
  }
  if (!TOKEN.test(text)) {
    throw new ConfigError('config_invalid', `${file} holds no token`, {
      hint: 'at least 32 letters, digits, - or _ on one line; or remove it and a new one is made',
    });
  }
  await chmod(file, 0o600);
  return text;
}

export async function writeAddress(dataDir: string, address: Omit<AdminAddress, 'version'>): Promise<void> {
  const file = join(dataDir, ADDRESS_FILE);
  await writeFile(`${file}.new`, `${JSON.stringify({ version: 1, ...address })}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}

export async function removeAddress(dataDir: string): Promise<void> {
  await rm(join(dataDir, ADDRESS_FILE), { force: true });
}

/** Where the node of a data directory answers; null when none runs there. */
export async function readAddress(dataDir: string): Promise<AdminAddress | null> {
  let text: string;
  try {
    text = await readFile(join(dataDir, ADDRESS_FILE), 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new SystemError('permission_denied', `${join(dataDir, ADDRESS_FILE)} cannot be read`, {
      cause,
      hint: (cause as Error).message,
    });
  }
  try {
    const { version, address, pid, token_file } = JSON.parse(text) as AdminAddress;
    if (version === 1 && typeof address === 'string' && typeof token_file === 'string') {
      return { version, address, pid, token_file };
    }
  } catch {
    // Not JSON: said below.
  }
  throw new SystemError('store_failed', `${join(dataDir, ADDRESS_FILE)} does not parse`, { hint: 'restart the node' });
}
