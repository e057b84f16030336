/** A network on loopback for the page: relays that answer browsers, exits, a web server to go to, and one that serves the page. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { createNode, type NodeOptions, type WayfareNode } from 'wayfare';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

export interface PageNetwork extends AsyncDisposable {
  /** Of the page. */
  url: string;
  nodes: WayfareNode[];
  /** What the page is to download: its length, and SHA-256 in hex. */
  content: { bytes: number; sha256: string };
  /** Where the destination's connections came from, `ip:port`. */
  seen: string[];
}

/** Serves the files of `folder`, and a download of `bytes` through the network; `more` adds to the options of each node. */
export async function startPageNetwork(
  folder: string,
  bytes: number,
  more: (index: number) => NodeOptions = () => ({}),
): Promise<PageNetwork> {
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end();
  };
  const serve = async (listener: RequestListener) => {
    const server = createServer(listener);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closers.push(() => {
      server.closeAllConnections();
      server.close();
    });
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  try {
    const nodes: WayfareNode[] = [];
    const roles: NonNullable<NodeOptions['roles']>[number][] = ['relay', 'relay', 'relay', 'exit', 'exit'];
    for (const role of roles) {
      const bootstrap = nodes.slice(0, 1).map(({ id, addresses: [address = ''] }) => ({ id, address }));
      // Loopback only for a destination on this very machine; see ExitOptions.
      const node = await createNode({
        roles: [role],
        listen: ['127.0.0.1:0'],
        bootstrap,
        exit: { allow_loopback: true },
        ...more(nodes.length),
      });
      nodes.push(node);
      closers.push(() => node.close());
    }
    const content = Buffer.alloc(bytes, 'what a page downloads through three hops, again and again; ');
    const seen: string[] = [];
    const destination = await serve(({ socket }, response) => {
      seen.push(`${socket.remoteAddress}:${socket.remotePort}`);
      response.setHeader('content-length', bytes).end(content);
    });
    const network = JSON.stringify({ bootstrap: nodes.slice(0, 2).map(peerOf), url: `${destination}/download` });
    const url = await serve(async ({ url = '/' }, response) => {
      const name = url === '/' ? '/index.html' : url;
      response.setHeader('content-type', TYPES[extname(name)] ?? 'text/plain');
      if (name === '/network.json') return void response.end(network);
      // The bundle's own files and no others.
      const file = /^\/[a-z_]+\.(html|js|wasm)$/.test(name)
        ? await readFile(join(folder, name)).catch(() => null)
        : null;
      if (file === null) response.statusCode = 404;
      response.end(file ?? 'not here');
    });
    const sha256 = createHash('sha256').update(content).digest('hex');
    return { url: `${url}/`, nodes, content: { bytes, sha256 }, seen, [Symbol.asyncDispose]: close };
  } catch (error) {
    await close();
    throw error;
  }
}

function peerOf(node: WayfareNode): { id: string; address: string; hashes: string[]; host?: string } {
  const { webtransport, reliable, addresses } = node.descriptor() ?? {};
  const hashes = webtransport?.hashes ?? [];
  return {
    id: node.id,
    address: addresses?.[0] ?? '',
    hashes: hashes.map((hash) => Buffer.from(hash).toString('hex')),
    ...(reliable?.host !== undefined && { host: reliable.host }),
  };
}
