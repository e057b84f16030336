import { expect, test } from 'vitest';
import { additionLines, parseAddition } from './additions.js';

test.each([
  ['port 8080 = 64000', 'port 8080 4'],
  ['port 0080 = 64001', 'port 80 4'],
  ['host *.Example.org=1000', 'host *.Example.org 1'],
  ['any = 0', 'any 0'],
  [' any=999999999999 ', 'any 8'],
])('%s is %s in the words of the host', (text, line) => {
  expect(parseAddition(text)).toBe(line);
});

test('rules stay in their order', () => {
  expect(additionLines(['port 1 = 1000', 'any = 4000'])).toBe('port 1 1\nany 2');
});

test.each([
  '',
  'any',
  'any = -1',
  'any 1 = 2',
  'port 0 = 1',
  'port 65536 = 1',
  'port = 1',
  'user a = 1',
  'host a b = 1',
])('"%s" is refused, and it is said how one is written', (text) => {
  expect(() => parseAddition(text)).toThrow(
    expect.objectContaining({ code: 'argument_invalid', hint: expect.stringContaining('port 8080') }),
  );
});
