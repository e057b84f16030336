/** The figures of the credit system, as `wayfare sim credits --check` holds them on its three seeds, with 1,000 nodes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SCENARIO_NAMES } from '../../ts/credits/scenarios.js';
import { Cleanup } from '../harness/cleanup.js';
import { wayfare } from '../harness/cli.js';
import { temporaryFolder } from '../harness/folder.js';

const cleanup = new Cleanup();
let folder: string;

beforeAll(() => {
  folder = temporaryFolder(cleanup);
});
afterAll(() => cleanup.run());

// Figures are simulated: that the seeds share the cores changes nothing of them.
test.concurrent.for([1, 2, 3])(
  'every simulated figure is held on seed %i, of the size that is asked for',
  { timeout: 900_000 },
  async (seed, { expect }) => {
    const { code, stdout, stderr } = await wayfare(['sim', 'credits', '--check', '--seed', `${seed}`, '--json'], {
      folder,
      deadline_ms: 890_000,
    });
    const { nodes, seeds, held } = JSON.parse(stdout.toString());
    expect(seeds.map((one: { seed: number }) => one.seed)).toEqual([seed]);
    const { scenarios } = seeds[0] as {
      scenarios: { name: string; figures: { held: boolean }[]; virtual_s: number }[];
    };
    expect(scenarios.map(({ name }) => name)).toEqual(SCENARIO_NAMES);
    const figures = scenarios.flatMap((scenario) => scenario.figures);
    expect(figures.filter((figure) => !figure.held)).toEqual([]);
    expect([held, code, stderr, nodes]).toEqual([true, 0, stderr, 1000]);
    expect(figures.length).toBeGreaterThanOrEqual(80);
  },
);

test('a figure that is missed is an exit code of its own', { timeout: 120_000 }, async () => {
  // Shares among so few neighbours are further off than those of many.
  const { code, stdout } = await wayfare(
    ['sim', 'credits', '--check', '--seed', '1', '--nodes', '100', '--scenario', 'service', '--json'],
    {
      folder,
      deadline_ms: 110_000,
    },
  );
  const { held } = JSON.parse(stdout.toString());
  expect([held, code]).toEqual([false, 1]);
});
