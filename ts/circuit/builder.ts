/**
 * Building one circuit along a path drawn for it, and racing several.
 *
 * Invariant: what is built and not returned is closed, also if it comes up after everybody stopped waiting.
 */
import { type Descriptor, onionKeyAt } from '../base/directory.js';
import { asWayfareError, NetworkError, WayfareError } from '../base/errors.js';
import type { Clock, Log, Random } from '../base/ports.js';
import type { CircuitId, HopSpec, NodeHost, SizeClass } from '../core/host.js';
import { within } from '../core/timing.js';
import { SizeClasses } from './classes.js';
import { choosePath } from './path.js';
import type { Suspicion } from './suspicion.js';

/** Not even the first hop was reached: it says nothing of the others, the exit among them. */
export class EntryError extends NetworkError {}

/** A set-up and its reply must be done within this. */
export const BUILD_MS_MAX = 2000;

export interface Circuit {
  id: CircuitId;
  sizeClass: SizeClass;
  /** Node ids, entry first, exit last. */
  path: string[];
  built_ms: number;
}

export interface BuilderParts {
  self: string;
  host: NodeHost;
  clock: Clock;
  random: Random;
  log: Log;
  suspicion: Suspicion;
  /** What the directory has now. */
  descriptors(): Descriptor[];
  /** Brings a link to this node up; throws where there is none to be had. */
  link(id: string): Promise<unknown>;
  hops: number;
  /** Where paths begin. Default: anywhere. */
  entries?(): readonly string[];
  /** The largest that circuits ask for. */
  sizeClass: SizeClass;
  /** The class of credits that circuits announce with their set-ups. Default 0, none. */
  flow?: number;
}

/** A path as the host takes it; a node without a key for now has an empty one, which is refused. */
export function hopsOf(path: readonly Descriptor[], now_s: number): HopSpec[] {
  return path.map((node) => ({ id: node.id, onionKey: onionKeyAt(node, now_s)?.key ?? new Uint8Array() }));
}

/** The core's own choice where every hop takes it; else the suite that all nodes must take. */
export function suiteOf(path: readonly Descriptor[]): { suite?: 'chacha20poly1305' } {
  return path.every((hop) => hop.suites.includes('aes128gcm')) ? {} : { suite: 'chacha20poly1305' };
}

/** More than any race has. */
const RACE_PATHS_MAX = 16;

export class Builder {
  readonly #parts: BuilderParts;
  readonly #classes: SizeClasses;

  constructor(parts: BuilderParts) {
    this.#parts = parts;
    this.#classes = new SizeClasses(parts.sizeClass, parts.clock);
  }

  /** One circuit, along `path` if nothing is held against it, and trying others after a failure, `tries` in all. */
  async build(tries: number, exit: string, path?: readonly string[]): Promise<Circuit> {
    let last: unknown;
    for (let i = 0; i < tries; i++) {
      try {
        return await this.#along((i === 0 && this.#known(path)) || this.#choose(exit));
      } catch (error) {
        last = error;
        if (error instanceof WayfareError && error.code === 'no_path') break;
      }
    }
    throw asWayfareError(last, 'circuit_failed');
  }

  /** The first of `width` circuits that comes up; the others are closed. Of a smaller class than `atLeast` none is built. */
  async race(width: number, exit: string, atLeast?: SizeClass): Promise<Circuit> {
    // Each path avoids the relays of those before it: where few relays are left, two paths over the same dead one lose
    // the whole race.
    const drawn = new Map<string, number>();
    const paths = Array.from({ length: width }, () => {
      const path = this.#choose(exit, (id) => drawn.get(id) ?? 0);
      for (const { id } of path) drawn.set(id, (drawn.get(id) ?? 0) + 1);
      return path;
    });
    // The same path twice would only cost.
    const distinct = [...new Map(paths.map((path) => [path.map((d) => d.id).join(), path])).values()];
    const attempts = distinct.map((path) => this.#along(path, atLeast));
    const winner = await Promise.any(attempts).catch((errors: AggregateError) => {
      throw asWayfareError(errors.errors[0], 'circuit_failed');
    });
    for (const attempt of attempts) {
      attempt.then(
        (circuit) => {
          if (circuit.id !== winner.id) this.#parts.host.circuitClose(circuit.id);
        },
        () => {},
      );
    }
    return winner;
  }

  /** The nodes of a path as the directory has them now; `null` where one of them is gone or suspected. */
  #known(path: readonly string[] | undefined): Descriptor[] | null {
    if (path === undefined) return null;
    const { clock, suspicion } = this.#parts;
    const now_s = clock.now_ms() / 1000;
    const all = new Map(this.#parts.descriptors().map((d) => [d.id, d]));
    const nodes = path.flatMap((id) => all.get(id) ?? []);
    const fit = nodes.every((d) => onionKeyAt(d, now_s) !== undefined && suspicion.of(d.id) === 0);
    return fit && nodes.length === path.length ? nodes : null;
  }

  #choose(exit: string, drawn: (id: string) => number = () => 0): Descriptor[] {
    const { self, hops, clock, random, suspicion } = this.#parts;
    const path = choosePath(
      {
        descriptors: this.#parts.descriptors(),
        self,
        hops,
        exit,
        entries: this.#parts.entries?.(),
        now_s: clock.now_ms() / 1000,
        // A relay of another path of the race is still better than one of a path that failed.
        suspicion: (id) => suspicion.of(id) * RACE_PATHS_MAX + drawn(id),
      },
      random,
    );
    if (path !== null) return path;
    throw new NetworkError('no_path', `the directory has no path of ${hops} hops to this exit`, {
      hint: 'wait until more relays and exits are known, or check the bootstrap peers',
    });
  }

  async #along(path: Descriptor[], atLeast?: SizeClass): Promise<Circuit> {
    const { self, host, clock, log, suspicion, flow = 0 } = this.#parts;
    const ids = path.map((d) => d.id);
    const nodes = [self, ...ids];
    const entry = ids[0] as string;
    try {
      await this.#parts.link(entry);
    } catch (error) {
      suspicion.failed([entry]);
      const { code, message, hint } = asWayfareError(error, 'link_failed');
      throw new EntryError(code, message, { hint, cause: error });
    }
    const hops = hopsOf(path, clock.now_ms() / 1000);
    for (;;) {
      const sizeClass = this.#classes.of(nodes, atLeast);
      try {
        const opening = host.circuitOpen({ hops, sizeClass, flow, ...suiteOf(path) });
        const id = await within(clock, BUILD_MS_MAX, 'a circuit', opening, (late) => host.circuitClose(late));
        this.#classes.carried(nodes, sizeClass);
        // Nobody is cleared by that: who drops packets answers set-ups too. What comes back over the circuit does it.
        return { id, sizeClass, path: ids, built_ms: clock.now_ms() };
      } catch (error) {
        const { code } = asWayfareError(error, 'circuit_failed');
        // A link of the path is smaller or slower than others. That is nobody's failure.
        const smaller = code === 'setup_class' && this.#classes.refused(nodes, sizeClass);
        if (smaller && sizeClass !== atLeast) continue;
        suspicion.failed(ids);
        log.debug('circuit failed', { code });
        throw error;
      }
    }
  }
}
