/** Credits between whole nodes over real sockets: what is announced, both views of an account, and accounts over a restart. */
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { CircuitCredits } from '../core/node-credits.js';
import { openAccounts } from '../platform/accounts.js';
import { createNode, type WayfareNode } from '../platform/node.js';
import { readAll, startNetwork, startOrigin } from '../testing/network.js';

const WAIT = { timeout: 20_000, interval: 100 };
const echo = (socket: Socket) => void socket.pipe(socket);
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wayfare-credits-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function exchange(client: WayfareNode, port: number): Promise<void> {
  const flow = client.dial({ host: '127.0.0.1', port });
  const writer = flow.writable.getWriter();
  await writer.write(new TextEncoder().encode('to and fro'));
  await writer.close();
  expect((await readAll(flow.readable)).toString()).toBe('to and fro');
  await flow.closed;
}

const own = (node: WayfareNode): CircuitCredits[] =>
  node.credits().circuits.filter((circuit) => circuit.role === 'client' && circuit.own > 0);

test('a flow passes every hop, comes home, and both ends of a link count the same', async () => {
  // Rules of a client: what goes to this port announces 16,000 credits a second, all else nothing.
  await using origin = await startOrigin(echo);
  await using network = await startNetwork(2, 1, { credit: { priorities: [`port ${origin.port} = 16000`] } });
  const { client } = network;
  await exchange(client, origin.port);
  const [circuit] = await vi.waitUntil(() => {
    const found = own(client);
    return found.length > 0 && found[0]!.backward.paid > 0 ? found : undefined;
  }, WAIT);
  expect(circuit?.own).toBe(3);
  const first = network.node(circuit?.next as string);
  // The client spends there, and some comes back: what the relays keep always is all that is gone.
  const paid = await vi.waitUntil(() => {
    const at = first.credits().circuits.find((c) => c.previous === client.id && c.forward.in === 3);
    return at !== undefined && at.forward.always > 0 && at.backward.paid > 0 ? at : undefined;
  }, WAIT);
  expect(paid.forward.load).toBe(0);
  expect(paid.forward.paid).toBe(paid.forward.rent + paid.forward.always + paid.forward.load + paid.forward.rest);
  // Both views: each has its own clock and its own period, and they count the same credits, to what flows in a period or two.
  await vi.waitFor(() => {
    const there = first.credits().neighbours.find((n) => n.peer === client.id)!;
    const here = client.credits().neighbours.find((n) => n.peer === first.id)!;
    expect(Math.abs(there.books.spent - here.mirrorBooks.spent)).toBeLessThanOrEqual(3 * 16_000);
  }, WAIT);
  for (const { account, books } of [...first.credits().neighbours, ...client.credits().neighbours])
    expect(account).toBe(books.opening + books.minted - books.decayed - books.spent + books.earned);
  expect(first.reputation.of(client.id)).toBeLessThan(0);
  expect(first.price.load(client.id)).toBe(0);
});

test('an exit adds its own to what it sends back, by destination; the client announces nothing and has it', async () => {
  await using origin = await startOrigin(echo);
  await using other = await startOrigin(echo);
  // Nobody keeps anything of it, so that what is announced is the same at every hop.
  const credit = { flow: 0, alwaysShare: 0 };
  const add = ['host *.example = 256000', `port ${origin.port} = 64000`];
  await using network = await startNetwork(2, 1, { credit }, () => ({ credit: { ...credit, add } }));
  const { client, exits } = network;
  const adds = () => exits[0]!.credits().circuits.flatMap(({ role, own }) => (role === 'exit' && own > 0 ? [own] : []));
  const flowElsewhere = client.dial({ host: '127.0.0.1', port: other.port });
  await flowElsewhere.opened;
  expect(adds()).toEqual([]);
  const flow = client.dial({ host: '127.0.0.1', port: origin.port });
  await flow.opened;
  await vi.waitFor(() => expect(adds()).toEqual([4]), WAIT);
  // It comes back over every hop, and home.
  const home = await vi.waitUntil(
    () => client.credits().circuits.find(({ backward }) => backward.in === 4 && backward.paid > 64_000),
    WAIT,
  );
  expect(home).toMatchObject({ role: 'client', own: 0, forward: { out: 0, paid: 0 } });
  const first = network.node(home.next as string);
  await vi.waitFor(() => {
    const flows = first.credits().circuits.map(({ previous, backward }) => [previous, backward.in, backward.out]);
    expect(flows).toContainEqual([client.id, 4, 4]);
  }, WAIT);
  await flow.close();
  await flowElsewhere.close();
  await vi.waitFor(() => expect(adds()).toEqual([]), WAIT);
});

test('a table that is half full lets in who announces what nodes do by default, and charges rent', async () => {
  await using origin = await startOrigin(echo);
  const more = { hops: 1, limits: { circuits: 8 }, egress: { ahead: 0 } };
  await using network = await startNetwork(1, 1, { ...more, credit: { flow: 0 } });
  const [exit] = network.exits as [WayfareNode];
  const bootstrap = [{ id: exit.id, address: exit.addresses[0] as string }];
  await using paying = await createNode({ listen: ['127.0.0.1:0'], bootstrap, ...more });
  await paying.ready(AbortSignal.timeout(10_000));
  const open = (node: WayfareNode, isolation: string) =>
    node.dial({ host: '127.0.0.1', port: origin.port }, { isolation }).opened;
  for (const isolation of ['a', 'b', 'c', 'd']) await open(network.client, isolation);
  await expect(open(network.client, 'e')).rejects.toThrow();
  expect((await exit.status()).host.drops.credit_rent).toBeGreaterThan(0);
  // Ten seconds of all its rent are to be there before.
  const holds = () => exit.credits().neighbours.find(({ peer }) => peer === paying.id)?.account ?? 0;
  await vi.waitFor(() => expect(holds()).toBeGreaterThan(50_000), WAIT);
  for (const isolation of ['f', 'g', 'h']) await open(paying, isolation);
  await vi.waitFor(() => {
    const rented = exit.credits().circuits.filter((circuit) => circuit.rented);
    expect(rented.map(({ previous, arrears }) => [previous, arrears])).toEqual(Array(3).fill([paying.id, 0]));
    for (const { forward } of rented) expect(forward.rent).toBeGreaterThan(0);
  }, WAIT);
});

test('accounts are there again after a restart, and end without a data directory', async () => {
  const dataDir = join(folder, 'relay');
  await using origin = await startOrigin(echo);
  const listen = ['127.0.0.1:0'];
  const exit = await createNode({ roles: ['exit'], listen, exit: { allow_loopback: true } });
  const bootstrap = [{ id: exit.id, address: exit.addresses[0] as string }];
  const client = await createNode({ roles: ['client'], listen, bootstrap, hops: 2, credit: { flow: 1_024_000 } });
  let relay = await createNode({ roles: ['relay'], listen, bootstrap, dataDir });
  try {
    await client.ready(AbortSignal.timeout(10_000));
    await exchange(client, origin.port);
    const of = () => relay.credits().neighbours.find((n) => n.peer === client.id);
    const before = await vi.waitUntil(() => {
      const account = of();
      return account !== undefined && account.books.spent > 100_000 ? account : undefined;
    }, WAIT);
    const { id } = relay;
    await relay.close();
    const store = openAccounts(join(dataDir, 'accounts.sqlite'));
    const saved = store.load().accounts.find(({ peer }) => peer === client.id)!;
    store.close();
    // All that was counted until the end.
    expect(saved.spent).toBeGreaterThanOrEqual(before.books.spent);
    expect(saved.earned).toBeGreaterThanOrEqual(before.books.earned);
    relay = await createNode({ roles: ['relay'], listen, bootstrap, dataDir });
    expect(relay.id).toBe(id);
    // The client comes back by itself; what it had spent is still spent, what it had is still there, less what decays.
    const after = await vi.waitUntil(of, WAIT);
    expect(after.books.opening).toBeGreaterThanOrEqual(Math.floor(saved.account * 0.9));
    expect(after.books.opening).toBeLessThanOrEqual(saved.account);
    expect(after.reputation).toBe(saved.earned - saved.spent + after.books.earned - after.books.spent);
  } finally {
    await Promise.all([client.close(), relay.close(), exit.close()]);
  }
});
