/** The destination of the self-check: an HTTP server on loopback with known random content that notes who came. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { joinHostPort } from '../base/config/index.js';

export interface Origin {
  port: number;
  /** Path of the content. Random, so that nothing else asks for it. */
  path: string;
  bytes: number;
  /** SHA-256 of the content, hex. */
  sha256: string;
  /** `ip:port` of every peer that asked for the content, in order. */
  seen: string[];
  close(): Promise<void>;
}

export async function startOrigin(bytes: number): Promise<Origin> {
  const content = randomBytes(bytes);
  const path = `/${randomBytes(8).toString('hex')}`;
  const seen: string[] = [];
  const make = () =>
    createServer((request, response) => {
      if (request.url !== path) {
        response.writeHead(404).end();
        return;
      }
      seen.push(joinHostPort(request.socket.remoteAddress ?? '', request.socket.remotePort ?? 0));
      response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': bytes }).end(content);
    });
  const servers: Server[] = [make()];
  servers[0]!.listen(0, '127.0.0.1');
  await once(servers[0]!, 'listening');
  const { port } = servers[0]!.address() as AddressInfo;
  // `localhost` may mean ::1 to the exit's resolver; where this machine has no IPv6, it cannot.
  const six = make();
  await new Promise<void>((resolve) => {
    six.once('error', () => resolve());
    six.listen(port, '::1', () => {
      servers.push(six);
      resolve();
    });
  });
  return {
    port,
    path,
    bytes,
    sha256: createHash('sha256').update(content).digest('hex'),
    seen,
    async close() {
      for (const server of servers) {
        server.closeAllConnections();
        await new Promise((done) => server.close(done));
      }
    },
  };
}
