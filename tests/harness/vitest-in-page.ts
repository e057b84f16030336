/**
 * What the suites of ts/testing use of vitest, for a page, where vitest does not run: tests are collected, then run in order.
 * Comparisons are strict; whatever is asked for that is not here fails at once.
 */

type Body = () => unknown;
interface Collected {
  name: string;
  body: Body;
}

const collected: Collected[] = [];
const after: Body[] = [];
const titles: string[] = [];

export function describe(title: string, body: Body): void {
  titles.push(title);
  body();
  titles.pop();
}

/** Options are vitest's own: a page's tests end with the one that opened the page. */
export function test(title: string, ...rest: [body: Body] | [options: object, body: Body]): void {
  collected.push({ name: [...titles, title].join(' > '), body: rest.at(-1) as Body });
}

export { test as it };

export function afterEach(body: Body): void {
  after.push(body);
}

class Containing {
  readonly wanted: Record<string, unknown>;
  constructor(wanted: Record<string, unknown>) {
    this.wanted = wanted;
  }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

function same(actual: unknown, wanted: unknown, partly = false): boolean {
  if (wanted instanceof Containing) return isObject(actual) && same(actual, wanted.wanted, true);
  if (!isObject(wanted) || !isObject(actual)) return Object.is(actual, wanted);
  if (Array.isArray(wanted) !== Array.isArray(actual)) return false;
  const keys = Object.keys(wanted);
  if (!partly && keys.length !== Object.keys(actual).length) return false;
  return keys.every((key) => key in actual && same(actual[key], wanted[key], partly));
}

const shown = (value: unknown) => {
  if (value instanceof Error) return `${value.name} ${(value as { code?: string }).code ?? ''}: ${value.message}`;
  return isObject(value) ? (JSON.stringify(value)?.slice(0, 500) ?? String(value)) : String(value);
};

function thrown(actual: unknown): { error: unknown } | undefined {
  try {
    (actual as Body)();
    return undefined;
  } catch (error) {
    return { error };
  }
}

const MATCHERS = {
  toBe: Object.is,
  toEqual: (actual: unknown, wanted: unknown) => same(actual, wanted),
  toMatchObject: (actual: unknown, wanted: unknown) => same(actual, wanted, true),
  toBeGreaterThan: (actual: unknown, wanted: number) => (actual as number) > wanted,
  toBeLessThanOrEqual: (actual: unknown, wanted: number) => (actual as number) <= wanted,
  toHaveLength: (actual: unknown, wanted: number) => (actual as { length: number }).length === wanted,
  toMatch: (actual: unknown, wanted: RegExp) => wanted.test(String(actual)),
  toBeInstanceOf: (actual: unknown, wanted: new () => unknown) => actual instanceof wanted,
  toContain: (actual: unknown, wanted: unknown) => [...(actual as Iterable<unknown>)].includes(wanted),
  toThrow(actual: unknown, wanted: unknown) {
    const caught = thrown(actual);
    if (caught === undefined) return false;
    if (wanted === undefined) return true;
    return wanted instanceof RegExp ? wanted.test((caught.error as Error).message) : same(caught.error, wanted, true);
  },
} satisfies Record<string, (actual: unknown, wanted: never) => boolean>;

function matchers(actual: unknown, message = '') {
  const calls: Record<string, (wanted?: unknown) => void> = {};
  for (const [name, holds] of Object.entries(MATCHERS))
    calls[name] = (wanted) => {
      if ((holds as (a: unknown, w: unknown) => boolean)(actual, wanted)) return;
      const got = name === 'toThrow' ? (thrown(actual)?.error ?? 'nothing thrown') : actual;
      throw new Error(`${message} ${name}: got ${shown(got)}, wanted ${shown(wanted)}`);
    };
  return calls;
}

/** Of a promise that must be rejected: the matchers, of what it was rejected with. */
function rejects(actual: unknown) {
  const calls: Record<string, (wanted?: unknown) => Promise<void>> = {};
  for (const name of Object.keys(MATCHERS))
    calls[name] = async (wanted) => {
      const error = await (actual as Promise<unknown>).then(
        (value) => {
          throw new Error(`resolved with ${shown(value)}, wanted a rejection`);
        },
        (caught: unknown) => caught,
      );
      const thrower = () => {
        throw error;
      };
      matchers(name === 'toThrow' ? thrower : error)[name]?.(wanted);
    };
  return calls;
}

const expecting = (actual: unknown, message?: string) =>
  Object.defineProperty(matchers(actual, message), 'rejects', { get: () => rejects(actual) });

export const expect = Object.assign(expecting, {
  objectContaining: (wanted: Record<string, unknown>) => new Containing(wanted),
});

export interface PageResult {
  passed: string[];
  failed: { name: string; error: string }[];
}

/** Runs what was collected. */
export async function runCollected(): Promise<PageResult> {
  const result: PageResult = { passed: [], failed: [] };
  for (const { name, body } of collected) {
    const began_ms = performance.now();
    try {
      await body();
      result.passed.push(name);
    } catch (error) {
      result.failed.push({ name, error: shown(error) });
    } finally {
      for (const tidy of after) tidy();
      // How far a page that hangs has come.
      console.log(`${name} ${Math.round(performance.now() - began_ms)} ms`);
    }
  }
  return result;
}
