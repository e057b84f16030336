import { describe, expect, test } from 'vitest';
import { creditRate } from '../core/credit.js';
import { classOf, Priorities, parsePriority } from './priorities.js';

const flow = { inlet: 'socks', user: 'alice', host: 'www.Example.org', port: 443 };

describe('classes', () => {
  test('the largest class that a rate covers', () => {
    expect([0, 999, 1000, 3999, 4000, 16_383_999, 16_384_000, 1e12].map(classOf)).toEqual([0, 0, 1, 1, 2, 7, 8, 8]);
    for (let c = 1; c <= 8; c++) expect(classOf(creditRate(c))).toBe(c);
    expect([Number.NaN, -1, Number.NEGATIVE_INFINITY].map(classOf)).toEqual([0, 0, 0]);
  });
});

describe('priorities', () => {
  test('the first rule that fits decides, the default where none does', () => {
    const priorities = new Priorities(
      ['port 22 = 256000', 'host *.example.org = 64000', 'user alice = 16000', 'inlet http = 1000'],
      4000,
    );
    const at = (change: Partial<typeof flow>) => priorities.classFor({ ...flow, ...change });
    expect(at({ port: 22 })).toBe(classOf(256_000));
    expect(at({})).toBe(classOf(64_000));
    expect(at({ host: 'example.org' })).toBe(classOf(16_000));
    expect(at({ host: '192.0.2.1', user: 'bob', inlet: 'http' })).toBe(classOf(1000));
    expect(at({ host: '192.0.2.1', user: 'bob' })).toBe(classOf(4000));
  });

  test.each([
    '',
    'port 22',
    'port 0 = 1',
    'port x = 1',
    'colour red = 1',
    'user alice = much',
    'user alice = -1',
    'host a b = 1',
  ])('"%s" is refused, and the error says how one is written', (text) => {
    expect(() => parsePriority(text)).toThrow(
      expect.objectContaining({ code: 'argument_invalid', hint: expect.stringContaining('port 22 = ') }),
    );
  });
});
