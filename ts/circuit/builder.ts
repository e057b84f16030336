/**
 * Builds circuits: a path is drawn, its first hop reached, the set-up sent; another path when one fails.
 *
 * Invariant: a circuit that comes too late, or loses a race, is closed.
 */
import { type Descriptor, type Directory, onionKeyAt } from '../base/directory.js';
import { asWayfareError, NetworkError } from '../base/errors.js';
import type { Clock, Log, Random } from '../base/ports.js';
import type { CircuitId, NodeHost } from '../core/host.js';
import { within } from '../core/timing.js';
import { choosePath, commonSuite } from './path.js';
import type { Suspects } from './suspects.js';

/** A set-up over live nodes takes a round trip; what takes longer has met a dead one. */
export const BUILD_MS = 2_500;

/** Makes sure that a link to a node is up. */
export interface Links {
  reach(peer: string): Promise<void>;
}

export interface BuiltCircuit {
  circuit: CircuitId;
  path: Descriptor[];
}

export interface BuilderParts {
  host: NodeHost;
  directory: Directory;
  links: Links;
  clock: Clock;
  random: Random;
  log: Log;
  suspects: Suspects;
  self: string;
  hops: number;
  sizeClass: 'M' | 'L';
}

export class CircuitBuilder {
  readonly #parts: BuilderParts;

  constructor(parts: BuilderParts) {
    this.#parts = parts;
  }

  /** A circuit, in up to `attempts` tries over different paths. */
  async build(wishes: { exit?: string; avoid?: Iterable<string>; attempts?: number } = {}): Promise<BuiltCircuit> {
    const tried = new Set(wishes.avoid ?? []);
    let last: unknown;
    for (let attempt = 0; attempt < (wishes.attempts ?? 4); attempt++) {
      const path = this.draw(wishes.exit, tried);
      try {
        return await this.open(path);
      } catch (error) {
        last = error;
        for (const node of path) if (node.id !== wishes.exit) tried.add(node.id);
      }
    }
    throw new NetworkError('circuit_failed', `no circuit could be built: ${asWayfareError(last).message}`, {
      cause: last,
      hint: 'see `wayfare peers` for which neighbours are up',
    });
  }

  /** The first circuit to stand of `count` over different paths to one exit. */
  async race(exit: string, avoid: Iterable<string>, count: number): Promise<BuiltCircuit> {
    const avoided = new Set(avoid);
    const runs: Promise<BuiltCircuit>[] = [];
    let won = false;
    for (let i = 0; i < count; i++) {
      const path = this.draw(exit, avoided);
      for (const node of path.slice(0, -1)) avoided.add(node.id);
      const run = this.open(path).then((built) => {
        if (won) {
          this.#parts.host.circuitClose(built.circuit);
          throw new NetworkError('circuit_failed', 'another circuit was faster');
        }
        won = true;
        return built;
      });
      runs.push(run);
    }
    try {
      return await Promise.any(runs);
    } catch (error) {
      const first = error instanceof AggregateError ? error.errors[0] : error;
      throw new NetworkError('circuit_failed', `no circuit to this exit: ${asWayfareError(first).message}`, { cause: first });
    }
  }

  draw(exit: string | undefined, avoid: ReadonlySet<string>): Descriptor[] {
    const { directory, clock, random, suspects, self, hops } = this.#parts;
    const wishes = {
      hops,
      self,
      now_s: clock.now_ms() / 1000,
      avoid: new Set([...avoid, ...suspects.current()]),
      ...(exit !== undefined && { exit }),
    };
    return choosePath(directory.descriptors(), wishes, random);
  }

  /** A circuit over just this path. */
  async open(path: Descriptor[]): Promise<BuiltCircuit> {
    const { host, links, clock, suspects, sizeClass } = this.#parts;
    const now_s = clock.now_ms() / 1000;
    const hops = path.map((node) => {
      const key = onionKeyAt(node, now_s);
      if (key === undefined) throw new NetworkError('no_path', 'a node of the path has no valid onion key');
      return { id: node.id, onionKey: key.key };
    });
    const entry = path[0] as Descriptor;
    const setUp = async () => {
      await links.reach(entry.id);
      return host.circuitOpen({ hops, sizeClass, suite: commonSuite(path) });
    };
    const ids = path.map((node) => node.id);
    try {
      const circuit = await within(clock, BUILD_MS, 'the set-up', setUp(), (late) => host.circuitClose(late));
      suspects.clear(ids);
      return { circuit, path };
    } catch (error) {
      suspects.blame(ids);
      throw error;
    }
  }
}
