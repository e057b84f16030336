/** The core in WebAssembly against the same code natively, and against assembly, by the same harness in one run. */
import { copyFile, mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { native } from '../ts/platform/native.js';
import { initWasmInNode } from '../ts/platform/wasm-node.js';
import { portableAddon } from './cargo.js';
import { compared, type Measurement } from './rows.js';

const ROUNDS = 5;
const REPEATS = 5;
const STEPS = 5_000_000;
const BATCH = 64;
const BATCHES = 100;
const PASSES = 2_000;
const CIRCUITS = 1_000;
const PAYLOAD_BYTES = 1_200;
const SUITE = 'chacha20poly1305';

type Kernels = Pick<ReturnType<typeof native>, 'arithmetic' | 'PeelBench'>;

/** The best of a few: what else the machine does only ever adds. */
function fastest_us(run: () => void): number {
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < REPEATS; i++) {
    const start = process.hrtime.bigint();
    run();
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1e3);
  }
  return best;
}

function measure({ arithmetic, PeelBench }: Kernels) {
  const bench = new PeelBench(CIRCUITS, PAYLOAD_BYTES, SUITE);
  const { stride } = bench;
  const results = new Uint32Array(BATCH);
  // A window takes a packet once, so each batch is new, and made before the clock runs.
  const fresh = Array.from({ length: REPEATS * BATCHES }, () => bench.packets(BATCH));
  const batch = fresh[0] as Uint8Array;
  let next = 0;
  let good = 0;
  const figures = {
    arithmetic_us: fastest_us(() => arithmetic(STEPS)),
    peel_us: fastest_us(() => {
      for (let i = 0; i < BATCHES; i++) good += bench.peel(fresh[next++] as Uint8Array, stride, results);
    }),
    pass_us: fastest_us(() => {
      for (let i = 0; i < PASSES; i++) bench.pass(batch, stride, results);
    }),
  };
  if (good !== REPEATS * BATCHES * BATCH) throw new Error(`${good} packets were peeled`);
  (bench as { free?: () => void }).free?.();
  const pass_us = figures.pass_us / PASSES;
  const batch_us = figures.peel_us / BATCHES;
  return { arithmetic_us: figures.arithmetic_us, peel_us: batch_us / BATCH, pass_us, work_us: batch_us - pass_us };
}

type Figures = ReturnType<typeof measure>;

/** The native binding with WebAssembly's ciphers. */
async function portable(): Promise<Kernels> {
  const folder = fileURLToPath(new URL('../.cache/bench/', import.meta.url));
  await mkdir(folder, { recursive: true });
  await copyFile(await portableAddon(), `${folder}portable.node`);
  return createRequire(import.meta.url)(`${folder}portable.node`) as Kernels;
}

export const wasm: Measurement = {
  name: 'wasm',
  title: 'the core in WebAssembly against the same code natively',
  async run() {
    await initWasmInNode();
    const bindings: Record<string, Kernels> = {
      assembly: native(),
      same: await portable(),
      wasm: await import('../bindings/wasm/pkg/wayfare.js'),
    };
    const rounds: Record<string, Figures[]> = {};
    for (let round = 0; round < ROUNDS; round++)
      for (const [name, kernels] of Object.entries(bindings)) {
        rounds[name] ??= [];
        rounds[name].push(measure(kernels));
      }
    const of = (name: string, figure: keyof Figures) => (rounds[name] ?? []).map((figures) => figures[figure]);
    const rows = [
      compared('wasm_arithmetic', 'µs', of('wasm', 'arithmetic_us'), of('same', 'arithmetic_us')),
      compared('wasm_peel_same_code', 'µs', of('wasm', 'peel_us'), of('same', 'peel_us')),
      compared('wasm_peel_assembly', 'µs', of('wasm', 'peel_us'), of('assembly', 'peel_us')),
      compared('wasm_crossing_64', 'µs', of('wasm', 'pass_us'), of('wasm', 'work_us')),
    ];
    return { rows, rounds };
  },
};
