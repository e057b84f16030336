/**
 * How a page reaches relays: WebTransport to the addresses in their descriptors, and WebSocket to their names where its network lets
 * no UDP through. Nobody can call a page.
 */
import { NetworkError } from '../base/errors.js';
import type { Reached, Transports } from '../host/ports.js';
import { checkWebTransport, openBrowserSession } from '../transport/browser.js';
import { hasWebSocket, openSocketSession } from '../transport/browser-socket.js';
import type { ReliableTransports } from '../transport/reliable-ports.js';
import type { Session } from '../transport/session.js';

export class BrowserTransports implements Transports {
  readonly #sessions = new Set<Session>();

  async start(): Promise<string[]> {
    if (!hasWebSocket()) checkWebTransport();
    return [];
  }

  async dial(_peer: string, addresses: string[], hashes: Uint8Array[], signal: AbortSignal): Promise<Reached> {
    let cause: unknown;
    for (const address of addresses) {
      try {
        const session = await openBrowserSession(address, hashes, signal);
        this.#sessions.add(session);
        const over = () => this.#sessions.delete(session);
        session.closed.then(over, over);
        return { session, address, transport: 'webtransport', bindings: hashes };
      } catch (error) {
        if (signal.aborted) throw error;
        cause = error;
      }
    }
    throw new NetworkError('link_failed', 'the relay answers at none of its addresses', { cause });
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.close({ reason: 'closed' });
  }
}

export const socketTransports: ReliableTransports = {
  byName: true,
  async dial(kind, address, _hashes, signal) {
    if (kind !== 'websocket') throw new NetworkError('link_failed', 'a page has HTTP/2 for requests alone');
    return { kind, session: await openSocketSession(address, signal), address, bindings: [] };
  },
  listen: () => Promise.reject(new NetworkError('link_failed', 'nobody can call a page')),
};
