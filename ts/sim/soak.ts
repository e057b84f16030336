/**
 * Runs seeds one after the other, and prints a line of JSON for each: what `npm run soak` starts once per core.
 *
 * `soak.ts FROM COUNT STEP`; with `--trace` the trace of each goes to stderr.
 */
import { nativeCore } from '../platform/native.js';
import { createNativeEgress } from '../platform/native-egress.js';
import { createNativeEngine } from '../platform/native-engine.js';
import { runSeed } from './run.js';

const [from, count, step] = process.argv.slice(2, 5).map(Number) as [number, number, number];
const traced = process.argv.includes('--trace');
const parts = {
  core: nativeCore(),
  createEngine: createNativeEngine,
  createEgress: createNativeEgress,
  ...(traced && { sink: (line: string) => void process.stderr.write(line) }),
};
for (let i = 0; i < count; i++) {
  const began_ms = performance.now();
  const result = await runSeed(from + i * step, parts);
  const took_ms = Math.round(performance.now() - began_ms);
  process.stdout.write(`${JSON.stringify({ ...result, took_ms })}\n`);
}
