/** Scenarios, one after the other, on one seed. */
import { chart, type Panel } from '../base/chart.js';
import type { Figure } from '../base/figure.js';
import type { CreateCredit } from '../core/credit.js';
import type { Found, Scenario } from './scenario.js';
import { SCENARIOS } from './scenarios.js';

export interface CreditsOptions {
  seed: number;
  nodes: number;
  /** By name; all where left out. */
  scenarios?: readonly string[];
}

export type Progress = (run: string, part: number) => void;

export interface ScenarioFound extends Found {
  name: string;
  title: string;
  held: boolean;
}

export interface SeedFound {
  seed: number;
  scenarios: ScenarioFound[];
}

const chosen = (names: readonly string[] | undefined): readonly Scenario[] =>
  names === undefined ? SCENARIOS : SCENARIOS.filter(({ name }) => names.includes(name));

export function simulateCredits(
  create: CreateCredit,
  { seed, nodes, scenarios }: CreditsOptions,
  progress: Progress = () => {},
): SeedFound {
  return {
    seed,
    scenarios: chosen(scenarios).map(({ name, title, run }) => {
      const found = run({ create, seed, nodes, progress: (part) => progress(`seed ${seed}, ${name}`, part) });
      return { name, title, ...found, held: found.figures.every((one) => one.held) };
    }),
  };
}

export interface CreditsChecked {
  seeds: SeedFound[];
  held: boolean;
}

export function checkCredits(
  create: CreateCredit,
  seeds: readonly number[],
  options: Omit<CreditsOptions, 'seed'>,
  progress?: Progress,
): CreditsChecked {
  const found = seeds.map((seed) => simulateCredits(create, { ...options, seed }, progress));
  return { seeds: found, held: found.every(({ scenarios }) => scenarios.every(({ held }) => held)) };
}

/** Every scenario's curves. */
export function creditsPlot({ scenarios }: SeedFound): string {
  return chart(
    scenarios.flatMap(({ name, panels }): Panel[] =>
      panels.map((panel) => ({ ...panel, title: `${name}: ${panel.title}` })),
    ),
  );
}

export const figuresOf = ({ seeds }: CreditsChecked): Figure[] =>
  seeds.flatMap(({ scenarios }) => scenarios.flatMap(({ figures }) => figures));
