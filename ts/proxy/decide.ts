/**
 * Which connection a proxied flow gets: that of its SOCKS user, so that flows with different credentials never share one.
 *
 * Invariant: every request is answered once; its lease ends when the request's flow does.
 */
import { asWayfareError, UsageError } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import type { Lease } from '../circuit/pool.js';
import type { HostEvent, NodeHost, ProxyRequestId } from '../core/host.js';

/** Hands out connections by isolation key. */
export interface Connections {
  lease(key?: string): Promise<Lease>;
}

export class ProxyDecisions {
  readonly #host: NodeHost;
  readonly #connections: Connections;
  readonly #log: Log;
  readonly #leases = new Map<ProxyRequestId, Lease | null>();

  constructor(host: NodeHost, connections: Connections, log: Log) {
    this.#host = host;
    this.#connections = connections;
    this.#log = log;
  }

  /** Requests being decided or served. */
  get open(): number {
    return this.#leases.size;
  }

  handle(event: HostEvent): void {
    if (event.type === 'proxy_request') void this.#decide(event.request, event.user);
    else if (event.type === 'proxy_closed') {
      this.#leases.get(event.request)?.release();
      this.#leases.delete(event.request);
    }
  }

  async #decide(request: ProxyRequestId, user: string | undefined): Promise<void> {
    this.#leases.set(request, null);
    try {
      const lease = await this.#connections.lease(user === undefined ? undefined : `user:${user}`);
      if (!this.#leases.has(request)) return lease.release();
      this.#leases.set(request, lease);
      this.#host.proxyAssign(request, lease.connection);
    } catch (error) {
      const { code } = asWayfareError(error);
      this.#log.debug('no connection for a proxied flow', { code });
      if (this.#leases.delete(request)) this.#host.proxyRefuse(request, code);
    }
  }
}

/** Splits `ip:port`; `null` where it is neither. */
function ipOf(address: string): string | null {
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|(\d{1,3}(?:\.\d{1,3}){3})):\d{1,5}$/.exec(address);
  return match === null ? null : (match[1] ?? match[2] ?? null);
}

export function isLoopback(address: string): boolean {
  const ip = ipOf(address);
  return ip !== null && (ip === '::1' || /^127\./.test(ip));
}

/** Refuses to serve strangers: a proxy that others can reach demands credentials. `name` is the option to blame. */
export function checkProxyListen(name: string, address: string, credentials: unknown): void {
  if (ipOf(address) === null)
    throw new UsageError('argument_invalid', `${name} must be IP:PORT, such as 127.0.0.1:1080, not "${address}"`);
  if (!isLoopback(address) && credentials === undefined) {
    throw new UsageError('argument_invalid', `${name} ${address} can be reached by others`, {
      hint: 'give the proxy credentials, or a loopback address',
    });
  }
}
