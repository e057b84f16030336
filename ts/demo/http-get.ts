/** GET through the SOCKS proxy, `http:` or `https:`; one request, one connection. */
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import type { HostPort } from '../base/config/index.js';
import { NetworkError, UsageError } from '../base/errors.js';
import { connectSocks } from './socks-client.js';

export interface Fetched {
  response: IncomingMessage;
  /** The exit's own socket towards the destination. */
  bound: string;
  started_ms: number;
}

export function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw new UsageError('argument_invalid', `"${text}" is no URL to fetch`, {
      hint: 'give http://HOST/… or https://HOST/…',
    });
  }
  return url;
}

export async function httpGet(
  proxy: HostPort,
  url: URL,
  options: { signal?: AbortSignal; credentials?: { user: string; password: string } } = {},
): Promise<Fetched> {
  const started_ms = performance.now();
  const secure = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = Number(url.port) || (secure ? 443 : 80);
  const { socket, bound } = await connectSocks(proxy, { host, port, ...options });
  let stream: Socket = socket;
  if (secure) {
    const tls = tlsConnect({ socket, servername: host, ALPNProtocols: ['http/1.1'] });
    await once(tls, 'secureConnect').catch((cause) => {
      throw new NetworkError('connection_failed', `TLS with the destination failed: ${(cause as Error).message}`, {
        cause,
      });
    });
    stream = tls;
  }
  const headers = { Host: url.host, 'User-Agent': 'wayfare', Accept: '*/*', Connection: 'close' };
  const request = httpRequest({
    createConnection: () => stream,
    path: url.pathname + url.search,
    headers,
    ...(options.signal && { signal: options.signal }),
  });
  request.end();
  const [response] = (await once(request, 'response').catch((cause) => {
    throw new NetworkError('connection_failed', `the destination gave no answer: ${(cause as Error).message}`, {
      cause,
    });
  })) as [IncomingMessage];
  return { response, bound, started_ms };
}
