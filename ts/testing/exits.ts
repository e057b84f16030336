/** The choice of exits over a directory and circuits that a test rules, on a clock of its own. */
import { afterEach } from 'vitest';
import type { Descriptor } from '../base/directory.js';
import { errorOf } from '../base/errors.js';
import { Egress, type ExitChange, type Wanted } from '../egress/egress.js';
import type { EgressPolicyChoice } from '../egress/options.js';
import { DirectorySupply } from '../egress/supply.js';
import { createNativeEgress } from '../platform/native-egress.js';
import { ManualClock } from './clock.js';
import { node } from './descriptors.js';
import { quiet } from './log.js';
import { seeded } from './seeded.js';

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** How an exit answers: an error's code, nothing at all, or `ok`. */
export type Answer = 'ok' | 'silent' | (string & {});

export function exitsWorld({
  exits: count = 6,
  race = {} as EgressPolicyChoice['race'],
  answer = (): Answer => 'ok' as Answer,
} = {}) {
  const clock = new ManualClock();
  const relays = Array.from({ length: 4 }, (_, i) => node(`relay${i}`));
  const exits = Array.from({ length: count }, (_, i) => node(`exit${i}`, { exit: true }));
  let known: Descriptor[] = [...relays, ...exits];
  const subscribed = new Set<(descriptor: Descriptor) => void>();
  const directory = {
    descriptors: () => known,
    subscribe: (heard: (descriptor: Descriptor) => void) => {
      subscribed.add(heard);
      return () => void subscribed.delete(heard);
    },
  };
  const random = seeded(5);
  const supply = new DirectorySupply({ directory, clock, random, self: node('self').id, hops: 3, entries: 2 });
  const gone = new Set<string>();
  /** The first circuit takes five seconds. */
  const slow = { first: false };
  const held = new Map<number, number>();
  const made = new Map<string, { connection: number; circuit: { path: readonly string[] } }>();
  const warm: string[][] = [];
  const keyOf = (key: string, exit: string) => JSON.stringify([key, exit]);
  const routes = {
    ready: (key: string, exit: string) => made.get(keyOf(key, exit)),
    stands: (route: { connection: number }, key: string, exit: string) => made.get(keyOf(key, exit)) === route,
    async route(key: string, { exit, path = [] }: { exit: string; path?: readonly string[] }) {
      if (gone.has(exit)) {
        egress.lost(exit);
        throw errorOf('timeout', 'a circuit took longer than 2000 ms');
      }
      if (slow.first) {
        slow.first = false;
        await new Promise<void>((resolve) => void clock.setTimeout(resolve, 5_000));
      }
      const route = { connection: made.size + 1, circuit: { path } };
      made.set(keyOf(key, exit), route);
      return route;
    },
    hold({ connection }: { connection: number }) {
      held.set(connection, (held.get(connection) ?? 0) + 1);
      return () => void held.set(connection, (held.get(connection) ?? 0) - 1);
    },
    warm: (hops: readonly { exit: string }[]) => void warm.push(hops.map(({ exit }) => exit)),
  };
  const told: ExitChange[] = [];
  const egress: Egress = new Egress({
    createEgress: createNativeEgress,
    clock,
    random,
    log: quiet,
    supply,
    routes,
    choice: { race: { cold: 1, explore: 1, most: 4, stagger_us: 500_000, ...race } },
    missing: () => (known.some(({ roles }) => roles.exit) ? undefined : 'no path yet: 0 exits and 4 relays are known'),
    tell: (change) => void told.push(change),
  });
  open.push(() => egress.close());
  const exitOf = (connection: number) =>
    JSON.parse([...made].find(([, route]) => route.connection === connection)?.[0] as string)[1] as string;
  const asked: string[] = [];
  /** Those of them that were asked before the choice was. */
  const begun: string[] = [];
  const discarded: number[] = [];
  const behaviour = { answer: answer as (exit: string, host: string) => Answer };
  const connect = (wanted: Partial<Wanted> = {}, signal?: AbortSignal) => {
    const of: Wanted = { host: 'd.test', port: 443, isolation: '', protocol: 'tcp', ...wanted };
    return egress.connect(
      of,
      {
        async begin(connection, before) {
          const exit = exitOf(connection);
          asked.push(exit);
          if (before) begun.push(exit);
          const said = behaviour.answer(exit, of.host);
          if (said === 'silent') return new Promise<number>(() => {});
          if (said.startsWith('late '))
            return new Promise<number>((resolve) => {
              clock.setTimeout(() => resolve(connection), Number(said.slice(5)));
            });
          if (said !== 'ok') throw errorOf(said, said);
          return connection;
        },
        discard: (late) => void discarded.push(late),
      },
      signal,
    );
  };
  const use = async (wanted: Partial<Wanted> = {}, bytes = 10_000) => {
    const { flow, value } = await connect(wanted);
    flow.count(100, 0);
    flow.count(0, bytes);
    flow.end();
    return exitOf(value);
  };
  const learn = (nodes: Descriptor[]) => {
    known = nodes;
    for (const heard of subscribed) heard(nodes[0] as Descriptor);
  };
  return {
    clock,
    relays,
    exits,
    egress,
    supply,
    routes,
    exitOf,
    gone,
    slow,
    held,
    made,
    warm,
    told,
    asked,
    begun,
    discarded,
    behaviour,
    connect,
    use,
    learn,
  };
}

/** How it ends: an error's code, or `fine`. */
export const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error) => error.code as string,
  );
