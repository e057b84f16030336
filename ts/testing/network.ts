/**
 * A network of whole nodes on loopback, for tests: real keys, real sockets, real links.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createNode, type NodeOptions, type WayfareNode } from '../platform/node.js';

export interface TestNetwork extends AsyncDisposable {
  relays: WayfareNode[];
  exits: WayfareNode[];
  client: WayfareNode;
  /** The node of this id. */
  node(id: string): WayfareNode;
}

/** Relays, exits and a client that knows them all. */
export async function startNetwork(
  relayCount: number,
  exitCount: number,
  more: NodeOptions = {},
  ofExit: (index: number) => NodeOptions = () => ({}),
): Promise<TestNetwork> {
  const nodes: WayfareNode[] = [];
  const add = async (options: NodeOptions) => {
    const first = nodes[0];
    const bootstrap = first === undefined ? [] : [{ id: first.id, address: first.addresses[0] as string }];
    const node = await createNode({
      listen: ['127.0.0.1:0'],
      exit: { allow_loopback: true },
      bootstrap,
      ...more,
      ...options,
    });
    nodes.push(node);
    return node;
  };
  const close = async () => void (await Promise.all(nodes.reverse().map((node) => node.close())));
  try {
    const relays: WayfareNode[] = [];
    const exits: WayfareNode[] = [];
    for (let i = 0; i < relayCount; i++) relays.push(await add({ roles: ['relay'] }));
    for (let i = 0; i < exitCount; i++) exits.push(await add({ roles: ['exit'], ...ofExit(i) }));
    const client = await add({ roles: ['client'] });
    await client.ready(AbortSignal.timeout(10_000));
    const signal = AbortSignal.timeout(10_000);
    for (const { id } of [...relays, ...exits]) await client.find(id, { signal });
    const all = [...nodes];
    const byId = (id: string) => {
      const found = all.find((node) => node.id === id);
      if (found === undefined) throw new Error(`no node ${id}`);
      return found;
    };
    return { relays, exits, client, node: byId, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

export interface TestOrigin extends AsyncDisposable {
  port: number;
  /** Where its connections came from, `ip:port`. */
  seen: string[];
}

/** A TCP server on loopback. */
export async function startOrigin(serve: (socket: Socket) => void): Promise<TestOrigin> {
  const seen: string[] = [];
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    seen.push(`${socket.remoteAddress}:${socket.remotePort}`);
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    seen,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

export async function readAll(readable: ReadableStream<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of readable) chunks.push(chunk);
  return Buffer.concat(chunks);
}
