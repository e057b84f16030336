/** Circles of credits over real nodes and sockets: quotes are asked for, the circle that gains is run, and its profit goes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { openAccounts } from '../platform/accounts.js';
import { createNode, type NodeOptions, type WayfareNode } from '../platform/node.js';

const WAIT = { timeout: 30_000, interval: 100 };
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wayfare-circles-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Three relays, each a neighbour of the others. */
async function triangle(options: (name: string) => NodeOptions): Promise<WayfareNode[]> {
  const nodes: WayfareNode[] = [];
  for (const name of ['one', 'two', 'three']) {
    const bootstrap = nodes.map(({ id, addresses }) => ({ id, address: addresses[0] as string }));
    nodes.push(await createNode({ roles: ['relay'], listen: ['127.0.0.1:0'], bootstrap, ...options(name) }));
  }
  for (const node of nodes) await vi.waitFor(() => expect(node.credits().neighbours.length).toBe(2), WAIT);
  const signal = AbortSignal.timeout(10_000);
  for (const node of nodes) for (const { id } of nodes) if (id !== node.id) await node.find(id, { signal });
  return nodes;
}

const close = (nodes: readonly WayfareNode[]) => Promise.all(nodes.map((node) => node.close()));

test('a node runs the circle that gains, has what comes home, and ends it when its own flow has taken the profit', async () => {
  const dataDir = (name: string) => join(folder, name);
  const options = (name: string): NodeOptions => ({ dataDir: dataDir(name), credit: { alwaysShare: 0 } });
  const first = await triangle(options);
  const ids = first.map(({ id }) => id);
  await close(first);
  // A credit of one's is worth eight of three's to two.
  const [one] = ids as [string, string, string];
  const accounts = openAccounts(join(dataDir('two'), 'accounts.sqlite'));
  const kept = { peer: one, account: 50_000_000, mirror: 50_000_000, contributed: 0, expected: 500_000 };
  accounts.save([{ ...kept, value: 3, earned: 0, spent: 0 }], Date.now());
  accounts.close();

  const nodes = await triangle(options);
  try {
    const [seeker, between] = nodes as [WayfareNode, WayfareNode];
    await vi.waitFor(async () => {
      expect(seeker.credits().neighbours.every(({ mirror }) => mirror >= 128_000)).toBe(true);
      await seeker.seekCircle();
      expect(seeker.credits().circle?.path).toEqual(ids.slice(1));
    }, WAIT);
    const found = seeker.credits().circle;
    expect(found?.gain).toBeGreaterThan(4);
    const value = () => between.credits().neighbours.find(({ peer }) => peer === one)?.value as number;
    const home = await vi.waitUntil(() => {
      const { own, home } = seeker.credits().books;
      return own > 0 && home > 1.5 * own && { own, home };
    }, WAIT);
    expect(home).toBeTruthy();
    // Nothing else flows, so that the value falls with it, and there is no more to be had.
    await vi.waitUntil(() => value() < 0.01, WAIT);
    await vi.waitFor(async () => {
      await seeker.seekCircle();
      expect(seeker.credits().circle).toBeNull();
    }, WAIT);
    await vi.waitFor(() => expect(nodes.flatMap((node) => node.credits().circuits)).toEqual([]), WAIT);
  } finally {
    await close(nodes);
  }
});

test('a node whose owner says so neither asks nor answers', async () => {
  const nodes = await triangle((name) => ({ credit: { circles: name !== 'two' } }));
  try {
    for (const node of nodes) await node.seekCircle();
    for (const node of nodes) expect(node.credits().circle).toBeNull();
  } finally {
    await close(nodes);
  }
});
