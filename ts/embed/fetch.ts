/**
 * `fetch` through the network: undici's own, with dispatchers that connect by flows.
 *
 * Why not the built-in one: a dispatcher of one undici does not always fit the `fetch` of another, and Node's is whichever it was
 * built with.
 *
 * Invariant: no request leaves by any dispatcher but those of this node; requests of different isolation keys share no connection.
 */
import {
  Agent,
  type BodyInit,
  type Request as FetchRequest,
  FormData,
  Request,
  type RequestInit,
  type Response,
  fetch as undiciFetch,
} from 'undici';
import { asWayfareError, UsageError } from '../base/errors.js';
import type { Dial } from './agent.js';
import { secure, type TlsOptions } from './tls.js';

/** Dispatchers kept, one per isolation key; the one that was used longest ago is closed when its requests are done. */
const DISPATCHERS_MAX = 64;

/** Which circuit, and which TLS inside it. */
export interface DispatcherOptions {
  /** Requests of different keys never share a circuit, nor a connection. */
  isolation?: string;
  /** The TLS inside the circuit. */
  tls?: TlsOptions;
}

/** undici's `RequestInit`, and which circuit. */
export interface FetchInit extends RequestInit {
  /** Requests of different keys never share a circuit, nor a connection. */
  isolation?: string;
}

/** Where from: a URL, or a `Request` of Node's own or undici's. */
export type FetchInput = string | URL | FetchRequest | globalThis.Request;

/** undici's `Agent`, whose connections are flows. `close()` lets running requests end, `destroy()` breaks them off. */
export class FlowDispatcher extends Agent {
  /** The same as `close()`; nothing where it is closed already. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.closed && !this.destroyed) await this.close();
  }
}

/** Dispatchers by isolation key, and `fetch` over them. */
export class Fetcher {
  readonly #dial: (isolation: string | undefined) => Dial;
  readonly #kept = new Map<string | undefined, FlowDispatcher>();
  /** All that are open, so that they end with the node. */
  readonly #open = new Set<FlowDispatcher>();
  /** All there have been: what leads through the network. */
  readonly #made = new WeakSet<object>();

  constructor(dial: (isolation: string | undefined) => Dial) {
    this.#dial = dial;
  }

  /** A dispatcher of the caller's, who closes it; it ends with the node at the latest. */
  dispatcher({ isolation, tls }: DispatcherOptions = {}): FlowDispatcher {
    for (const agent of this.#open) if (agent.destroyed) this.#open.delete(agent);
    const dial = this.#dial(isolation);
    const agent = new FlowDispatcher({
      connect: ({ hostname, port, protocol, servername }, done) => {
        // undici writes IPv6 addresses as URLs do.
        const host = hostname.replace(/^\[(.*)\]$/, '$1');
        try {
          const flow = dial({ host, port: Number(port || (protocol === 'https:' ? 443 : 80)) });
          const name = tls?.servername ?? servername;
          const socket =
            protocol === 'https:' ? secure(flow, host, { ...tls, ...(name != null && { servername: name }) }) : flow;
          const failed = (error: Error) => done(error, null);
          socket.once('error', failed);
          socket.once(protocol === 'https:' ? 'secureConnect' : 'connect', () => {
            socket.off('error', failed);
            // undici calls of a socket what FlowDuplex has (see its tests).
            done(null, socket as Parameters<typeof done>[1] & object);
          });
        } catch (error) {
          done(asWayfareError(error), null);
        }
      },
    });
    this.#open.add(agent);
    this.#made.add(agent);
    return agent;
  }

  async fetch(input: FetchInput, init: FetchInit = {}): Promise<Response> {
    const { isolation, dispatcher, ...rest } = init;
    if (dispatcher !== undefined && !this.#made.has(dispatcher)) {
      throw new UsageError('argument_invalid', 'this dispatcher does not lead through the network', {
        hint: 'make it with node.dispatcher()',
      });
    }
    const by = dispatcher ?? this.#keptFor(isolation);
    const body = rest.body == null ? {} : { body: bodyOf(rest.body) };
    return undiciFetch(requestOf(input), { ...rest, ...body, dispatcher: by });
  }

  /** Breaks off what runs. */
  async close(): Promise<void> {
    const open = [...this.#open];
    this.#open.clear();
    this.#kept.clear();
    await Promise.all(open.map((agent) => agent.destroy()));
  }

  #keptFor(isolation: string | undefined): FlowDispatcher {
    const agent = this.#kept.get(isolation) ?? this.dispatcher(isolation === undefined ? {} : { isolation });
    // Put behind the others: the first of the map is the one used longest ago.
    this.#kept.delete(isolation);
    this.#kept.set(isolation, agent);
    if (this.#kept.size > DISPATCHERS_MAX) {
      const [oldest] = this.#kept;
      if (oldest !== undefined) this.#retire(...oldest);
    }
    return agent;
  }

  #retire(isolation: string | undefined, agent: FlowDispatcher): void {
    this.#kept.delete(isolation);
    agent.close().catch(() => {});
  }
}

/** undici knows its own `FormData` only, and would send `[object FormData]` for Node's. */
function bodyOf(body: BodyInit): BodyInit {
  if (!(body instanceof globalThis.FormData) || (body as unknown) instanceof FormData) return body;
  const form = new FormData();
  for (const [name, value] of body as globalThis.FormData) {
    if (typeof value === 'string') form.append(name, value);
    else form.append(name, value, value.name);
  }
  return form;
}

/** undici's `fetch` knows its own `Request` only. */
function requestOf(input: FetchInput): string | URL | FetchRequest {
  if (typeof input === 'string' || input instanceof URL || input instanceof Request) return input;
  const { url, method, headers, body, redirect, signal, referrer, credentials, keepalive, integrity } = input;
  return new Request(url, {
    method,
    headers: [...headers] as [string, string][],
    redirect,
    signal,
    referrer,
    credentials,
    keepalive,
    integrity,
    ...(body !== null && { body: body as unknown as BodyInit, duplex: 'half' as const }),
  });
}
