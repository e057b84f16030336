/** Many neighbours of one node that want the same link of it. */
import { FREE, Network } from '../network.js';
import { HALF_LIFE_US, S, type Setting } from '../scenario.js';

const [V, SINK, FIRST] = [0, 1, 2];
export const CAPACITY = 100_000_000;
/** Enough that parts of a per mille are whole credits. */
const INCREASE = 2 ** 30;
/** We could spend as much there as we like. */
const PLENTY = 2 ** 52;
/** More than anybody is given who contributes; and who does not. */
const CLASS = 8;
const RIDERS = 3;
const STEP_US = 10 * S;
const WARM_US = 2 * HALF_LIFE_US;

export interface Crowd {
  /** What we spend a second at each neighbour: what it does for us. With these amounts all income is below the highest class. */
  contributed: readonly number[];
  /** Bytes per second that each asks for. */
  demand: number;
  counted_us: number;
}

/** Bytes per second that each had. */
export function served({ create, seed, progress }: Setting, crowd: Crowd): number[] {
  const { contributed, demand, counted_us } = crowd;
  const network = new Network({
    create,
    seed,
    nodes: FIRST + contributed.length,
    step_us: STEP_US,
    link: (from, to) => (from === V && to === SINK ? 0 : FREE),
    capacity: [CAPACITY],
    credit: (node) => (node === V ? { increase: INCREASE, capacity: 1_000_000 } : {}),
  });
  network.meet(V, SINK);
  contributed.forEach((amount, i) => {
    network.meet(V, FIRST + i, { mirror: PLENTY });
    network.open({ path: [FIRST + i, V, SINK], own: amount > 0 ? CLASS : RIDERS, demand, group: i });
  });
  const { credit } = network.node(V);
  const ids = contributed.map((_, i) => network.node(V).id(FIRST + i));
  while (network.now_us < WARM_US + counted_us) {
    for (let i = 0; i < ids.length; i++)
      if (contributed[i]) credit.earn(network.now_us, ids[i] as number, ((contributed[i] as number) * STEP_US) / S);
    network.step();
    if (network.now_us === WARM_US) network.moved = [];
    progress(network.now_us / (WARM_US + counted_us));
  }
  const { moved } = network;
  network.dispose();
  return contributed.map((_, i) => (moved[i] ?? 0) / (counted_us / S));
}

export const CROWD_S = (counted_us: number): number => (WARM_US + counted_us) / S;
