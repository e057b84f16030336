/** What a node tells, and what a caller's signal ends. */
import { expect, test, vi } from 'vitest';
import { createNode } from '../platform/node.js';
import { startNetwork } from '../testing/network.js';
import type { NodeEventMap, NodeEventTarget, PathEvent } from './events.js';
import type { PathHop } from './options.js';

const next = <K extends keyof NodeEventMap>(node: NodeEventTarget, type: K) =>
  new Promise<NodeEventMap[K]>((resolve) => node.addEventListener(type, resolve, { once: true }));

const WAIT = { timeout: 20_000, interval: 50 };

/** What was told of circuits so far, and those of them that stand: several are built at once, in whatever order they come. */
function pathsOf(node: NodeEventTarget) {
  const told: { change: PathEvent['change']; path: PathHop[] }[] = [];
  node.addEventListener('path', ({ change, path }) => told.push({ change, path }));
  const standing = () => {
    const made: string[] = [];
    for (const { change, path } of told) {
      const hops = path.map(({ id }) => id).join();
      if (change === 'made') made.push(hops);
      else if (made.includes(hops)) made.splice(made.indexOf(hops), 1);
    }
    return made;
  };
  return { told, standing };
}

test('a client tells of its neighbours, that it is ready, of its circuits, and of its end', async () => {
  await using network = await startNetwork(3, 2);
  const [relay] = network.relays;
  const bootstrap = [{ id: relay?.id as string, address: relay?.addresses[0] as string }];
  const node = await createNode({ listen: ['127.0.0.1:0'], bootstrap });
  const [up] = await Promise.all([next(node, 'peerup'), next(node, 'ready')]);
  expect(up.id).toBe(relay?.id);
  const { told, standing } = pathsOf(node);
  const path = await node.connect();
  expect(told).toContainEqual({ change: 'made', path });
  expect(path.map((hop) => hop.role)).toEqual(['relay', 'relay', 'exit']);
  expect(node.path()).toEqual(path);
  const first = path[0]?.id as string;
  const down = new Promise<void>((resolve) => node.addEventListener('peerdown', ({ id }) => id === first && resolve()));
  await network.node(first).close();
  await down;
  // Nothing ran on it: it is given up, as is every other one over this relay, and the next flow has another.
  await vi.waitFor(() => {
    for (const hops of standing()) expect(hops).not.toContain(first);
  }, WAIT);
  expect(told).toContainEqual({ change: 'lost', path });
  const again = await node.connect();
  expect(again.map((hop) => hop.id)).not.toContain(first);
  expect(told).toContainEqual({ change: 'made', path: again });
  const closed = next(node, 'closed');
  await node.close();
  await closed;
});

test('a relay is ready once it has started', async () => {
  await using node = await createNode({ roles: ['relay'], listen: ['127.0.0.1:0'] });
  let told = 0;
  await new Promise<void>((resolve) =>
    node.addEventListener('ready', () => {
      told += 1;
      resolve();
    }),
  );
  expect(told).toBe(1);
});

test('what waits ends with its signal', async () => {
  await using node = await createNode({ listen: ['127.0.0.1:0'] });
  const aborted = { code: 'aborted' };
  await expect(node.ready(AbortSignal.timeout(10))).rejects.toMatchObject(aborted);
  await expect(node.connect({ signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
  await expect(node.ping('00'.repeat(32), 1, { signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
  await expect(createNode({ listen: ['127.0.0.1:0'], signal: AbortSignal.abort() })).rejects.toMatchObject(aborted);
  const listening = { listen: '127.0.0.1:0', signal: AbortSignal.abort() };
  await expect(node.listenSocks(listening)).rejects.toMatchObject(aborted);
});
