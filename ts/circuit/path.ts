/**
 * Which nodes a circuit passes: distinct, drawn uniformly, the last an exit.
 *
 * Invariant: every node that fits has the same chance. What failed lately is left out only while enough others fit, so that
 * whoever makes circuits fail cannot choose the path.
 */
import { type Descriptor, onionKeyAt } from '../base/directory.js';
import { NetworkError } from '../base/errors.js';
import type { Random } from '../base/ports.js';

export interface PathWishes {
  hops: number;
  /** This node, which is never on its own path. */
  self: string;
  now_s: number;
  /** The path must end here. */
  exit?: string;
  /** Left out while enough others fit. */
  avoid?: ReadonlySet<string>;
}

export const HOPS_MAX = 5;

/** Throws `no_path` when the directory does not hold enough nodes. */
export function choosePath(descriptors: Descriptor[], wishes: PathWishes, random: Random): Descriptor[] {
  const { hops, self, now_s } = wishes;
  if (!Number.isInteger(hops) || hops < 1 || hops > HOPS_MAX)
    throw new NetworkError('no_path', `a path has 1 to ${HOPS_MAX} hops, not ${hops}`);
  const avoid = wishes.avoid ?? new Set();
  const usable = descriptors.filter((d) => d.id !== self && onionKeyAt(d, now_s) !== undefined);
  const exits = usable.filter((d) => d.roles.exit && (wishes.exit === undefined || d.id === wishes.exit));
  const exit = draw(exits, 1, avoid, random)?.[0];
  if (exit === undefined) {
    throw new NetworkError('no_path', wishes.exit === undefined ? 'no exit is known' : 'the exit is not known any more', {
      hint: 'wait for descriptors to arrive, or add bootstrap peers',
    });
  }
  const relays = usable.filter((d) => d.roles.relay && d.id !== exit.id);
  const drawn = draw(relays, hops - 1, avoid, random);
  if (drawn === undefined) {
    throw new NetworkError('no_path', `${relays.length} relays are known, a path of ${hops} hops needs ${hops - 1}`, {
      hint: 'wait for descriptors to arrive, or add bootstrap peers',
    });
  }
  return [...drawn, exit];
}

/** `count` distinct ones in random order, of those not to be avoided as long as they suffice. */
function draw(from: Descriptor[], count: number, avoid: ReadonlySet<string>, random: Random): Descriptor[] | undefined {
  if (from.length < count) return undefined;
  const good = shuffle(
    from.filter((d) => !avoid.has(d.id)),
    random,
  );
  const rest = shuffle(
    from.filter((d) => avoid.has(d.id)),
    random,
  );
  const chosen = [...good, ...rest].slice(0, count);
  // Those that had to be taken from the rest must not always come last on the path.
  return good.length < count ? shuffle(chosen, random) : chosen;
}

/** Fisher and Yates: every order has the same chance. */
function shuffle<T>(items: T[], random: Random): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    const [a, b] = [items[i] as T, items[j] as T];
    items[i] = b;
    items[j] = a;
  }
  return items;
}

/** The suite every hop takes; hops that say nothing in common are given the one that all nodes must take. */
export function commonSuite(path: Descriptor[]): 'aes128gcm' | 'chacha20poly1305' {
  return path.every((d) => d.suites.includes('aes128gcm')) ? 'aes128gcm' : 'chacha20poly1305';
}
