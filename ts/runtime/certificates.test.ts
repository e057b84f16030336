import { createHash, X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { toHex } from '../base/hex.js';
import type { NewCertificate } from '../core/host.js';
import { newCertificate } from '../platform/native.js';
import { ManualClock } from '../testing/clock.js';
import { Certificates, SHOWN_S } from './certificates.js';
import { MemoryStore } from './memory-store.js';

const DAY_S = 24 * 3600;

function world() {
  const store = new MemoryStore();
  const clock = new ManualClock();
  const made: { from_s: number; until_s: number }[] = [];
  const make: NewCertificate = (from_s, until_s) => {
    made.push({ from_s, until_s });
    const bytes = new Uint8Array(32).fill(made.length);
    return { certificate: bytes, key: bytes, hash: bytes };
  };
  const now_s = () => Math.floor(clock.now_ms() / 1000);
  const names = async () => (await store.list()).filter((name) => name.startsWith('web-'));
  return { store, clock, made, make, now_s, names };
}

const hex = (certificates: Certificates) => certificates.hashes().map(toHex);

describe('certificates for browsers', () => {
  it('are two, each shown for six days and valid for thirteen', async () => {
    const { store, clock, made, make, now_s, names } = world();
    const certificates = new Certificates(store, clock, make);
    expect(await certificates.refresh()).toBe(true);
    expect(await certificates.refresh()).toBe(false);
    expect(made.map(({ from_s, until_s }) => until_s - from_s)).toEqual([13 * DAY_S, 13 * DAY_S]);
    expect(made[0]).toEqual({ from_s: now_s() - DAY_S, until_s: now_s() + 12 * DAY_S });
    expect((made[1]?.from_s ?? 0) - (made[0]?.from_s ?? 0)).toBe(SHOWN_S);
    const [first, second] = hex(certificates);

    await clock.pass((SHOWN_S - 1) * 1000);
    expect(await certificates.refresh()).toBe(false);
    await clock.pass(1000);
    expect(await certificates.refresh()).toBe(true);
    const [now, next] = hex(certificates);
    expect(now).toBe(second);
    expect([first, second]).not.toContain(next);
    expect(await names()).toHaveLength(2);
  });

  it('change so that a descriptor in circulation always names the one that is shown, as do clocks half a day off', async () => {
    const { store, clock, make } = world();
    const certificates = new Certificates(store, clock, make);
    let published: string[] = [];
    for (let hour = 0; hour < 40 * 24; hour += 6) {
      const before = published;
      if (await certificates.refresh()) published = hex(certificates);
      const shown = hex(certificates)[0];
      expect(published).toContain(shown);
      // A descriptor lives for six hours: the one of the step before is the oldest about.
      if (before.length > 0) expect(before).toContain(shown);
      await clock.pass(6 * 3600 * 1000);
    }
  });

  it('are the same after a restart, and others after a long stop', async () => {
    const { store, clock, make, names } = world();
    const before = new Certificates(store, clock, make);
    await before.refresh();
    const again = new Certificates(store, clock, make);
    expect(await again.refresh()).toBe(true);
    expect(again.hashes()).toEqual(before.hashes());
    expect(again.held()).toEqual(before.held());
    await clock.pass(30 * DAY_S * 1000);
    const later = new Certificates(store, clock, make);
    await later.refresh();
    for (const hash of hex(later)) expect(hex(before)).not.toContain(hash);
    expect(await names()).toHaveLength(2);
  });

  it('that are damaged, too old or from a wrong clock are replaced', async () => {
    const { store, clock, make, now_s, names } = world();
    await store.write(`web-${now_s()}.cert`, new Uint8Array([1, 2, 3]));
    await store.write(`web-${now_s() - 7 * DAY_S}.cert`, new Uint8Array(0));
    await store.write(`web-${now_s() + 300 * DAY_S}.cert`, new Uint8Array(0));
    const certificates = new Certificates(store, clock, make);
    await certificates.refresh();
    expect(hex(certificates)).toHaveLength(2);
    expect((await names()).sort()).toEqual([`web-${now_s()}.cert`, `web-${now_s() + SHOWN_S}.cert`]);
  });
});

describe('a certificate of the native core', () => {
  const from_s = 1_800_000_000;
  const made = newCertificate(from_s, from_s + 13 * DAY_S);
  const read = new X509Certificate(made.certificate);

  it('is what an independent reader takes it for', () => {
    expect(read.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(read.verify(read.publicKey)).toBe(true);
    expect(read.validFromDate.getTime()).toBe(from_s * 1000);
    expect(read.validToDate.getTime()).toBe((from_s + 13 * DAY_S) * 1000);
    expect(read.checkIssued(read)).toBe(true);
    expect(toHex(made.hash)).toBe(createHash('sha256').update(made.certificate).digest('hex'));
  });

  it('has a key and a serial of its own', () => {
    const other = new X509Certificate(newCertificate(from_s, from_s + 1).certificate);
    expect(other.serialNumber).not.toBe(read.serialNumber);
    expect(other.publicKey.equals(read.publicKey)).toBe(false);
  });

  it('is not made for longer than browsers take, or for nonsense', () => {
    for (const [from, until] of [
      [from_s, from_s + 14 * DAY_S + 1],
      [from_s, from_s],
      [-1, 5],
      [0.5, 5],
      [Number.NaN, 5],
      [0, Number.POSITIVE_INFINITY],
    ] as const)
      expect(() => newCertificate(from, until)).toThrow(expect.objectContaining({ code: 'argument_invalid' }));
  });
});
