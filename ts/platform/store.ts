/**
 * A node's files in its data directory: keys and what it has seen.
 *
 * Invariant: the directory is the owner's alone (0700), every file too (0600); a file is there whole or not at all; what is
 * removed was overwritten first, as far as the file system lets one.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SystemError } from '../base/errors.js';
import type { Store } from '../base/ports.js';

const NAME = /^[a-z0-9][a-z0-9._-]*$/;

export class FileStore implements Store {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  /** Makes the directory, or takes one that is there and closes it to others. */
  static async open(directory: string): Promise<FileStore> {
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await chmod(directory, 0o700);
    } catch (cause) {
      throw failed(`cannot use the data directory ${directory}`, cause);
    }
    return new FileStore(directory);
  }

  path(name: string): string {
    if (!NAME.test(name)) throw new SystemError('store_failed', `"${name}" is no name of a file`);
    return join(this.directory, name);
  }

  async read(name: string): Promise<Uint8Array | null> {
    try {
      const data = await readFile(this.path(name));
      return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    } catch (cause) {
      if (isMissing(cause)) return null;
      throw failed(`cannot read ${this.path(name)}`, cause);
    }
  }

  async write(name: string, data: Uint8Array): Promise<void> {
    const path = this.path(name);
    const fresh = `${path}.${randomUUID()}.new`;
    try {
      const file = await open(fresh, 'wx', 0o600);
      try {
        await file.writeFile(data);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, path);
    } catch (cause) {
      await rm(fresh, { force: true });
      throw failed(`cannot write ${path}`, cause);
    }
  }

  async remove(name: string): Promise<void> {
    const path = this.path(name);
    try {
      const file = await open(path, 'r+');
      try {
        const { size } = await file.stat();
        await file.write(new Uint8Array(size), 0, size, 0);
        await file.sync();
      } finally {
        await file.close();
      }
      await rm(path);
    } catch (cause) {
      if (!isMissing(cause)) throw failed(`cannot remove ${path}`, cause);
    }
  }

  async list(): Promise<string[]> {
    const names = await readdir(this.directory);
    return names.filter((name) => NAME.test(name) && !name.endsWith('.new')).sort();
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
}

function failed(what: string, cause: unknown): SystemError {
  return new SystemError('store_failed', what, { cause, hint: cause instanceof Error ? cause.message : String(cause) });
}
