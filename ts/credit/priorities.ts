/**
 * The owner's priorities: how many credits per second the flows of which application announce. Rules are tried in order, the
 * first that fits decides; a flow that none fits gets the default.
 */
import { isPriority, PRIORITY } from '../base/config/priority.js';
import { UsageError } from '../base/errors.js';
import { CREDIT_CLASSES, creditRate } from '../core/credit.js';

/** What is known of a flow when its circuit is chosen. */
export interface FlowAsked {
  /** `socks`, `http`, `dial`. */
  inlet: string;
  user?: string | undefined;
  host: string;
  port: number;
}

type Fits = (flow: FlowAsked) => boolean;

export interface PriorityRule {
  fits: Fits;
  class: number;
}

const HINT =
  'write "inlet socks = 4000", "user alice = 64000", "port 22 = 256000" or "host *.example.org = 1000", credits per second at the end';

/** The largest class whose rate is no more than this many credits per second; 0 is no announcement. */
export function classOf(rate: number): number {
  let found = 0;
  for (let c = 1; c < CREDIT_CLASSES && creditRate(c) <= rate; c++) found = c;
  return found;
}

/** A rule as it stands in a configuration. Throws `argument_invalid` and says how one is written. */
export function parsePriority(text: string): PriorityRule {
  if (!isPriority(text)) throw new UsageError('argument_invalid', `"${text}" is no priority`, { hint: HINT });
  const [, what = '', value = '', rate] = PRIORITY.exec(text.trim()) ?? [];
  return { fits: fitting(what, value), class: classOf(Number(rate)) };
}

function fitting(what: string, value: string): Fits {
  switch (what) {
    case 'inlet':
      return (flow) => flow.inlet === value;
    case 'user':
      return (flow) => flow.user === value;
    case 'port':
      return (flow) => flow.port === Number(value);
    default: {
      const name = value.toLowerCase();
      if (!name.startsWith('*.')) return (flow) => flow.host.toLowerCase() === name;
      const end = name.slice(1);
      return (flow) => flow.host.toLowerCase().endsWith(end);
    }
  }
}

export class Priorities {
  readonly #rules: readonly PriorityRule[];
  /** The class of flows that no rule fits. */
  readonly usual: number;

  /** `rate`: credits per second of flows that no rule fits. */
  constructor(rules: readonly string[], rate: number) {
    this.#rules = rules.map(parsePriority);
    this.usual = classOf(rate);
  }

  classFor(flow: FlowAsked): number {
    return this.#rules.find((rule) => rule.fits(flow))?.class ?? this.usual;
  }
}
