import { describe, expect, it } from 'vitest';
import { onionKeyAt } from '../base/directory.js';
import { toHex } from '../base/hex.js';
import { SKEW_S_MAX } from '../directory/descriptor.js';
import { nativeCore } from '../platform/native.js';
import { ManualClock } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { seeded } from '../testing/seeded.js';
import { IDENTITY_FILE, idOf, loadIdentity, ONION_LIFE_S, OnionKeys, OVERLAP_S } from './keys.js';
import { MemoryStore } from './memory-store.js';

const core = nativeCore();
const world = () => ({ store: new MemoryStore(), clock: new ManualClock(), random: seeded(9) });

describe('the identity', () => {
  it('is made once, and the same after a restart', async () => {
    const { store } = world();
    const first = await loadIdentity(store, seeded(1));
    expect(await loadIdentity(store, seeded(2))).toEqual(first);
    expect(idOf(core, first)).toMatch(/^[0-9a-f]{64}$/);
  });

  it('that is damaged is not replaced behind its owner’s back', async () => {
    const { store } = world();
    await store.write(IDENTITY_FILE, new Uint8Array(31));
    await expect(loadIdentity(store, seeded(1))).rejects.toMatchObject({ code: 'store_failed' });
    expect(await store.read(IDENTITY_FILE)).toHaveLength(31);
  });
});

describe('onion keys', () => {
  it('change every day; the one before stays for the overlap, then it is gone from store and list', async () => {
    const { store, clock, random } = world();
    const keys = new OnionKeys(store, core, clock, random);
    expect(await keys.refresh()).toBe(true);
    expect(keys.fresh).toBe(true);
    expect(await keys.refresh()).toBe(false);
    const [first] = await keys.seeds();

    await clock.pass(ONION_LIFE_S * 1000);
    expect(await keys.refresh()).toBe(true);
    expect(await keys.seeds()).toHaveLength(2);
    expect((await keys.seeds())[1]).toEqual(first);
    const published = await keys.published();
    expect(published.map((key) => key.from_s)).toEqual(published.map((key) => key.from_s).sort((a, b) => b - a));
    expect(toHex(published[1]?.key as Uint8Array)).toBe(toHex(core.onionPublic(first as Uint8Array)));

    await clock.pass(OVERLAP_S * 1000);
    expect(await keys.refresh()).toBe(true);
    expect(await keys.seeds()).toHaveLength(1);
    for (const name of await store.list()) expect(await store.read(name)).not.toEqual(first);
    expect(await keys.seeds()).not.toContainEqual(first);
  });

  it('are taken at once by a client whose clock runs behind as far as one may', async () => {
    const { store, clock, random } = world();
    const keys = new OnionKeys(store, core, clock, random);
    await keys.refresh();
    const descriptor = { ...node('new'), onionKeys: await keys.published() };
    const now_s = clock.now_ms() / 1000;
    for (const behind_s of [0, SKEW_S_MAX]) expect(onionKeyAt(descriptor, now_s - behind_s)).toBeDefined();
  });

  it('are the same after a restart, and dropped after a long stop', async () => {
    const { store, clock, random } = world();
    const before = new OnionKeys(store, core, clock, random);
    await before.refresh();
    const again = new OnionKeys(store, core, clock, seeded(77));
    await again.refresh();
    expect(again.fresh).toBe(false);
    expect(await again.seeds()).toEqual(await before.seeds());
    await clock.pass((ONION_LIFE_S + OVERLAP_S) * 1000);
    const later = new OnionKeys(store, core, clock, seeded(78));
    await later.refresh();
    expect(await later.seeds()).toHaveLength(1);
    expect(await later.seeds()).not.toEqual(await again.seeds().catch(() => 'gone'));
  });

  it('never number more than two, whatever lies in the store', async () => {
    const { store, clock, random } = world();
    const now_s = Math.floor(clock.now_ms() / 1000);
    for (const age_s of [10, 20, 30, 40])
      await store.write(`onion-${now_s - age_s}.key`, new Uint8Array(32).fill(age_s));
    await store.write(`onion-${now_s + 10 * ONION_LIFE_S}.key`, new Uint8Array(32));
    const keys = new OnionKeys(store, core, clock, random);
    await keys.refresh();
    expect(await keys.seeds()).toHaveLength(2);
    expect((await store.list()).filter((name) => name.startsWith('onion-'))).toHaveLength(2);
  });
});
