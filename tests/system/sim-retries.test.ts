/** The figures of the choice of exits, as `wayfare sim retries --check` holds them on its three seeds. */
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
  const { code, stdout, stderr } = await wayfare(['sim', 'retries', '--check', '--json'], {
    folder,
    deadline_ms: 390_000,
  });
  const { closed, seeds, held } = JSON.parse(stdout.toString());
  const figures = [...closed, ...seeds.flatMap((one: { figures: unknown[] }) => one.figures)];
  expect(figures.filter((figure) => !figure.held)).toEqual([]);
  expect([seeds.map(({ seed }: { seed: number }) => seed), held, code, stderr]).toEqual([[1, 2, 3], true, 0, stderr]);
  expect(figures.length).toBeGreaterThanOrEqual(2 + 3 * 15);
});
