import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileStore } from './store.js';

describe('a data directory', () => {
  let parent: string;
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'wayfare-store-'));
  });
  afterEach(() => rm(parent, { recursive: true }));

  it('is its owner’s alone, and so is every file (row 22)', async () => {
    const store = await FileStore.open(join(parent, 'node'));
    await store.write('identity', new Uint8Array(32));
    expect((await stat(store.directory)).mode & 0o777).toBe(0o700);
    expect((await stat(store.path('identity'))).mode & 0o777).toBe(0o600);
  });

  it('closes a directory that others could read', async () => {
    const open = await mkdtemp(join(parent, 'open-'));
    await FileStore.open(open);
    expect((await stat(open)).mode & 0o077).toBe(0);
  });

  it('gives back what was written, and nothing where nothing was', async () => {
    const store = await FileStore.open(parent);
    await store.write('a', new Uint8Array([1, 2]));
    await store.write('a', new Uint8Array([3]));
    expect(await store.read('a')).toEqual(new Uint8Array([3]));
    expect(await store.read('b')).toBeNull();
    await store.remove('a');
    await store.remove('a');
    expect(await store.read('a')).toBeNull();
    expect(await readdir(parent)).toEqual([]);
  });

  it('lists whole files only', async () => {
    const store = await FileStore.open(parent);
    await store.write('kept', new Uint8Array([1]));
    await writeFile(join(parent, 'kept.1234.new'), 'half');
    expect(await store.list()).toEqual(['kept']);
  });

  it('has no names that lead elsewhere', async () => {
    const store = await FileStore.open(parent);
    for (const name of ['../x', 'a/b', '.hidden', '']) await expect(store.read(name)).rejects.toThrow(/no name/);
  });
});
