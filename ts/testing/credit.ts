/** What every binding's credits must do: the same suite natively and in WebAssembly. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { WayfareError } from '../base/errors.js';
import {
  CREDIT_ANNOUNCE,
  CREDIT_BACKWARD,
  CREDIT_BOOKS,
  CREDIT_CHANGE,
  CREDIT_CONNECTION,
  CREDIT_DROP,
  CREDIT_FORWARD,
  CREDIT_NEIGHBOUR,
  CREDIT_REFUSED_FULL,
  CREDIT_REFUSED_RENT,
  CREDIT_SELF,
  type CreateCredit,
  type CreditBinding,
  CreditBooks,
  CreditChange,
  CreditConnection,
  CreditFlow,
  CreditNeighbour,
  type CreditStats,
  creditRate,
} from '../core/credit.js';
import { words } from './seeded.js';

const S = 1_000_000;
const SEED = new Uint8Array(32).fill(1);
const RICH = Float64Array.of(2 ** 45, 2 ** 45);
const STRANGER = new Float64Array();
const STEPS_US = [1, 1000, S / 2, S, S, 10 * S, -S, 100 * S];

type Named<T extends Record<string, number>> = { [K in keyof T]: number };

function named<T extends Record<string, number>>(layout: T, numbers: Float64Array, from = 0): Named<T> {
  return Object.fromEntries(
    Object.entries(layout).map(([name, place]) => [name, numbers[from + place]]),
  ) as unknown as Named<T>;
}

export function neighbourRow(credit: CreditBinding, now_us: number, neighbour: number) {
  const out = new Float64Array(CREDIT_NEIGHBOUR);
  credit.neighbour(now_us, neighbour, out);
  return named(CreditNeighbour, out);
}

export function connectionRow(credit: CreditBinding, connection: number) {
  const out = new Float64Array(CREDIT_CONNECTION);
  credit.connection(connection, out);
  const flow = (from: number) => named(CreditFlow, out, from);
  return {
    ...named(CreditConnection, out),
    forward: flow(CreditConnection.forward),
    backward: flow(CreditConnection.backward),
  };
}

export function bookRow(credit: CreditBinding, now_us: number) {
  const out = new Float64Array(CREDIT_BOOKS);
  credit.books(now_us, out);
  return named(CreditBooks, out);
}

function changes(credit: CreditBinding) {
  const out = new Float64Array(8 * CREDIT_CHANGE);
  const all: Named<typeof CreditChange>[] = [];
  for (;;) {
    const count = credit.changes(out);
    for (let i = 0; i < count; i++) all.push(named(CreditChange, out, i * CREDIT_CHANGE));
    if (count === 0) return all;
  }
}

/** Every unit is accounted for, as far as numbers are exact. */
function audit(credit: CreditBinding, now_us: number): void {
  const books = bookRow(credit, now_us);
  const { opening, minted, decayed, spent, earned } = books;
  expect(books.account + books.burned).toBe(opening + minted - decayed - spent + earned);
  expect(books.mirror + books.mirrorBurned).toBe(
    books.mirrorOpening + books.mirrorMinted - books.mirrorDecayed - books.mirrorSpent + books.mirrorEarned,
  );
  expect(books.paid + books.own).toBe(books.rent + books.always + books.load + books.home + books.rest);
  expect(books.rest + books.valuedUp - books.valuedDown).toBe(books.passed + books.carry + books.kept);
}

/** So many operations from a seed, each followed by `each`; the state they end in. */
export function operations(create: CreateCredit, seed: number, count: number, each = audit): string {
  const credit = create({ capacity: 24, neighbours: 8, halfLife_us: 30 * S }, SEED, 0);
  const word = words(seed);
  const fraction = () => word() / 2 ** 32;
  const upTo = (most: number) => Math.floor(fraction() * most);
  const amount = () => Math.floor(2 ** upTo(40) * (1 + fraction()));
  const out = new Float64Array(8 * CREDIT_CHANGE);
  let now_us = 0;
  const calls: (() => unknown)[] = [
    () => credit.neighbourAdd(now_us, Float64Array.of(amount(), amount(), amount(), 4 * fraction() - 2, upTo(200_000))),
    () => credit.neighbourRemove(now_us, upTo(8)),
    () => credit.neighbourExpect(now_us, upTo(8), upTo(200_000)),
    () => credit.spend(now_us, upTo(8), amount()),
    () => credit.earn(now_us, upTo(8), amount()),
    () => credit.connectionOpen(now_us, upTo(9) - 1, upTo(9) - 1, upTo(10)),
    () => credit.connectionOpen(now_us, upTo(9) - 1, upTo(9) - 1, upTo(10)),
    () => credit.connectionAnnounced(now_us, upTo(24), upTo(2), upTo(10)),
    () => credit.connectionOwn(now_us, upTo(24), upTo(9)),
    () => credit.connectionKeep(now_us, upTo(24)),
    () => credit.connectionClose(now_us, upTo(24)),
    () => credit.charge(upTo(24), upTo(2), amount(), amount()),
    () => credit.charge(upTo(24), upTo(2), upTo(1e5), upTo(1e6)),
    () => credit.settle(now_us),
    () => credit.settle(now_us),
    () => credit.changes(out),
    () => credit.configure(now_us, JSON.stringify({ free: upTo(4) === 0, rule: upTo(2) ? 'equal' : 'contributed' })),
  ];
  for (let i = 0; i < count; i++) {
    now_us = Math.max(0, now_us + (STEPS_US[upTo(8)] as number) * fraction());
    try {
      calls[upTo(calls.length)]?.();
    } catch (error) {
      if (!(error instanceof WayfareError)) throw error;
    }
    each(credit, now_us);
  }
  const digest = credit.digest();
  credit.close();
  return digest;
}

export function creditSuite(name: string, create: CreateCredit): void {
  const made: CreditBinding[] = [];
  const make = (...[options]: Parameters<CreateCredit> | []) => {
    const credit = create(options ?? {}, SEED, 0);
    made.push(credit);
    return credit;
  };
  afterEach(() => {
    for (const credit of made.splice(0)) credit.close();
  });

  describe(`credits, ${name}`, () => {
    test('balances come to increase over decay, and what is spent here may be spent there', () => {
      const credit = make({ rule: 'equal', increase: 1000, halfLife_us: 10 * S }, SEED, 0);
      const [a, b] = [credit.neighbourAdd(0, STRANGER), credit.neighbourAdd(0, Float64Array.of(2 ** 40))];
      const limit = (500 * 10) / Math.LN2;
      for (const id of [a, b]) expect(Math.abs(credit.account(1000 * S, id) - limit)).toBeLessThanOrEqual(1);
      expect(credit.mirror(1000 * S, a)).toBe(0);
      expect(credit.spend(1000 * S, a, 2000)).toBe(2000);
      expect(credit.spend(1000 * S, a, 1e9)).toBe(credit.account(1000 * S, b) - 2000);
      expect([credit.account(1000 * S, a), credit.mirror(1000 * S, a)]).toEqual([0, credit.account(1000 * S, b)]);
      expect(credit.earn(1000 * S, a, 300)).toBe(300);
      expect(neighbourRow(credit, 1000 * S, a)).toMatchObject({
        account: 300,
        contributed: 300,
        earned: 300,
        increase: 500,
      });
      audit(credit, 2000 * S);
    });

    test('a flow is paid, charged and announced on; at its end it turns round', () => {
      const credit = make({ valuation: false }, SEED, 0);
      const [a, b] = [credit.neighbourAdd(0, RICH), credit.neighbourAdd(0, RICH)];
      const through = credit.connectionOpen(0, a, b, 5);
      const exit = credit.connectionOpen(0, a, CREDIT_SELF, 5);
      const own = credit.connectionOpen(0, CREDIT_SELF, b, 3);
      credit.connectionOwn(0, exit, 2);
      const announced = changes(credit).filter((change) => change.connection === own);
      expect(announced).toEqual([{ kind: CREDIT_ANNOUNCE, connection: own, direction: CREDIT_FORWARD, class: 3 }]);
      expect(connectionRow(credit, exit)).toMatchObject({ previous: a, next: CREDIT_SELF, own: 2 });
      credit.charge(through, CREDIT_FORWARD, 1000, 500);
      expect(credit.charges(Float64Array.of(through, 0, 50, 500, 99, 0, 1, 1, through, 0, Number.NaN, 1), 3)).toBe(1);
      for (let t = 1; t <= 100; t++) credit.settle(t * S);
      const { forward } = connectionRow(credit, through);
      expect(forward).toMatchObject({
        in: 5,
        paid: 100 * creditRate(5),
        always: creditRate(5),
        // It waited for next to none of the time: four times as much, in 1/255.
        load: Math.floor((1050 * 255) / 64),
        bytes: 1000,
      });
      expect(forward.rest).toBe(forward.paid - forward.always - forward.load);
      expect(Math.abs(forward.passed - forward.rest)).toBeLessThanOrEqual(9 * creditRate(6));
      expect(credit.weight(through, CREDIT_FORWARD)).toBe(forward.weight);
      const weights = new Uint32Array(6);
      expect(credit.weights(weights)).toBe(3);
      expect(weights[2 * through]).toBe(forward.weight);
      expect(connectionRow(credit, exit).backward.paid).toBe(99 * creditRate(5) + 100 * creditRate(2));
      expect(Math.abs(neighbourRow(credit, 100 * S, b).price - forward.load / 1000)).toBeLessThanOrEqual(1e-4);
      expect(credit.connectionAnnounced(100 * S, own, CREDIT_BACKWARD, 4)).toBe(true);
      credit.settle(110 * S);
      const books = bookRow(credit, 110 * S);
      expect(books).toMatchObject({ home: 10 * creditRate(4), own: 110 * (creditRate(3) + creditRate(2)) });
      audit(credit, 110 * S);
      const page = new Float64Array(2 * CREDIT_CONNECTION);
      const next = credit.connections(0, page);
      expect(next).toBe(2);
      expect(credit.connections(next, page)).toBe(0);
      expect([page[0], page[CREDIT_CONNECTION]]).toEqual([own, -1]);
      const pair = new Float64Array(2 * CREDIT_NEIGHBOUR);
      expect(credit.neighbours(110 * S, 0, pair)).toBe(0);
      expect([pair[0], pair[CREDIT_NEIGHBOUR]]).toEqual([a, b]);
    });

    test('a table that fills up asks for rent, refuses, and drops who owes', () => {
      const credit = make({ capacity: 32, rent: 1000 }, SEED, 0);
      const [rich, poor] = [credit.neighbourAdd(0, RICH), credit.neighbourAdd(0, STRANGER)];
      const open = (payer: number, announced: number) => credit.connectionOpen(0, payer, rich, announced);
      for (let i = 0; i < 16; i++) expect(open(poor, 0)).toBe(i);
      expect(open(poor, 1)).toBe(CREDIT_REFUSED_RENT);
      const debtor = open(rich, 1);
      for (let i = 17; i < 32; i++) expect(open(rich, 8)).toBe(i);
      expect(open(rich, 8)).toBe(CREDIT_REFUSED_FULL);
      expect(credit.connectionAnnounced(0, debtor, CREDIT_FORWARD, 0)).toBe(true);
      changes(credit);
      expect(credit.settle(S)).toBeGreaterThan(0);
      expect(changes(credit).filter((change) => change.kind === CREDIT_DROP)).toMatchObject([{ connection: debtor }]);
      const stats: CreditStats = JSON.parse(credit.stats());
      expect(stats).toMatchObject({ connections: 31, refusedRent: 1, refusedFull: 1, dropped: 1, fill: 31 / 32 });
      audit(credit, S);
    });

    test('what others say wrongly is counted, and moves nothing', () => {
      const credit = make();
      const [a, b] = [credit.neighbourAdd(0, RICH), credit.neighbourAdd(0, RICH)];
      const id = credit.connectionOpen(0, a, b, 1);
      const calm = make();
      calm.connectionOpen(0, calm.neighbourAdd(0, RICH), calm.neighbourAdd(0, RICH), 1);
      const bad = [-1, 9, 0.5, Number.NaN, 2 ** 63, Number.POSITIVE_INFINITY];
      for (const number of bad) {
        expect(credit.connectionAnnounced(S, id, CREDIT_FORWARD, number)).toBe(false);
        credit.charge(id, CREDIT_FORWARD, number === 9 || number === 0.5 ? Number.NaN : number, 1);
      }
      expect(credit.connectionAnnounced(S, 77, CREDIT_FORWARD, 1)).toBe(false);
      for (const number of [-1, Number.NaN, 2 ** 63]) expect(credit.neighbourReport(S, a, number, 1)).toBe(false);
      for (const balance of [2 ** 53, 0, 7, 7]) expect(credit.neighbourReport(2 * S, a, balance, 5)).toBe(true);
      expect(neighbourRow(credit, 2 * S, a)).toMatchObject({ report: 7, reportIncrease: 5, reported_us: 2 * S });
      expect([credit.account(2 * S, a), credit.mirror(2 * S, a)]).toEqual([
        calm.account(2 * S, a),
        calm.mirror(2 * S, a),
      ]);
      const stats: CreditStats = JSON.parse(credit.stats());
      expect(stats).toMatchObject({ flowsMalformed: 6, flowsUnknown: 1, chargesMalformed: 6, reportsMalformed: 3 });
      credit.account(0, a);
      expect(JSON.parse(credit.stats()).clockFell).toBe(1);
      audit(credit, 2 ** 53 - 1);
    });

    test('every unit is accounted for after every operation', () => {
      operations(create, 3, 3000);
    });

    test('with bad values and after the end it says so', () => {
      const credit = make({ neighbours: 1 }, SEED, 0);
      const a = credit.neighbourAdd(0, STRANGER);
      expect(() => credit.neighbourAdd(0, STRANGER)).toThrow(expect.objectContaining({ code: 'credit_full' }));
      const bad = expect.objectContaining({ code: 'argument_invalid' });
      for (const call of [
        () => credit.account(-1, a),
        () => credit.account(0, 1),
        () => credit.account(0, 0.5),
        () => credit.spend(0, a, -1),
        () => credit.spend(0, a, Number.NaN),
        () => credit.neighbourExpect(0, a, 2 ** 50),
        () => credit.neighbourAdd(0, Float64Array.of(-1)),
        () => credit.neighbourAdd(0, Float64Array.of(0, 0, 0, Number.NaN)),
        () => credit.connectionOpen(0, CREDIT_SELF, CREDIT_SELF, 1),
        () => credit.connectionOpen(0, a, 5, 1),
        () => credit.connectionOpen(0, a, CREDIT_SELF, 9),
        () => credit.connectionClose(0, 0),
        () => credit.neighbour(0, a, new Float64Array(CREDIT_NEIGHBOUR - 1)),
        () => credit.configure(0, '{"alwaysShare":1.5}'),
        () => credit.configure(0, '{"rule":"none"}'),
        () => credit.configure(0, '{"capacity":5}'),
        () => create({ increase: 2 ** 41 }, SEED, 0),
        () => create({ halfLife_us: 10 }, SEED, 0),
        () => create({ capacity: 1 }, SEED, 0),
        () => create({}, new Uint8Array(31), 0),
      ])
        expect(call).toThrow(bad);
      credit.close();
      credit.close();
      expect(() => credit.stats()).toThrow(expect.objectContaining({ code: 'closed' }));
    });

    test('whatever is passed gives a result or an error of ours', () => {
      const credit = make({ capacity: 8, neighbours: 4 }, SEED, 0);
      const names = Object.keys(credit).filter((call) => call !== 'close');
      const value = fc.oneof(
        { weight: 6, arbitrary: fc.nat(9) },
        fc.double(),
        fc.constantFrom<unknown>('', '{}', -1, true, undefined, null, 2 ** 53, 2 ** 63),
        fc.nat(9).map((length) => new Uint32Array(length)),
        fc.array(fc.oneof(fc.nat(9), fc.double()), { maxLength: 40 }).map((all) => Float64Array.from(all)),
      );
      fc.assert(
        fc.property(fc.constantFrom(...names), fc.array(value, { maxLength: 5 }), (call, values) => {
          try {
            (credit as unknown as Record<string, (...all: unknown[]) => unknown>)[call]?.(...values);
          } catch (error) {
            expect(error).toBeInstanceOf(WayfareError);
            expect((error as WayfareError).code).toMatch(/^(argument_invalid|credit_full)$/);
          }
        }),
        { numRuns: 5000, seed: 7 },
      );
    });
  });
}
