/** A million calls over either binding, with garbage collected and memory growing in between: nothing altered, nothing kept. */

import { readFile } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import * as web from '../../bindings/wasm/pkg/wayfare.js';
import { type CreateEngine, OUTPUT_HEADER_BYTES } from '../core/engine.js';
import { EVERY_ROLE } from '../testing/engines.js';
import { native } from './native.js';
import { createNativeEngine } from './native-engine.js';
import { createWasmEngine, initWasm } from './wasm.js';
import { WASM_FILE } from './wasm-node.js';

const CALLS = 1_000_000;
/** Calls of one turn below. */
const PER_TURN = 4;
const BATCH = 8;
const STRIDE = 100;
/** Some pages come and go; what stayed of 40 bytes a call would be more. */
const KEPT_BYTES_MAX = 32 << 20;

setFlagsFromString('--expose_gc');
const gc = runInNewContext('gc') as () => void;

function hammer(create: CreateEngine, bench: Pick<web.PeelBench, 'pass'>, grow: () => void): void {
  const seed = new Uint8Array(32).fill(1);
  const engine = create(EVERY_ROLE, seed, seed, 0, 0);
  const id = engine.id();
  const peer = 'ab'.repeat(32);
  const nobody = new Uint8Array();
  const results = new Uint32Array(BATCH);
  let buffer = new Uint8Array(20_000);
  let packets = new Uint8Array(BATCH * STRIDE);
  let mismatches = 0;
  const turns = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      if (i % 5_000 === 0) {
        // What was passed in before is the caller's: taken away, it is missed by nobody.
        for (const array of [buffer, packets]) structuredClone(array, { transfer: [array.buffer] });
        buffer = new Uint8Array(20_000);
        packets = new Uint8Array(BATCH * STRIDE);
        grow();
        gc();
      }
      packets[(i % BATCH) * STRIDE] = i;
      if (bench.pass(packets, STRIDE, results) !== BATCH || results[i % BATCH] !== (i & 255)) mismatches++;
      engine.linkStart(i, i, true, peer, '', nobody, 1200);
      const used = engine.outputs(i, buffer);
      engine.linkStop(i, i);
      const link = ((buffer[1] as number) << 24) | ((buffer[2] as number) << 16) | ((buffer[3] as number) << 8);
      const own = buffer[OUTPUT_HEADER_BYTES + 3] === Number.parseInt(id.slice(0, 2), 16);
      if (used !== OUTPUT_HEADER_BYTES + 67 || (link | (buffer[4] as number)) !== i || !own) mismatches++;
      buffer.fill(0, 0, used);
    }
  };
  const end = CALLS / PER_TURN;
  turns(0, end / 5);
  gc();
  const before = process.memoryUsage.rss();
  turns(end / 5, end);
  gc();
  const kept = process.memoryUsage.rss() - before;
  engine.close();
  expect(mismatches).toBe(0);
  expect(kept).toBeLessThan(KEPT_BYTES_MAX);
}

test('natively', () => {
  hammer(createNativeEngine, new (native().PeelBench)(1, STRIDE, 'aes128gcm'), () => {});
});

test('in WebAssembly, whose memory grows under every view of it', async () => {
  const bytes = await readFile(WASM_FILE);
  await initWasm(bytes);
  const { memory } = web.initSync({ module: bytes });
  const before = memory.buffer.byteLength;
  hammer(createWasmEngine, new web.PeelBench(1, STRIDE, 'aes128gcm'), () => memory.grow(1));
  expect(memory.buffer.byteLength - before).toBeGreaterThanOrEqual((CALLS / PER_TURN / 5_000) * 65_536);
});
