/** Runs in a page: the suites of all bindings on the core in WebAssembly. */
import { createWasmCredit, createWasmEngine, initWasm, wasmCore } from '../../ts/platform/wasm.js';
import { coreSuite } from '../../ts/testing/core.js';
import { creditSuite } from '../../ts/testing/credit.js';
import { engineSuite } from '../../ts/testing/engine.js';
import { type PageResult, runCollected } from './vitest-in-page.js';

async function suites(): Promise<PageResult> {
  const vectors = await (await fetch('vectors.json')).text();
  await initWasm('wayfare_bg.wasm');
  coreSuite('in a page', wasmCore(), vectors);
  creditSuite('in a page', createWasmCredit);
  engineSuite('in a page', createWasmEngine, wasmCore());
  return runCollected();
}

(globalThis as { suites?: Promise<PageResult> }).suites = suites();
