/** What a node tells, and what a caller's signal ends. */
import { expect, test } from 'vitest';
import { createNode } from '../platform/node.js';
import { startNetwork } from '../testing/network.js';
import type { NodeEventMap, NodeEventTarget } from './events.js';

const next = <K extends keyof NodeEventMap>(node: NodeEventTarget, type: K) =>
  new Promise<NodeEventMap[K]>((resolve) => node.addEventListener(type, resolve, { once: true }));

test('a client tells of its neighbours, that it is ready, of its circuits, and of its end', async () => {
  await using network = await startNetwork(3, 2);
  const [relay] = network.relays;
  const bootstrap = [{ id: relay?.id as string, address: relay?.addresses[0] as string }];
  const node = await createNode({ listen: ['127.0.0.1:0'], bootstrap });
  const [up] = await Promise.all([next(node, 'peerup'), next(node, 'ready')]);
  expect(up.id).toBe(relay?.id);
  const made = next(node, 'path');
  const path = await node.connect();
  const { change, path: hops } = await made;
  expect(change).toBe('made');
  expect(hops).toEqual(path);
  expect(hops.map((hop) => hop.role)).toEqual(['relay', 'relay', 'exit']);
  const changes: string[] = [];
  const down = next(node, 'peerdown');
  node.addEventListener('path', (event) => changes.push(event.change));
  const first = path[0]?.id as string;
  await network.node(first).close();
  for (let id = (await down).id; id !== first; id = (await next(node, 'peerdown')).id);
  // Nothing ran on it: it is given up, and the next flow has another.
  expect((await node.connect()).map((hop) => hop.id)).not.toContain(first);
  expect(changes).toContain('lost');
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
