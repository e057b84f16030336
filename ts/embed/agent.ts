/**
 * Node's own HTTP clients through the network: `http.request(url, { agent: node.agent() })`.
 *
 * Invariant: no agent connects any other way; what would is refused. Names are resolved at the exit.
 */
import http from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import { UsageError } from '../base/errors.js';
import type { HostTarget } from '../runtime/dial.js';
import type { FlowDuplex } from './duplex.js';
import { secure, type TlsOptions } from './tls.js';

/** How an agent keeps its connections. */
export interface AgentOptions {
  /** Requests of different keys never share a circuit, nor a connection. */
  isolation?: string;
  /** Keeps connections for later requests. Default `true`. */
  keepAlive?: boolean;
  /** Connections to one destination at most. Default: no limit. */
  maxSockets?: number;
  /** Connections to all destinations at most. Default: no limit. */
  maxTotalSockets?: number;
  /** Idle connections kept to one destination at most. Default 256. */
  maxFreeSockets?: number;
  /** A connection without a byte for this many milliseconds times out. Default: never. */
  timeout?: number;
  /** Once aborted, its connections break off and no new ones are made. */
  signal?: AbortSignal;
}

/** How an agent for `https:` keeps its connections. */
export interface SecureAgentOptions extends AgentOptions {
  /** The TLS inside the circuit. */
  tls?: TlsOptions;
}

/** Opens a flow. */
export type Dial = (target: HostTarget) => FlowDuplex;

type Asked = http.ClientRequestArgs;
type Created = (error: Error | null, stream: Duplex) => void;

/** What cannot be dialled (a closed node, say) fails the request, not the call that makes it. */
function made(make: () => Duplex, done: Created | undefined): Duplex | undefined {
  try {
    return make();
  } catch (error) {
    if (done === undefined) throw error;
    (done as (error: unknown) => void)(error);
    return undefined;
  }
}

function target(options: Asked): HostTarget {
  if (options.socketPath)
    throw new UsageError('argument_invalid', 'this agent reaches hosts and ports, no sockets of this machine');
  return { host: options.host ?? options.hostname ?? 'localhost', port: Number(options.port) };
}

function common({ isolation, signal, ...rest }: AgentOptions): http.AgentOptions {
  return { keepAlive: true, scheduling: 'lifo', ...rest };
}

/** An `http.Agent` whose connections are flows. `destroy()` or `close()` ends them. */
export class FlowAgent extends http.Agent {
  readonly #dial: Dial;

  /**
   * Use `node.agent()`.
   * @internal
   */
  constructor(dial: Dial, options: AgentOptions = {}) {
    super(common(options));
    this.#dial = dial;
  }

  /** @internal */
  override createConnection(options: Asked, done?: Created): Duplex | undefined {
    return made(() => this.#dial(target(options)), done);
  }

  /** Ends all connections, those in use too. */
  close(): Promise<void> {
    this.destroy();
    return Promise.resolve();
  }

  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** An `https.Agent` whose connections are flows with TLS inside. `destroy()` or `close()` ends them. */
export class SecureFlowAgent extends https.Agent {
  readonly #dial: Dial;

  /**
   * Use `node.httpsAgent()`.
   * @internal
   */
  constructor(dial: Dial, options: SecureAgentOptions = {}) {
    const { tls, ...rest } = options;
    super({ ...common(rest), ...tls });
    this.#dial = dial;
  }

  /** @internal */
  override createConnection(options: Asked & TlsOptions, done?: Created): Duplex | undefined {
    return made(() => {
      const { host, port } = target(options);
      return secure(this.#dial({ host, port }), host, tlsOf(options));
    }, done);
  }

  /** Ends all connections, those in use too. */
  close(): Promise<void> {
    this.destroy();
    return Promise.resolve();
  }

  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** What of a request's options is said of TLS; the rest would mean something else to it. */
function tlsOf(options: Asked & TlsOptions): TlsOptions {
  const others = new Set([
    'host',
    'hostname',
    'port',
    'path',
    'socketPath',
    'timeout',
    'lookup',
    'signal',
    'agent',
    'session',
  ]);
  return Object.fromEntries(Object.entries(options).filter(([name]) => !others.has(name)));
}
