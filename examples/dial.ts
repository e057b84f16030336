/**
 * Embedding Wayfare: a node in this process dials through three hops, and speaks HTTP over the streams.
 *
 *   npx tsx examples/dial.ts                                     a network of its own, on loopback, with an origin server
 *   npx tsx examples/dial.ts http://example.com/ ID@IP:PORT …    a running network, entered at these bootstrap peers
 *
 * In your own project import from 'wayfare' instead of the path below.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createNode, type NodeOptions, type WayfareNode } from '../ts/platform/node.js';

const [url, ...peers] = process.argv.slice(2);
const closers: (() => unknown)[] = [];

try {
  const { target, bootstrap } =
    url === undefined ? await ownNetwork() : { target: new URL(url), bootstrap: peers.map(peer) };
  const node = await createNode({ roles: ['client'], bootstrap });
  closers.push(() => node.close());
  await node.ready(AbortSignal.timeout(10_000));
  await get(node, target);
} finally {
  for (const close of closers.reverse()) await close();
}

async function get(node: WayfareNode, target: URL): Promise<void> {
  const connection = node.dial(
    { host: target.hostname, port: Number(target.port || 80) },
    { signal: AbortSignal.timeout(15_000) },
  );
  const { local } = await connection.opened;
  const path = node.path().map((hop) => `${hop.role} ${hop.id.slice(0, 8)}`);
  console.error(`path: ${path.join(' → ')}, leaving from ${local}`);

  const writer = connection.writable.getWriter();
  const request = `GET ${target.pathname}${target.search} HTTP/1.1\r\nHost: ${target.host}\r\nConnection: close\r\n\r\n`;
  await writer.write(new TextEncoder().encode(request));
  for await (const chunk of connection.readable) process.stdout.write(chunk);
  await connection.close();
}

/** Two relays and two exits in this process, and an origin server on loopback that the exits are allowed to reach. */
async function ownNetwork() {
  const bootstrap: NonNullable<NodeOptions['bootstrap']> = [];
  const roles: NodeOptions['roles'][] = [['relay'], ['relay'], ['exit'], ['exit']];
  for (const mix of roles) {
    const made: WayfareNode = await createNode({
      roles: mix ?? [],
      listen: ['127.0.0.1:0'],
      bootstrap,
      // Only for an origin on this very machine; see ExitOptions.
      exit: { allow_loopback: true },
    });
    closers.push(() => made.close());
    if (bootstrap.length === 0) bootstrap.push({ id: made.id, address: made.addresses[0] ?? '' });
  }
  const origin = createServer((incoming, response) =>
    response.end(`You came from port ${incoming.socket.remotePort}.\n`),
  );
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  closers.push(() => origin.close());
  const { port } = origin.address() as AddressInfo;
  return { target: new URL(`http://127.0.0.1:${port}/`), bootstrap };
}

function peer(text: string): { id: string; address: string } {
  const [id = '', address = ''] = text.split('@');
  return { id, address };
}
