/** The binding in WebAssembly before it is loaded: in a file of its own, since it is loaded once for all. */
import { expect, test } from 'vitest';
import { createWasmEngine, initWasm, wasmCore } from './wasm.js';
import { initWasmInNode } from './wasm-node.js';

test('everything says that it is not loaded, with what to do, until it is; a failed attempt can be repeated', async () => {
  const notReady = expect.objectContaining({ code: 'wasm_not_ready', hint: 'await initWasm() first' });
  const seed = new Uint8Array(32);
  const options = { roles: { client: true, relay: false, exit: false }, freshKeys: true };
  const use = () => {
    expect(() => wasmCore()).toThrow(notReady);
    expect(() => createWasmEngine(options, seed, seed, 0, 0)).toThrow(notReady);
  };
  use();
  await expect(initWasm(new Uint8Array([0, 97, 115, 109, 9]))).rejects.toMatchObject({
    code: 'wasm_missing',
    hint: expect.stringContaining('npm run build -- --wasm'),
  });
  use();
  await Promise.all([initWasmInNode(), initWasmInNode()]);
  expect(wasmCore().identityPublic(seed)).toHaveLength(32);
});
