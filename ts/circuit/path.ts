/**
 * The choice of a path: distinct nodes drawn uniformly, the exit first, then the first hop, then the relays between.
 *
 * Invariant: no node twice, never this node itself, every hop with the role it is asked for and an onion key valid now; the first
 * hop is one of the entries, if there are some; among equally suspect nodes each is as likely as any other.
 */
import { type Descriptor, onionKeyAt } from '../base/directory.js';
import type { Random } from '../base/ports.js';

export interface PathRequest {
  descriptors: Descriptor[];
  /** This node. */
  self: string;
  /** Hops, the exit included; 1 to 5. */
  hops: number;
  now_s: number;
  /** The path must end here: an exit, or a node that listens. */
  exit?: string | undefined;
  /** Where paths of more than one hop may begin. Default: anywhere. */
  entries?: readonly string[] | undefined;
  /** How much is held against a node; 0 for most. */
  suspicion?: (id: string) => number;
}

/** The path, entry first; `null` where the directory does not have enough nodes for one. */
export function choosePath(request: PathRequest, random: Random): Descriptor[] | null {
  const { self, now_s, hops } = request;
  const usable = request.descriptors.filter((d) => d.id !== self && onionKeyAt(d, now_s) !== undefined);
  const exits = usable.filter((d) =>
    request.exit === undefined ? d.roles.exit : d.id === request.exit && (d.roles.exit || d.roles.listener === true),
  );
  // An exit that is also one of too few relays would leave no path, although another exit has one.
  const relays = usable.filter((d) => d.roles.relay);
  const { entries } = hops > 1 ? request : {};
  const begins = (d: Descriptor) => entries === undefined || entries.includes(d.id);
  const fitting = exits.filter(
    (exit) =>
      relays.length - (exit.roles.relay ? 1 : 0) >= hops - 1 &&
      (hops === 1 || relays.some((relay) => relay !== exit && begins(relay))),
  );
  const [exit] = draw(fitting, 1, request.suspicion, random);
  if (exit === undefined) return null;
  const others = relays.filter((d) => d.id !== exit.id);
  if (entries === undefined) return [...draw(others, hops - 1, request.suspicion, random), exit];
  const first = draw(others.filter(begins), 1, request.suspicion, random);
  const between = others.filter((d) => !first.includes(d));
  return [...first, ...draw(between, hops - 2, request.suspicion, random), exit];
}

/** Whether there is a path at all. */
export function hasPath(request: PathRequest): boolean {
  return choosePath(request, { below: () => 0, fill: () => {} }) !== null;
}

/** `count` distinct ones, uniformly; from the least suspect, and from others only where those are too few. */
function draw(from: Descriptor[], count: number, suspicion: PathRequest['suspicion'], random: Random): Descriptor[] {
  const levels = new Map<number, Descriptor[]>();
  for (const d of from) {
    const level = suspicion?.(d.id) ?? 0;
    const pool = levels.get(level);
    if (pool === undefined) levels.set(level, [d]);
    else pool.push(d);
  }
  const drawn: Descriptor[] = [];
  for (const level of [...levels.keys()].sort((a, b) => a - b)) {
    const pool = levels.get(level) ?? [];
    while (drawn.length < count && pool.length > 0) {
      drawn.push(...pool.splice(random.below(pool.length), 1));
    }
  }
  return shuffled(drawn, random);
}

/** A position on the path must not follow from the order of drawing, which puts suspects last. */
function shuffled<T>(items: T[], random: Random): T[] {
  const left = [...items];
  const order: T[] = [];
  while (left.length > 0) order.push(...left.splice(random.below(left.length), 1));
  return order;
}
