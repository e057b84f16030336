/**
 * Random operations on credits end in the same state natively and in WebAssembly, to the last bit: half a million, or as many as
 * WAYFARE_OPERATIONS says. That every unit is accounted for after each is the bindings' own suite and crates/credit/tests/operations.rs.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { operations } from '../testing/credit.js';
import { createNativeCredit } from './native-credit.js';
import { createWasmCredit } from './wasm.js';
import { initWasmInNode } from './wasm-node.js';

const ALL = Number(process.env.WAYFARE_OPERATIONS ?? 500_000);
const EACH = 100_000;
const quiet = () => {};

// Many calls are refused, and where it was thrown is most of what an error costs.
const usual = Error.stackTraceLimit;
beforeAll(async () => {
  await initWasmInNode();
  Error.stackTraceLimit = 0;
});
afterAll(() => {
  Error.stackTraceLimit = usual;
});

test(`${ALL} operations`, { timeout: 60_000 + ALL / 10 }, () => {
  expect(ALL).toBeGreaterThan(0);
  for (let seed = 1; seed <= Math.ceil(ALL / EACH); seed++)
    expect(operations(createWasmCredit, seed, EACH, quiet), `of seed ${seed}`).toBe(
      operations(createNativeCredit, seed, EACH, quiet),
    );
});

test('other operations end in another state', () => {
  expect(operations(createWasmCredit, 4, 1000, quiet)).not.toBe(operations(createWasmCredit, 5, 1000, quiet));
});
