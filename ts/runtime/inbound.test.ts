/** Streams to a node by its id, on networks of whole nodes. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNode, type WayfareNode } from '../platform/node.js';
import { readAll, startNetwork, type TestNetwork } from '../testing/network.js';
import type { DialedConnection } from './dial.js';
import type { PathEvent } from './events.js';
import type { InboundConnection } from './inbound.js';

const sha256 = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

let network: TestNetwork;
let client: WayfareNode;
let listening: WayfareNode;

beforeAll(async () => {
  network = await startNetwork(3, 1);
  client = network.client;
  const [relay] = network.relays;
  listening = await createNode({
    roles: ['listener'],
    listen: ['127.0.0.1:0'],
    bootstrap: [{ id: relay?.id as string, address: relay?.addresses[0] as string }],
    exit: { allow_loopback: true },
  });
  await client.find(listening.id, { signal: AbortSignal.timeout(10_000) });
});
afterAll(async () => {
  await listening?.close();
  await network?.[Symbol.asyncDispose]();
});

async function answer(connection: InboundConnection): Promise<void> {
  const question = await readAll(connection.readable);
  const writer = connection.writable.getWriter();
  await writer.write(Buffer.from(`${connection.port} ${sha256(question)}`));
  await writer.close();
}

async function ask(connection: DialedConnection, question: Uint8Array): Promise<string> {
  const writer = connection.writable.getWriter();
  for (let at = 0; at < question.length; at += 50_000) await writer.write(question.subarray(at, at + 50_000));
  await writer.close();
  return (await readAll(connection.readable)).toString();
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'fine',
    (error) => error.code,
  );

describe('a listener', () => {
  test('is reached by its id and by its name, over a path that ends at it', async () => {
    await using listener = listening.listen({ port: 80 });
    expect(listener.address).toBe(`${listening.id}.wayfare:80`);
    const serving = (async () => {
      for await (const connection of listener) void answer(connection);
    })();
    const paths: string[][] = [];
    const heard = ({ change, path }: PathEvent) => {
      if (change === 'made') paths.push(path.map((hop) => hop.id));
    };
    client.addEventListener('path', heard);
    const question = randomBytes(1_000_001);
    const byId = client.dial({ node: listening.id, port: 80 });
    expect(await ask(byId, question)).toBe(`80 ${sha256(question)}`);
    await byId.closed;
    const byName = client.dial({ host: `${listening.id.toUpperCase()}.Wayfare`, port: 80 });
    expect(await ask(byName, question)).toBe(`80 ${sha256(question)}`);
    client.removeEventListener('path', heard);
    const made = paths.filter((path) => path.at(-1) === listening.id);
    // One path for both, over two relays.
    expect(made).toHaveLength(1);
    expect(new Set(made[0]).size).toBe(3);
    await listener.close();
    await serving;
  });

  test('takes what comes at its port, as much as its backlog holds, until it is closed', async () => {
    const listener = listening.listen({ port: 7, backlog: 2 });
    const dial = () => client.dial({ node: listening.id, port: 7 });
    const waiting = [dial(), dial()];
    // The first one is there before the second is asked for: streams come in any order.
    for (const connection of waiting) await connection.opened;
    expect(await code(dial().opened)).toBe('exit_overloaded');
    const connections = listener[Symbol.asyncIterator]();
    const { value: first } = await connections.next();
    const third = dial();
    await third.opened;
    expect(await code(client.dial({ node: listening.id, port: 8 }).opened)).toBe('exit_connect_failed');
    expect(() => listening.listen({ port: 7 })).toThrow(/already/);
    await listener.close();
    // Those that nobody took are broken off, the one that was taken goes on.
    const asked = ask(waiting[0] as DialedConnection, Buffer.from('still'));
    await answer(first as InboundConnection);
    expect(await asked).toBe(`7 ${sha256(Buffer.from('still'))}`);
    for (const lost of [waiting[1], third]) await expect(readAll(lost!.readable)).rejects.toThrow();
    expect(await code(dial().opened)).toBe('exit_connect_failed');
    await using again = listening.listen({ port: 7 });
    await dial().opened;
    void again;
  });

  test('ends with its signal, and its connections with those who hold them', async () => {
    const abort = new AbortController();
    const listener = listening.listen({ port: 9, signal: abort.signal });
    const connections = listener[Symbol.asyncIterator]();
    const theirs = client.dial({ node: listening.id, port: 9 });
    await theirs.opened;
    const { value: ours } = await connections.next();
    abort.abort();
    expect((await connections.next()).done).toBe(true);
    await theirs.close();
    await expect((ours as InboundConnection).closed).rejects.toThrow();
    listening.listen({ port: 10, signal: AbortSignal.abort() });
    expect(await code(client.dial({ node: listening.id, port: 10 }).opened)).toBe('exit_connect_failed');
  });

  test('is no exit: it dials nothing for others, and nobody draws it as one', async () => {
    const relayOnly = network.relays[0] as WayfareNode;
    expect(listening.descriptor()?.roles).toEqual({ client: false, relay: false, exit: false, listener: true });
    expect(() => relayOnly.listen({ port: 1 })).toThrow(expect.objectContaining({ code: 'argument_invalid' }));
    const exit = network.exits[0]?.id as string;
    for (let i = 0; i < 4; i++) {
      const flow = client.dial({ host: '127.0.0.1', port: 1 }, { isolation: `draw ${i}` });
      expect(await code(flow.opened)).toBe('exit_connect_failed');
    }
    await expect(client.find('ab')).rejects.toMatchObject({ code: 'argument_invalid' });
    const nobody = client.find('00'.repeat(32), { signal: AbortSignal.timeout(10) });
    await expect(nobody).rejects.toMatchObject({ code: 'aborted' });
    // An exit that does not listen is no place to go by its id.
    expect(await code(client.dial({ node: exit, port: 80 }).opened)).toBe('peer_unknown');
    expect(await code(client.dial({ node: '00'.repeat(32), port: 80 }).opened)).toBe('peer_unknown');
    for (const wrong of ['nobody.wayfare', '.wayfare', `${client.id}.wayfare`])
      expect(() => client.dial({ host: wrong, port: 80 })).toThrow(/node/);
    expect(() => client.dial({ node: 'ab', port: 80 })).toThrow(/64 hex digits/);
  });
});
