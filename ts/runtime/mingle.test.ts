/** Nodes over real links, with TypeScript's time in the test's hands. */
import { expect, test, vi } from 'vitest';
import { nodePlatform } from '../platform/node.js';
import { ManualClock } from '../testing/clock.js';
import { createNodeOn } from './create.js';
import type { WayfareNode } from './node.js';

test('gossip goes on when the only bootstrap peer is gone', async () => {
  const platform = { ...nodePlatform(), clock: new ManualClock() };
  const nodes: WayfareNode[] = [];
  const add = async (entry?: WayfareNode) => {
    const bootstrap = entry === undefined ? [] : [{ id: entry.id, address: entry.addresses[0] as string }];
    const node = await createNodeOn({ roles: ['relay'], listen: ['127.0.0.1:0'], bootstrap }, platform);
    nodes.push(node);
    return node;
  };
  const knows = async (node: WayfareNode, count: number) => expect((await node.status()).descriptors).toBe(count);
  const linked = async (node: WayfareNode) => new Set((await node.peers()).map((peer) => peer.id));
  try {
    const entry = await add();
    const others = [await add(entry), await add(entry), await add(entry)];
    for (const node of others) await vi.waitFor(() => knows(node, 4), 10_000);
    await entry.close();
    for (const node of others) await vi.waitFor(async () => expect(await linked(node)).not.toContain(entry.id), 10_000);
    // The nodes themselves notice at their next chores.
    await platform.clock.pass(31_000);
    for (const node of others)
      await vi.waitFor(async () => expect((await linked(node)).size).toBeGreaterThanOrEqual(2), 10_000);
    const [b, , d] = others as [WayfareNode, WayfareNode, WayfareNode];
    const late = await add(b);
    await vi.waitFor(() => knows(d, 5), 10_000);
    await vi.waitFor(async () => expect((await d.ping(late.id)).rtts_us).toHaveLength(3), 10_000);
  } finally {
    await Promise.all(nodes.map((node) => node.close()));
  }
});
