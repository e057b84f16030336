/** What a scenario is given and what it finds. */
import type { Panel } from '../base/chart.js';
import type { Figure } from '../base/figure.js';
import type { CreateCredit } from '../core/credit.js';

export interface Setting {
  create: CreateCredit;
  seed: number;
  /** How many nodes there are, or as many as the scenario's shape allows. */
  nodes: number;
  /** 0 to 1. */
  progress: (part: number) => void;
}

export interface Found {
  figures: Figure[];
  panels: Panel[];
  /** What was simulated in all: nodes with a kernel of their own, connections opened, virtual seconds. */
  nodes: number;
  connections: number;
  virtual_s: number;
}

export interface Scenario {
  name: string;
  /** One line. */
  title: string;
  run: (setting: Setting) => Found;
}

/** As nodes are configured by default (0011): credits per second, and microseconds. */
export const INCREASE = 1_000_000;
export const HALF_LIFE_US = 600_000_000;
/** Per second. */
export const DECAY = Math.LN2 / (HALF_LIFE_US / 1e6);
/** What all accounts of a node come to by themselves. */
export const AT_REST = INCREASE / DECAY;
export const S = 1_000_000;
export const HOUR_US = 3600 * S;
