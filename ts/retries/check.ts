/** The figures that the choice of exits is held to, seed by seed. */
import { type Figure, figure } from '../base/figure.js';
import type { CreateEgress } from '../core/egress.js';
import { EGRESS_DEFAULTS } from '../egress/options.js';
import { type Compared, compare, type Progress } from './compare.js';
import type { RunFigures } from './counts.js';
import { type Liar, liar } from './liar.js';
import type { RunOptions } from './options.js';
import type { PolicyName } from './policies.js';
import { type ClosedForm, closedForms } from './validate.js';
import { type Vanished, vanished } from './vanish.js';

/** Within which a simulated closed form must lie. */
const CLOSED = 0.005;
const CONNECTIONS = 1_000_000;
const PLAIN = 'dual-buckets';
const RACE = 'dual-buckets-race';

export interface Checked {
  closed: Figure[];
  seeds: { seed: number; figures: Figure[]; compared: Compared; vanished: Vanished[]; liars: Liar[] }[];
  connections: number;
  held: boolean;
}

function ofClosed(forms: ClosedForm[][]): Figure[] {
  return (forms[0] ?? []).map(({ name, exits, bad, expected }, which) => {
    const runs = forms.map((of) => of[which] as ClosedForm);
    const connections = runs.reduce((sum, run) => sum + run.connections, 0);
    const tries = runs.reduce((sum, run) => sum + run.simulated * run.connections, 0) / connections;
    const note = `${connections} connections, N = ${exits}, B = ${bad}: ${tries.toFixed(4)} tries, expected ${expected.toFixed(4)}`;
    return figure(`${name}: off its closed form`, Math.abs(tries / expected - 1), { most: CLOSED }, note);
  });
}

function ofPolicies({ policies, oracle }: Compared): Figure[] {
  const uniform = policies['uniform-with'] as RunFigures;
  const plain = policies[PLAIN] as RunFigures;
  const race = policies[RACE] as RunFigures;
  const figures: Figure[] = [];
  for (const [name, run] of [
    [PLAIN, plain],
    [RACE, race],
  ] as const) {
    const warm = `${run.warm.retries.toFixed(4)} and ${uniform.warm.retries.toFixed(4)} a connection`;
    const all = `${run.all.retries.toFixed(4)} and ${uniform.all.retries.toFixed(4)}`;
    figures.push(
      figure(
        `${name}: retries where data came in K, × uniform`,
        run.warm.retries / uniform.warm.retries,
        { most: 0.1 },
        warm,
      ),
      figure(`${name}: retries over all, × uniform`, run.all.retries / uniform.all.retries, { most: 0.25 }, all),
      figure(
        `${name}: total time, × uniform`,
        run.all.time_ms / uniform.all.time_ms,
        { most: 0.6 },
        `${run.all.time_ms.toFixed(0)} and ${uniform.all.time_ms.toFixed(0)} ms`,
      ),
      figure(
        `${name}: entropy in K, × log2 of the window`,
        run.entropy.ratio,
        { least: 0.8 },
        `${run.entropy.slice.toFixed(2)} bits`,
      ),
      figure(`${name}: the same in the lowest slice`, run.entropy.ratioLeast, { least: 0.8 }),
      figure(
        `${name}: the window above N + (c / R) × S, at least`,
        run.window.overFloor,
        { least: 0 },
        `${run.window.least} to ${run.window.most} hops, N = ${EGRESS_DEFAULTS.window.baseline}`,
      ),
    );
  }
  // Both fail by the same chance; what is left is the error of two means.
  const error = Math.hypot(plain.first.retriesError, uniform.first.retriesError) / uniform.first.retries;
  const firsts = `${plain.first.retries.toFixed(3)} and ${uniform.first.retries.toFixed(3)}; 1 and three standard errors`;
  const wasted = `${race.first.retries.toFixed(4)} and ${uniform.first.retries.toFixed(3)}; wasted ${kb(race.first.wasted_bytes)} each, without a race ${kb(plain.first.wasted_bytes)}, uniform ${kb(uniform.first.wasted_bytes)}`;
  figures.push(
    figure(
      `${PLAIN}: retries of first connections, × uniform`,
      plain.first.retries / uniform.first.retries,
      { most: 1 + 3 * error },
      firsts,
    ),
    figure(
      `${RACE}: retries of first connections, × uniform`,
      race.first.retries / uniform.first.retries,
      { most: 0.1 },
      wasted,
    ),
    figure(
      `${RACE}: total time, × the oracle's`,
      race.all.time_ms / oracle.all.time_ms,
      { most: 1.2 },
      `${race.all.time_ms.toFixed(0)} and ${oracle.all.time_ms.toFixed(0)} ms, entropies ${race.entropy.ratio.toFixed(3)} and ${oracle.entropy.ratio.toFixed(3)}`,
    ),
  );
  return figures;
}

const kb = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;

function ofVanished({ policy, share, times, after, retries, attempts }: Vanished, k_s: number): Figure {
  const late = after.filter(({ from_s }) => from_s >= 2 * k_s);
  const curve = (of: 'retries' | 'attempts') => after.map((bin) => bin[of].toFixed(2)).join(' ');
  // A race leaves next to no retries, too few to compare: its attempts tell whether it is over.
  const of = policy === RACE ? 'attempts' : 'retries';
  const most = Math.max(...late.slice(0, 1).map((bin) => bin[of]));
  const before = of === 'retries' ? retries : attempts;
  return figure(
    `${policy}: ${of} 2 K after ${100 * share} % of exits vanished, × before`,
    most,
    { most: 1.5 },
    `${times} times; by K since: ${curve(of)} × ${before.toFixed(3)}`,
  );
}

function ofLiar({ kind, share, shareFirst, shareMost, even, byAll, bound }: Liar): Figure {
  const of = (part: number) => `${(100 * part).toFixed(2)} %`;
  return figure(
    `${RACE}: a ${kind} liar's part of draws by all data`,
    byAll,
    { most: bound },
    `limit: the bound on untried hops; of all tries ${of(share)}, ${of(shareMost)} in the worst second, ${of(shareFirst)} while warming; an even part is ${of(even)}`,
  );
}

export function check(
  createEgress: CreateEgress,
  seeds: readonly number[],
  optionsOf: (seed: number) => RunOptions,
  progress: Progress = () => {},
): Checked {
  const names: PolicyName[] = ['uniform-with', PLAIN, RACE];
  let connections = 0;
  const each = Math.ceil(CONNECTIONS / seeds.length);
  const forms = seeds.map((seed) =>
    closedForms(createEgress, seed, {
      connections: each,
      tick: (now_us) => progress('closed forms', now_us / (1000 * each)),
    }),
  );
  const checked = seeds.map((seed) => {
    const options = optionsOf(seed);
    const compared = compare(createEgress, options, names, (run, part) => progress(`seed ${seed}, ${run}`, part));
    for (const run of [...Object.values(compared.policies), compared.oracle]) connections += run.connections;
    const gone = ([PLAIN, RACE] as const).map((name) =>
      vanished(createEgress, options, name, { tick: (part) => progress(`seed ${seed}, exits vanish`, part) }),
    );
    const short = { ...options, counted_us: Math.min(options.counted_us, options.warm_us) };
    const liars = (['slow', 'silent'] as const).map((kind) => liar(createEgress, short, RACE, kind));
    const k_s = options.world.stall_us / 1e6;
    const figures = [...ofPolicies(compared), ...gone.map((one) => ofVanished(one, k_s)), ...liars.map(ofLiar)];
    return { seed, figures, compared, vanished: gone, liars };
  });
  const closed = ofClosed(forms);
  const held = [closed, ...checked.map(({ figures }) => figures)].flat().every((one) => one.held);
  return { closed, seeds: checked, connections, held };
}
