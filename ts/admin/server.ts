/**
 * The admin port: `/livez`, `/readyz`, `/metrics`, `/v1/*`, on loopback alone.
 *
 * Invariant: every answer has passed `judge`; only `/livez` and `/readyz` pass without the token.
 */
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { isLoopback, joinHostPort, splitHostPort } from '../base/config/index.js';
import { asWayfareError, ConfigError, errorOf, SystemError } from '../base/errors.js';
import type { AccountsReport, CreditsReport } from '../credit/report.js';
import type { PathsReport } from '../egress/report.js';
import type { NodePeer, NodeStatus } from '../runtime/options.js';
import { judge } from './guard.js';
import { renderMetrics } from './metrics.js';

/** What the port shows of a node. */
export interface AdminNode {
  status(): Promise<NodeStatus>;
  peers(): Promise<NodePeer[]>;
  paths(): PathsReport;
  credits(): CreditsReport;
  accounts(): AccountsReport;
  ping(id: string, count?: number): Promise<{ rtt_us: number; rtts_us: number[] }>;
}

export interface AdminOptions {
  /** A loopback `ip:port`; port 0 picks one. */
  listen: string;
  token: string;
  /** The package's version, for `/metrics`. */
  version: string;
}

export interface AdminServer {
  /** The bound `ip:port`. */
  address: string;
  close(): Promise<void>;
}

const OPEN = new Set(['/livez', '/readyz']);

export function adminApp(node: AdminNode, options: AdminOptions, port: () => number): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    c.header('Cache-Control', 'no-store');
    c.header('X-Content-Type-Options', 'nosniff');
    const verdict = judge(
      {
        host: c.req.header('host'),
        origin: c.req.header('origin'),
        fetchSite: c.req.header('sec-fetch-site'),
        authorization: c.req.header('authorization'),
      },
      port(),
      OPEN.has(c.req.path) ? null : options.token,
    );
    if (verdict.status === 200) return next();
    if (verdict.status === 401) c.header('WWW-Authenticate', 'Bearer realm="wayfare"');
    return c.json({ error: { code: verdict.code, message: verdict.message } }, verdict.status);
  });
  app.get('/livez', (c) => c.text('ok\n'));
  app.get('/readyz', async (c) => {
    const { ready, reasons } = await node.status();
    return ready ? c.text('ok\n') : c.text(`not ready: ${reasons.join('; ')}\n`, 503);
  });
  app.get('/metrics', async (c) =>
    c.text(renderMetrics(await node.status(), node.paths(), node.accounts(), options.version), 200, {
      'Content-Type': 'text/plain; version=0.0.4; charset=utf-8',
    }),
  );
  app.get('/v1/status', async (c) => c.json({ schema: 'wayfare.status', version: 1, ...(await node.status()) }));
  app.get('/v1/peers', async (c) => c.json({ schema: 'wayfare.peers', version: 1, peers: await node.peers() }));
  app.get('/v1/paths', (c) => c.json({ schema: 'wayfare.paths', version: 1, ...node.paths() }));
  app.get('/v1/credits', async (c) => c.json({ schema: 'wayfare.credits', version: 1, ...node.credits() }));
  app.post('/v1/ping', async (c) => {
    const { id, count } = (await c.req.json().catch(() => ({}))) as { id?: unknown; count?: unknown };
    if (
      typeof id !== 'string' ||
      !(count === undefined || (Number.isInteger(count) && (count as number) >= 1 && (count as number) <= 100))
    ) {
      throw errorOf('argument_invalid', 'ping takes {"id": 64 hex digits, "count": 1 to 100}');
    }
    const { rtt_us, rtts_us } = await node.ping(id, count as number | undefined);
    return c.json({ schema: 'wayfare.ping', version: 1, id, rtt_us, rtts_us });
  });
  app.notFound((c) =>
    c.json(
      {
        error: {
          code: 'not_found',
          message: 'valid: /livez /readyz /metrics /v1/status /v1/peers /v1/paths /v1/credits /v1/ping',
        },
      },
      404,
    ),
  );
  app.onError((caught, c) => {
    const error = asWayfareError(caught);
    const status =
      error.code === 'argument_invalid' ? 400 : error.code === 'closed' || error.code === 'draining' ? 503 : 502;
    return c.json({ error: { code: error.code, message: error.sentence } }, status);
  });
  return app;
}

/** Listens; rejects with `address_in_use` and the key to change. */
export function startAdmin(node: AdminNode, options: AdminOptions): Promise<AdminServer> {
  const parts = splitHostPort(options.listen);
  if (parts === null || !isLoopback(options.listen)) {
    throw new ConfigError('config_invalid', `the admin port cannot listen on ${options.listen}`, {
      hint: 'valid: a loopback address',
    });
  }
  let port = parts.port;
  const app = adminApp(node, options, () => port);
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: parts.host, port: parts.port }, (info: AddressInfo) => {
      port = info.port;
      resolve({
        address: joinHostPort(parts.host, port),
        close: () =>
          new Promise((done) => {
            server.close(() => done());
            if ('closeAllConnections' in server) server.closeAllConnections();
          }),
      });
    });
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      reject(
        new SystemError(
          taken ? 'address_in_use' : 'address_unavailable',
          `the admin port cannot listen on ${options.listen}`,
          {
            cause,
            hint: taken ? 'it is taken; set admin.listen to another address' : cause.message,
          },
        ),
      );
    });
  });
}
