import { encode } from 'cborg';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromHex } from '../base/hex.js';
import { decodeQuotes, encodeQuotes, type NodeQuotes, QUOTES_FRESH_MS, type Quote, QuoteBook } from './quotes.js';

const id = (n: number) => n.toString(16).padStart(64, '0');
const [A, B, C, D] = [1, 2, 3, 4].map(id) as [string, string, string, string];
const even = (...peers: string[]): Quote[] => peers.map((peer) => ({ peer, low: 0, high: 0 }));

const octaves = fc.double({ min: -10, max: 10, noNaN: true });
const quote = fc
  .tuple(fc.integer({ min: 0, max: 99 }), octaves, octaves)
  .map(([n, a, b]): Quote => ({ peer: id(n), low: Math.min(a, b), high: Math.max(a, b) }));
const nodeQuotes = fc
  .tuple(fc.integer({ min: 0, max: 99 }), fc.array(quote, { maxLength: 20 }))
  .map(([n, quotes]): NodeQuotes => ({ node: id(n), quotes }));

test('what is told arrives, rounded to what promises less', () => {
  fc.assert(
    fc.property(fc.array(nodeQuotes, { minLength: 1, maxLength: 10 }), (all) => {
      const told = decodeQuotes((all[0] as NodeQuotes).node, encodeQuotes(all));
      expect(told?.map(({ node }) => node)).toEqual(all.map(({ node }) => node));
      told?.forEach(({ quotes }, at) => {
        quotes.forEach(({ peer, low, high }, i) => {
          const sent = all[at]?.quotes[i] as Quote;
          expect(peer).toBe(sent.peer);
          expect(sent.low - low).toBeGreaterThanOrEqual(0);
          expect(sent.low - low).toBeLessThanOrEqual(1 / 1024);
          expect(high - sent.high).toBeGreaterThanOrEqual(0);
          expect(high - sent.high).toBeLessThanOrEqual(1 / 1024);
        });
      });
    }),
  );
});

test('what is no quotes is refused as a whole, and does no harm', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (data) => decodeQuotes(A, data) === null));
  const key = fromHex(A);
  const row = [fromHex(B), 0, 0];
  const bad: unknown[] = [
    [],
    [[key]],
    [[fromHex(B), []]],
    [[key, [[fromHex(B), 1, 0]]]],
    [[key, [[fromHex(B), -10_241, 0]]]],
    [[key, [[fromHex(B), 0.5, 1]]]],
    [[key.subarray(1), [row]]],
    [[key, Array.from({ length: 129 }, () => row)]],
  ];
  for (const message of bad) expect(decodeQuotes(A, encode(message))).toBeNull();
  expect(decodeQuotes(A, new Uint8Array(64 * 1024 + 1))).toBeNull();
  expect(decodeQuotes(A, encode([[key, [row]]]))).toEqual([{ node: A, quotes: even(B) }]);
});

test('a rate is known where both ends are: what a credit is worth there, less what it was worth where it left', () => {
  const book = new QuoteBook(A);
  const own = [
    { peer: B, low: 0.5, high: 1 },
    { peer: C, low: 0, high: 0 },
  ];
  book.take([{ node: B, quotes: [{ peer: A, low: 2, high: 3 }, ...even(C)] }], 0);
  const sight = book.sight(own, 0);
  const kept = Math.log2(0.99);
  const [b] = [sight.ids.indexOf(B)];
  expect(sight.log2(0, b)).toBeCloseTo(2 - 1 + kept, 12);
  expect(sight.log2(b, 0)).toBeCloseTo(0.5 - 3 + kept, 12);
  expect(sight.neighbours(0)).toEqual([b]);
  // C has said nothing, and B's word for what C thinks is none.
  expect(sight.ids).toEqual([A, B]);
  expect(sight.own(C, B)).toBe(-1);
  expect(book.sight(own, 0, new Set([`${A} ${B}`])).neighbours(0)).toEqual([]);
});

test('two links far: what a neighbour has heard counts until its node says something itself, and is not told on', () => {
  const book = new QuoteBook(A);
  book.take(
    [
      { node: B, quotes: even(A, C) },
      { node: C, quotes: [{ peer: B, low: 1, high: 1 }] },
      { node: A, quotes: even(B) },
    ],
    0,
  );
  expect(book.sight(even(B), 0).ids).toEqual([A, B, C]);
  expect(book.tell(even(B), 0).map(({ node }) => node)).toEqual([A, B]);
  book.take([{ node: C, quotes: even(B, D) }], 1);
  book.take(
    [
      { node: B, quotes: even(A, C) },
      { node: C, quotes: [{ peer: B, low: 9, high: 9 }] },
    ],
    2,
  );
  const sight = book.sight(even(B, C), 2);
  expect(sight.log2(sight.ids.indexOf(B), sight.ids.indexOf(C))).toBeCloseTo(Math.log2(0.99), 12);
  expect(
    book
      .tell(even(B), 2)
      .map(({ node }) => node)
      .sort(),
  ).toEqual([A, B, C]);
  // It says nothing any more after a while.
  expect(book.sight(even(B, C), 3 + QUOTES_FRESH_MS).ids).toEqual([A]);
});

test('who names many nodes takes a bounded place', () => {
  const book = new QuoteBook(A);
  for (let i = 0; i < 10; i++)
    book.take(
      [
        { node: B, quotes: [] },
        ...Array.from({ length: 500 }, (_, n) => ({ node: id(1000 * i + n + 10), quotes: [] })),
      ],
      i,
    );
  expect(book.sight([], 10).nodes).toBe(1025);
});
