/** The binding in WebAssembly under Node: the suites of all bindings, and that it is the same code. */
import { expect, test } from 'vitest';
import { preferredSuite } from '../../bindings/wasm/pkg/wayfare.js';
import type { CreateEngine, EngineBinding } from '../core/engine.js';
import { coreSuite } from '../testing/core.js';
import { creditSuite } from '../testing/credit.js';
import { egressSuite, transcript } from '../testing/egress.js';
import { engineSuite } from '../testing/engine.js';
import { engineNetwork } from '../testing/engines.js';
import { VECTORS } from '../testing/vectors.js';
import { nativeCore } from './native.js';
import { createNativeEgress } from './native-egress.js';
import { createNativeEngine } from './native-engine.js';
import { createWasmCredit, createWasmEgress, createWasmEngine, wasmCore } from './wasm.js';
import { initWasmInNode } from './wasm-node.js';

await initWasmInNode();
coreSuite('in WebAssembly', wasmCore(), VECTORS);
engineSuite('in WebAssembly', createWasmEngine, wasmCore());
egressSuite('in WebAssembly', createWasmEgress);
creditSuite('in WebAssembly', createWasmCredit);

test('the same calls give the same exits as natively', () => {
  expect(transcript(createWasmEgress, 7)).toEqual(transcript(createNativeEgress, 7));
  expect(transcript(createWasmEgress, 8)).not.toEqual(transcript(createNativeEgress, 7));
});

test('circuits get ChaCha20-Poly1305, since there is no AES hardware to be had', () => {
  expect(preferredSuite()).toBe('chacha20poly1305');
});

test('it says what the native one says, and the two understand each other', () => {
  expect(wasmCore().version()).toBe(nativeCore().version());
  expect(wasmCore().reasons()).toEqual(nativeCore().reasons());
  let made = 0;
  const byTurns: CreateEngine = (...args) => (made++ % 2 === 0 ? createWasmEngine : createNativeEngine)(...args);
  const n = engineNetwork(byTurns, nativeCore(), 3);
  try {
    n.link(1, 0, 1);
    n.link(2, 1, 2);
    for (const node of [0, 1, 2]) n.wait(node, 'link_up');
    const client = n.nodes[0] as EngineBinding;
    client.connectionOpen(n.now_us, openCircuit(client));
    n.wait(0, 'connection_up');
  } finally {
    n.close();
  }
  function openCircuit(client: EngineBinding): number {
    client.circuitOpen(n.now_us, n.hops(1, 2), 'M', '', 0);
    return n.wait(0, 'circuit_up').circuit;
  }
});
