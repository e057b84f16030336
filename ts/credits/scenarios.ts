/** Every scenario, in the order in which they are told. */
import type { Scenario } from './scenario.js';
import { always } from './scenarios/always.js';
import { boost } from './scenarios/boost.js';
import { circles } from './scenarios/circles.js';
import { convergence } from './scenarios/convergence.js';
import { fakes } from './scenarios/fakes.js';
import { flooded } from './scenarios/flood.js';
import { liar } from './scenarios/liar.js';
import { positions } from './scenarios/positions.js';
import { routes } from './scenarios/routes.js';
import { serverPays } from './scenarios/server-pays.js';
import { service } from './scenarios/service.js';
import { split } from './scenarios/split.js';
import { stubs } from './scenarios/stubs.js';
import { wireless } from './scenarios/wireless.js';

export const SCENARIOS: readonly Scenario[] = [
  convergence,
  fakes,
  stubs,
  liar,
  service,
  boost,
  circles,
  routes,
  flooded,
  serverPays,
  always,
  wireless,
  positions,
  split,
];

export const SCENARIO_NAMES = SCENARIOS.map(({ name }) => name);
