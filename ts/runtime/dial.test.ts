/** Whatever becomes of a dial, the connection it was to run on is let go of once. */
import { expect, test } from 'vitest';
import { errorOf } from '../base/errors.js';
import type { NodeHost } from '../core/host.js';
import { settle } from '../testing/clock.js';
import { dialFlow } from './dial.js';

/** A host that opens flows when told to. */
function made() {
  const reset: number[] = [];
  let opened!: (flow: number) => void;
  const opening = new Promise<{ flow: number; local: string }>((resolve) => {
    opened = (flow) => resolve({ flow, local: '192.0.2.1:1' });
  });
  const host = {
    flowOpen: () => opening,
    flowReset: (flow: number) => void reset.push(flow),
    flowRead: () => new Promise(() => {}),
  } as Partial<NodeHost> as NodeHost;
  let lease!: () => void;
  let released = 0;
  const leased = new Promise<void>((resolve) => {
    lease = resolve;
  });
  const abort = new AbortController();
  const dialled = dialFlow(
    host,
    { host: 'origin.example', port: 80 },
    async () => {
      await leased;
      return {
        connection: 1,
        release: () => {
          released += 1;
        },
      };
    },
    () => () => {},
    abort.signal,
  );
  return { dialled, abort, lease, opened, reset, released: () => released };
}

test.each(['abort', 'close'] as const)(
  '%s before there is a connection: it is released as soon as there is one',
  async (how) => {
    const { dialled, abort, lease, opened, reset, released } = made();
    if (how === 'abort') abort.abort();
    else await dialled.close();
    lease();
    await settle();
    opened(5);
    await expect(dialled.opened).rejects.toMatchObject({ code: 'aborted' });
    expect(released()).toBe(1);
    // What was opened all the same is broken off.
    expect(reset).toEqual(how === 'abort' ? [] : [5]);
  },
);

test('abort while the exit connects: the flow is broken off when it comes', async () => {
  const { dialled, abort, lease, opened, reset, released } = made();
  lease();
  await settle();
  abort.abort();
  opened(6);
  await expect(dialled.opened).rejects.toMatchObject({ code: 'aborted' });
  expect([reset, released()]).toEqual([[6], 1]);
});

test('close once open: broken off and released once', async () => {
  const { dialled, lease, opened, reset, released } = made();
  lease();
  opened(7);
  await dialled.opened;
  await dialled.close();
  await dialled.close();
  expect([reset, released()]).toEqual([[7], 1]);
});

test('a connection that has gone unnoticed costs nothing but another', async () => {
  const asked: number[] = [];
  const let_go: number[] = [];
  const opening = (gone: number) => {
    const host = {
      flowOpen: async (connection: number) => {
        asked.push(connection);
        if (connection <= gone) throw errorOf('circuit_unknown', 'circuit unknown');
        return { flow: 1, local: '192.0.2.1:1' };
      },
    } as Partial<NodeHost> as NodeHost;
    let next = 0;
    const lease = async () => {
      next += 1;
      const connection = next;
      return { connection, release: () => void let_go.push(connection) };
    };
    return dialFlow(host, { host: 'origin.example', port: 80 }, lease, () => () => {}).opened;
  };
  expect(await opening(2)).toEqual({ local: '192.0.2.1:1' });
  expect([asked.splice(0), let_go.splice(0)]).toEqual([
    [1, 2, 3],
    [1, 2],
  ]);
  await expect(opening(9)).rejects.toMatchObject({ code: 'circuit_unknown' });
  expect([asked, let_go]).toEqual([
    [1, 2, 3],
    [1, 2, 3],
  ]);
});
