/**
 * Answers proxy requests: which connection carries which client's flow. The bytes never come here.
 *
 * Invariant: every request is answered once, by `proxyAssign` or `proxyRefuse`; a SOCKS user's flows share no circuit with
 * another's.
 */
import { asWayfareError } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import type { CircuitPool } from '../circuit/pool.js';
import type { HostEvent, NodeHost, ProxyRequestId } from '../core/host.js';

export interface DeskParts {
  host: NodeHost;
  log: Log;
  pool: Pick<CircuitPool, 'route' | 'hold'>;
}

export class ProxyDesk {
  readonly #parts: DeskParts;
  /** Requests that are not over; the value lets go of the route, once one is assigned. */
  readonly #open = new Map<ProxyRequestId, (() => void) | null>();
  #draining = false;

  constructor(parts: DeskParts) {
    this.#parts = parts;
  }

  get open(): number {
    return this.#open.size;
  }

  drain(): void {
    this.#draining = true;
  }

  handle(event: HostEvent): void {
    if (event.type === 'proxy_request') void this.#answer(event);
    if (event.type === 'proxy_closed') {
      this.#open.get(event.request)?.();
      this.#open.delete(event.request);
    }
  }

  async #answer({ request, user }: Extract<HostEvent, { type: 'proxy_request' }>): Promise<void> {
    const { host, pool, log } = this.#parts;
    if (this.#draining) return host.proxyRefuse(request, 'draining');
    this.#open.set(request, null);
    try {
      const route = await pool.route(user === undefined ? '' : `user:${user}`);
      // The client may have left while the circuit was built.
      if (!this.#open.has(request)) return;
      this.#open.set(request, pool.hold(route));
      host.proxyAssign(request, route.connection);
    } catch (error) {
      if (!this.#open.delete(request)) return;
      const { code } = asWayfareError(error, 'circuit_failed');
      log.warn('proxy request refused', { code });
      host.proxyRefuse(request, code);
    }
  }
}
