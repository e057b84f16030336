import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  AbortedError,
  asWayfareError,
  ConfigError,
  errorOf,
  ProtocolError,
  SystemError,
  WayfareError,
} from './errors.js';
import { fromHex, toHex } from './hex.js';
import { allowedFields } from './log.js';
import { randomBelow } from './ports.js';

test('a code decides the class, and a drop reason of the core is a protocol error', () => {
  expect(errorOf('config_invalid', 'x')).toBeInstanceOf(ConfigError);
  expect(errorOf('address_in_use', 'x')).toBeInstanceOf(SystemError);
  expect(errorOf('aborted', 'x')).toBeInstanceOf(AbortedError);
  const reason = errorOf('exit_address_denied', 'refused');
  expect(reason).toBeInstanceOf(ProtocolError);
  expect(reason).toMatchObject({ code: 'exit_address_denied', name: 'ProtocolError' });
  expect(errorOf('toString', 'x')).toBeInstanceOf(ProtocolError);
});

test('an error keeps its cause and says message and hint as one sentence', () => {
  const cause = new Error('EADDRINUSE');
  const error = new SystemError('address_in_use', '127.0.0.1:1080 is taken', { hint: 'choose another', cause });
  expect(error.sentence).toBe('127.0.0.1:1080 is taken: choose another');
  expect(error.cause).toBe(cause);
  expect(asWayfareError(error)).toBe(error);
  expect(asWayfareError(cause, 'timeout')).toMatchObject({ code: 'timeout', cause });
  expect(asWayfareError('text')).toBeInstanceOf(WayfareError);
});

test('a log field passes by its name alone, and only numbers pass by their unit', () => {
  const fields = {
    peer: 'ab',
    rtt_us: 3,
    host: 'secret.example',
    port: 443,
    target: 'x',
    url: 'x',
    took_ms: 'secret.example',
  };
  expect(allowedFields(fields)).toEqual({ peer: 'ab', rtt_us: 3 });
});

test('a number below a bound is in range, whatever the bytes, and every value is reached', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 32 }), fc.infiniteStream(fc.nat(255)), (bound, stream) => {
      const fill = (bytes: Uint8Array) => bytes.set(Array.from(bytes, () => stream.next().value));
      const value = randomBelow(fill, bound);
      return Number.isInteger(value) && value >= 0 && value < bound;
    }),
  );
  // 2^32 = 3 · 1431655765 + 1: the one value above the last whole third is drawn again.
  const draws = [0xffffffff, 0xfffffffe];
  const fill = (bytes: Uint8Array) => new DataView(bytes.buffer).setUint32(0, draws.shift()!);
  expect(randomBelow(fill, 3)).toBe(2);
  expect(() => randomBelow(fill, 0.5)).toThrow(RangeError);
});

test('hex goes there and back, and refuses what is none', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => Buffer.from(fromHex(toHex(bytes))).equals(Buffer.from(bytes))));
  for (const bad of ['a', 'zz', '0x']) expect(() => fromHex(bad)).toThrow(RangeError);
});
