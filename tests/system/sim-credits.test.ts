/** The figures of the credit system, as `wayfare sim credits --check` holds them on its three seeds. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { wayfare } from '../harness/cli.js';
import { temporaryFolder } from '../harness/folder.js';

const cleanup = new Cleanup();
let folder: string;

beforeAll(() => {
  folder = temporaryFolder(cleanup);
});
afterAll(() => cleanup.run());

test('every simulated figure is held on seeds 1, 2 and 3', { timeout: 400_000 }, async () => {
  const { code, stdout, stderr } = await wayfare(['sim', 'credits', '--check', '--json'], {
    folder,
    deadline_ms: 390_000,
  });
  const { seeds, held } = JSON.parse(stdout.toString());
  const scenarios = seeds.flatMap((one: { scenarios: unknown[] }) => one.scenarios);
  const figures = scenarios.flatMap((one: { figures: unknown[] }) => one.figures);
  expect(figures.filter((figure: { held: boolean }) => !figure.held)).toEqual([]);
  expect([seeds.map(({ seed }: { seed: number }) => seed), held, code, stderr]).toEqual([[1, 2, 3], true, 0, stderr]);
  expect(scenarios).toHaveLength(3 * 14);
});
