/** What people type after a flag: taken or refused in one sentence that names the flag, never thrown about. */
import { isIP } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { UsageError } from '../base/errors.js';
import { listenAddress } from './proxies.js';
import { wholeNumber } from './settings.js';

function taken<T>(read: () => T): T | null {
  try {
    return read();
  } catch (error) {
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).message).toMatch(/^--flag cannot be /);
    expect((error as UsageError).hint).toMatch(/^give /);
    return null;
  }
}

test('HOST:PORT of a listener is an address, its port a port, and `localhost` is 127.0.0.1', () => {
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain(), fc.constantFrom('localhost', '', '*', '0'), fc.string());
  const port = fc.oneof(fc.integer({ min: -1, max: 70_000 }).map(String), fc.string({ maxLength: 4 }));
  fc.assert(
    fc.property(host, port, fc.boolean(), (name, number, brackets) => {
      const given = brackets ? `[${name}]:${number}` : `${name}:${number}`;
      const address = taken(() => listenAddress(given, '--flag'));
      const plain = /^\d{1,5}$/.test(number) && Number(number) <= 65535;
      const right = plain && (brackets ? isIP(name) === 6 : isIP(name) === 4 || name === 'localhost');
      const ip = name === 'localhost' ? '127.0.0.1' : brackets ? `[${name}]` : name;
      expect([given, address]).toEqual([given, right ? `${ip}:${Number(number)}` : null]);
    }),
    { numRuns: 2000 },
  );
});

test('a whole number is read within its bounds alone', () => {
  const text = fc.oneof(
    fc.integer().map(String),
    fc.double().map(String),
    fc.string(),
    fc.constantFrom('1e3', '0x10', ' 1'),
  );
  fc.assert(
    fc.property(text, fc.nat(100), fc.nat(100), (given, a, b) => {
      const [min, max] = [Math.min(a, b), Math.max(a, b)];
      const value = taken(() => wholeNumber('--flag', min, max)(given));
      const right = /^[0-9]+$/.test(given) && Number(given) >= min && Number(given) <= max;
      expect([given, value]).toEqual([given, right ? Number(given) : null]);
    }),
    { numRuns: 1000 },
  );
});
