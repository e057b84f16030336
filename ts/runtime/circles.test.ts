/** Circles of credits over real nodes and sockets: quotes are asked for, the circle that gains is run, and its profit goes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { creditRate } from '../core/credit.js';
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

test('a node runs the circle that others’ traffic makes profitable, has what comes home, and ends it when that is over', async () => {
  const dataDir = (name: string) => join(folder, name);
  // Three spends much through two at one, more than one gives two: to two, what one has there is worth the more.
  const roles: Record<string, NodeOptions> = {
    one: { roles: ['relay', 'exit'] },
    three: { roles: ['relay', 'client'], hops: 2 },
  };
  const options = (name: string): NodeOptions => ({
    ...roles[name],
    dataDir: dataDir(name),
    credit: { alwaysShare: 0, increase: 100_000, ...(name === 'three' && { flow: creditRate(7) }) },
  });
  const first = await triangle(options);
  const [one, two, three] = first.map(({ id }) => id) as [string, string, string];
  await close(first);
  const plenty = 4_000_000_000;
  const keep = (name: string, peer: string, more: { account: number; mirror: number; value?: number }) => {
    const accounts = openAccounts(join(dataDir(name), 'accounts.sqlite'));
    accounts.save([{ peer, value: 0, ...more, contributed: 0, expected: 50_000, earned: 0, spent: 0 }], Date.now());
    accounts.close();
  };
  keep('three', two, { account: 0, mirror: plenty });
  keep('two', three, { account: plenty, mirror: 0 });
  keep('one', two, { account: 0, mirror: 10_000_000 });
  // As it has been for some minutes: a credit passes at the less favourable of what values are and were.
  keep('two', one, { account: 10_000_000, mirror: 0, value: 3 });

  const nodes = await triangle(options);
  try {
    const [seeker, between, spender] = nodes as [WayfareNode, WayfareNode, WayfareNode];
    expect((await spender.connect()).map(({ id }) => id)).toEqual([two, one]);
    await vi.waitUntil(() => (between.credits().neighbours.find(({ peer }) => peer === one)?.value ?? 0) > 3, WAIT);
    await vi.waitFor(async () => {
      await seeker.seekCircle();
      expect(seeker.credits().circle?.path).toEqual([two, three]);
    }, WAIT);
    expect(seeker.credits().circle?.gain).toBeGreaterThan(4);
    const { circuit } = seeker.credits().circle!;
    const ends = () => seeker.credits().circuits.filter(({ own, role }) => role === 'exit' || own > 0);
    await vi.waitUntil(() => {
      const paid = ends().find((end) => end.circuit === circuit)?.forward.passed ?? 0;
      const home = ends().find(({ role, previous }) => role === 'exit' && previous === three)?.forward.rest ?? 0;
      return paid > 0 && home > 2 * paid;
    }, WAIT);
    await spender.close();
    await vi.waitFor(async () => {
      await seeker.seekCircle();
      expect(seeker.credits().circle).toBeNull();
      expect(ends()).toEqual([]);
    }, WAIT);
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
