/**
 * What the examples share: a client node, and somewhere to go.
 *
 * Without arguments they make a network of their own on loopback, with a web server as the destination. With arguments they enter a
 * running network: `node examples/fetch.ts http://example.com/ ID@IP:PORT …`
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type BootstrapPeer, createNode, type NodeOptions, type WayfareNode } from 'wayfare';

export interface Entered {
  /** A client that has found a path. */
  node: WayfareNode;
  /** Where to go. */
  url: URL;
  /** Where the network was entered. */
  peers: BootstrapPeer[];
  close(): Promise<void>;
}

export async function enter([url, ...peers]: string[] = process.argv.slice(2)): Promise<Entered> {
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end();
  };
  try {
    const found = url === undefined ? await ownNetwork(closers) : { url: new URL(url), bootstrap: peers.map(peer) };
    const node = await createNode({ roles: ['client'], bootstrap: found.bootstrap });
    closers.push(() => node.close());
    await node.ready(AbortSignal.timeout(20_000));
    return { node, url: found.url, peers: found.bootstrap, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Two relays and two exits in this process, and a web server on loopback that the exits are allowed to reach. */
async function ownNetwork(closers: (() => unknown)[]): Promise<{ url: URL; bootstrap: BootstrapPeer[] }> {
  const bootstrap: BootstrapPeer[] = [];
  const roles: NonNullable<NodeOptions['roles']>[number][] = ['relay', 'relay', 'exit', 'exit'];
  for (const role of roles) {
    const node = await createNode({
      roles: [role],
      listen: ['127.0.0.1:0'],
      bootstrap,
      // Only for a server on this very machine; see ExitOptions.
      exit: { allow_loopback: true },
    });
    closers.push(() => node.close());
    if (bootstrap.length === 0) bootstrap.push({ id: node.id, address: node.addresses[0] ?? '' });
  }
  const server = createServer(({ socket }, response) => response.end(`You came from port ${socket.remotePort}.\n`));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`), bootstrap };
}

function peer(text: string): BootstrapPeer {
  const [id = '', address = ''] = text.split('@');
  return { id, address };
}
