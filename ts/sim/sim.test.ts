/** Whole networks on virtual time: what must hold in each of 200 runs, and that a run can be repeated. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { nativeCore } from '../platform/native.js';
import { createNativeEgress } from '../platform/native-egress.js';
import { createNativeEngine } from '../platform/native-engine.js';
import { runSeed, type SeedResult } from './run.js';

const SEEDS = 200;
const REPEATED = 5;
const WORKERS = 2;

test(`${SEEDS} seeds: nothing altered, doubled, stuck, leaked or dropped without a reason; the same again`, async () => {
  const shares = Array.from({ length: WORKERS }, (_, i) => soak(1 + i, SEEDS / WORKERS, WORKERS));
  const results = (await Promise.all(shares)).flat().sort((a, b) => a.seed - b.seed);
  expect(results.map((result) => result.seed)).toEqual(Array.from({ length: SEEDS }, (_, i) => i + 1));
  const failed = results.filter((result) => result.failures.length > 0);
  const told = failed.map(({ seed, failures }) => `npm run soak -- --seed ${seed}: ${failures.join('; ')}`);
  expect(told).toEqual([]);

  // The runs are worth something: streams got through, others broke, and the network did its worst.
  const sum = (of: (result: SeedResult) => number) => results.reduce((total, result) => total + of(result), 0);
  expect(sum((r) => r.outcomes.done ?? 0)).toBeGreaterThan(2 * SEEDS);
  for (const what of ['lost', 'blocked', 'duplicated'] as const)
    expect(sum((r) => r.datagrams[what])).toBeGreaterThan(SEEDS);
  expect(sum((r) => r.drops.packet_replayed ?? 0)).toBeGreaterThan(SEEDS / 2);

  // Another process, after other seeds: the same to the microsecond.
  expect(new Set(results.map((result) => result.hash)).size).toBe(SEEDS);
  for (const { seed, hash } of results.slice(0, REPEATED).reverse()) {
    const again = await runSeed(seed, {
      core: nativeCore(),
      createEngine: createNativeEngine,
      createEgress: createNativeEgress,
    });
    expect(`seed ${seed}: ${again.hash}`).toBe(`seed ${seed}: ${hash}`);
  }
}, 600_000);

/** Seeds in a process of their own, as `npm run soak` runs them. */
async function soak(from: number, count: number, step: number): Promise<SeedResult[]> {
  const script = fileURLToPath(new URL('soak.ts', import.meta.url));
  const args = ['--import', 'tsx', script, from, count, step].map(String);
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk) => {
    text += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect(code).toBe(0);
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}
