/**
 * Answers proxy requests: which connections carry which client's flow. The bytes never come here.
 *
 * Invariant: every request is answered, by assignments or one refusal; a SOCKS user's flows share no circuit with another's.
 */
import { asWayfareError, errorOf } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import {
  type ConnectionId,
  type HostEvent,
  type NodeHost,
  PROXY_MOVED,
  type ProxyMoved,
  type ProxyRequestId,
} from '../core/host.js';
import type { FlowAsked } from '../credit/priorities.js';
import type { Alike } from '../egress/ahead.js';
import type { Egress, ExitFlow } from '../egress/egress.js';
import { isolationKey } from '../egress/isolation.js';
import type { CallOff } from '../egress/race.js';

export interface DeskParts {
  host: NodeHost;
  log: Log;
  egress: Pick<Egress, 'connect'>;
  /** The isolation key of a flow of this priority. Default: as it is. */
  keyFor?(isolation: string, flow: FlowAsked): string;
}

type Asked = Extract<HostEvent, { type: 'proxy_request' }>;
type Over = Extract<HostEvent, { type: 'proxy_closed' }>;

/** That the client has left. */
class Departure implements CallOff {
  aborted = false;
  #tell: (() => void) | null = null;

  addEventListener(_: 'abort', listener: () => void): void {
    this.#tell = listener;
  }

  removeEventListener(): void {
    this.#tell = null;
  }

  happened(): void {
    this.aborted = true;
    this.#tell?.();
  }
}

interface Waiting {
  resolve(): void;
  reject(error: unknown): void;
}

/** A request that is not over. */
interface Request {
  left: Departure;
  /** By connection. */
  attempts: Map<ConnectionId, Waiting>;
  flow: ExitFlow | null;
  /** An exit has it. */
  opened: boolean;
  /** What moved before the flow was known here. */
  early: ProxyMoved[];
}

export class ProxyDesk {
  readonly #parts: DeskParts;
  readonly #open = new Map<ProxyRequestId, Request>();
  #draining = false;
  #collecting = false;

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
    switch (event.type) {
      case 'proxy_request':
        void this.#answer(event);
        return;
      case 'proxy_opened': {
        const request = this.#open.get(event.request);
        if (request === undefined) return;
        request.opened = true;
        request.attempts.get(event.connection)?.resolve();
        return;
      }
      case 'proxy_failed':
        this.#open
          .get(event.request)
          ?.attempts.get(event.connection)
          ?.reject(errorOf(event.reason, `an exit did not connect: ${event.reason.replaceAll('_', ' ')}`));
        return;
      case 'proxy_closed':
        this.#over(event);
        return;
    }
  }

  /** Asks what the requests have moved. */
  collect(): void {
    if (this.#collecting || this.#open.size === 0) return;
    this.#collecting = true;
    this.#parts.host
      .proxyMoved()
      .then((rows) => {
        for (let at = 0; at < rows.length; at += PROXY_MOVED) {
          const [id, first_us, last_us, sent, received, pieces_sent, pieces_received] = rows.subarray(
            at,
            at + PROXY_MOVED,
          ) as unknown as [number, number, number, number, number, number, number];
          this.#moved(id, { first_us, last_us, sent, received, pieces_sent, pieces_received });
        }
      })
      .catch(() => {})
      .finally(() => {
        this.#collecting = false;
      });
  }

  #moved(id: ProxyRequestId, moved: ProxyMoved): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    if (request.flow === null) request.early.push(moved);
    else request.flow.moved(moved);
  }

  #over({ request: id, moved }: Over): void {
    const request = this.#open.get(id);
    if (request === undefined) return;
    if (moved !== undefined) this.#moved(id, moved);
    this.#open.delete(id);
    if (request.flow !== null) request.flow.end();
    // One that an exit has is about to be told of it; the others have nobody to connect for.
    else if (!request.opened) request.left.happened();
  }

  async #answer(event: Asked): Promise<void> {
    const { request: id, kind, protocol: inlet, host: name, port, user, source, ahead } = event;
    const { host, egress, log, keyFor } = this.#parts;
    // One that has taken a decision began before that was taken back.
    if (this.#draining && ahead === undefined) return host.proxyRefuse(id, 'draining');
    if (kind === 'udp') return host.proxyAccept(id);
    const request: Request = {
      left: new Departure(),
      attempts: new Map(),
      flow: null,
      opened: false,
      early: [],
    };
    this.#open.set(id, request);
    const own = user === undefined ? '' : isolationKey({ inlet: 'proxy', user });
    const asked = { inlet: inlet === 'http' ? 'http' : 'socks', user: nameOf(user), host: name, port };
    const isolation = keyFor?.(own, asked) ?? own;
    const protocol = kind === 'tcp' ? 'tcp' : 'udp';
    try {
      const { flow } = await egress.connect(
        { host: name, port, isolation, protocol, source, ahead, alike: this.#alike(event) },
        { begin: (connection, begun) => this.#assign(id, request, connection, begun), discard() {} },
        request.left,
      );
      for (const moved of request.early) flow.moved(moved);
      if (this.#open.has(id)) request.flow = flow;
      else flow.end();
    } catch (error) {
      if (!this.#open.delete(id)) return;
      const { code } = asWayfareError(error, 'circuit_failed');
      log.warn('proxy request refused', { code });
      host.proxyRefuse(id, code);
    }
  }

  #assign(id: ProxyRequestId, request: Request, connection: ConnectionId, begun: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      request.attempts.set(connection, { resolve, reject });
      if (!begun) this.#parts.host.proxyAssign(id, connection);
    });
  }

  /** Requests that differ from this one in nothing that is looked at but their sources. */
  #alike({ kind, protocol, user, host: name, port }: Asked): Alike | undefined {
    const { host } = this.#parts;
    if (kind !== 'tcp' || host.proxyAhead === undefined) return undefined;
    const wanted = { protocol, host: name, port, ...(user !== undefined && { user }) };
    return {
      name: JSON.stringify([protocol, user ?? null, name, port]),
      decide: (id, { connection }) => host.proxyAhead?.({ id, connection, ...wanted }),
      revoke: (id) => host.proxyAheadRevoke?.(id) ?? Promise.resolve(true),
    };
  }
}

/** The name in what the driver has made of name and password: `name:password`, percent-encoded. */
function nameOf(user: string | undefined): string | undefined {
  if (user === undefined) return undefined;
  const name = user.slice(0, user.indexOf(':'));
  try {
    return decodeURIComponent(name);
  } catch {
    // Bytes that are no text have no name that a rule could hold.
    return name;
  }
}
