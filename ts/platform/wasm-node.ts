/** The binding in WebAssembly under Node, which reads it from its file. */
import { readFile } from 'node:fs/promises';
import { initWasm } from './wasm.js';

export const WASM_FILE = new URL('../../bindings/wasm/pkg/wayfare_bg.wasm', import.meta.url);

/** See `initWasm`. */
export function initWasmInNode(): Promise<void> {
  return initWasm(readFile(WASM_FILE));
}
