/**
 * The server at the far end: random content of any size, a page with images, the address it sees its client at, and
 * connections that never say anything. On loopback, over HTTP or HTTPS.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { selfSigned } from './certificate.js';
import { pieces } from './content.js';
import { png } from './png.js';

export interface Peer {
  address: string;
  port: number;
}

export interface Origin {
  host: string;
  port: number;
  /** `http://host:port`, no slash. */
  url: string;
  /** Where each connection came from, in order. */
  connections: Peer[];
  /** Paths asked for, in order. */
  requests: string[];
  /** Bytes handed to the sockets of answers under `/bytes`. */
  served: number;
  close(): Promise<void>;
}

export const IMAGES = 6;
export const imageSize = (index: number) => ({ width: 40 + 7 * index, height: 24 + 5 * index });

function page(): string {
  const images = Array.from({ length: IMAGES }, (_, i) => `<img id="image${i}" src="/image/${i}.png" alt="${i}">`);
  return `<!doctype html><meta charset="utf-8"><title>Page with images</title><h1>Images</h1>${images.join('')}`;
}

/** Resolves once it listens, on a port of its own choosing. */
export async function startOrigin({ host = '127.0.0.1', secure = false } = {}): Promise<Origin> {
  const connections: Peer[] = [];
  const requests: string[] = [];
  const origin = { served: 0 };

  async function bytes(response: ServerResponse, seed: number, length: number): Promise<void> {
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': length });
    const counted = function* () {
      for (const piece of pieces(seed, length)) {
        yield piece;
        origin.served += piece.length;
      }
    };
    await pipeline(Readable.from(counted(), { objectMode: true, highWaterMark: 2 }), response);
  }

  async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: body.toString('base64'),
        address: request.socket.remoteAddress,
        port: request.socket.remotePort,
      }),
    );
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://origin');
    requests.push(url.pathname);
    const [, first = '', second = '', third = ''] = url.pathname.split('/');
    if (first === 'bytes') return bytes(response, Number(second), Number(third));
    if (first === 'echo') return echo(request, response);
    if (first === 'silence') return;
    if (first === 'image') {
      const index = Number.parseInt(second, 10);
      const { width, height } = imageSize(index);
      response.writeHead(200, { 'content-type': 'image/png', 'cache-control': 'no-store' });
      response.end(png(index, width, height));
      return;
    }
    if (first === '') {
      response.writeHead(200, { 'content-type': 'text/html' });
      response.end(page());
      return;
    }
    response.writeHead(404).end();
  }

  const handle = (request: IncomingMessage, response: ServerResponse) => {
    answer(request, response).catch(() => response.destroy());
  };
  const server: Server = secure ? createSecureServer(selfSigned(), handle) : createServer(handle);
  server.on('connection', (socket) => {
    connections.push({ address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    host,
    port,
    url: `${secure ? 'https' : 'http'}://${name}:${port}`,
    connections,
    requests,
    get served() {
      return origin.served;
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
