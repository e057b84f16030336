/**
 * Streams to this node itself: `node.listen()`. A client's circuit ends here, and what it asks for by this node's id comes to a
 * listener instead of a TCP connection (docs/decisions/0006-inbound-streams.md).
 *
 * Invariant: every request is answered at once, and a listener holds no more unaccepted connections than its backlog.
 */
import { UsageError } from '../base/errors.js';
import type { FlowId, HostEvent, NodeHost } from '../core/host.js';
import { type DialedConnection, flowConnection, type WatchFlow } from './dial.js';
import type { SignalOptions } from './options.js';
import { checkPort, nodeName } from './target.js';

const BACKLOG = 128;

/** At which port a node takes streams. */
export interface ListenOptions extends SignalOptions {
  /** 1 to 65535; any, since it is no port of this machine. */
  port: number;
  /** Connections that wait to be taken; beyond them clients are refused with `exit_overloaded`. Default 128. */
  backlog?: number;
}

/** A stream that a client opened to this node. Who the client is, nobody here knows. */
export interface InboundConnection extends Omit<DialedConnection, 'opened'> {
  /** The port that the client asked for. */
  readonly port: number;
}

/** Takes connections, in the order in which they come: `for await (const connection of listener)`. */
export class NodeListener implements AsyncIterable<InboundConnection> {
  /** What clients dial: the node's id, `.wayfare`, and the port. */
  readonly address: string;
  readonly #incoming: ReadableStream<InboundConnection>;
  readonly #waiting = new Set<InboundConnection>();
  readonly #end: () => void;
  #controller!: ReadableStreamDefaultController<InboundConnection>;
  #closed = false;

  /**
   * Use `node.listen()`.
   * @internal
   */
  constructor(address: string, backlog: number, end: () => void) {
    this.address = address;
    this.#end = end;
    this.#incoming = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        cancel: () => void this.close(),
      },
      { highWaterMark: backlog },
    );
  }

  /** @internal */
  get full(): boolean {
    return this.#closed || (this.#controller.desiredSize ?? 0) <= 0;
  }

  /** @internal */
  take(connection: InboundConnection): void {
    this.#waiting.add(connection);
    this.#controller.enqueue(connection);
  }

  /** Each connection once. Leaving the loop closes the listener. */
  async *[Symbol.asyncIterator](): AsyncGenerator<InboundConnection, void, undefined> {
    for await (const connection of this.#incoming) {
      this.#waiting.delete(connection);
      yield connection;
    }
  }

  /** Takes no new connections, and breaks off those that wait; those that were taken go on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#end();
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    await Promise.all(waiting.map((connection) => connection.close()));
    try {
      this.#controller.close();
    } catch {
      // The loop over it was left, which has closed it.
    }
  }

  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export interface InboundParts {
  host: NodeHost;
  /** This node. */
  self: string;
  /** Whether it has the role of a listener. */
  listens: boolean;
  watch: WatchFlow;
}

export class Inbound {
  readonly #parts: InboundParts;
  readonly #listeners = new Map<number, NodeListener>();
  #draining = false;

  constructor(parts: InboundParts) {
    this.#parts = parts;
  }

  listen({ port, backlog = BACKLOG, signal }: ListenOptions): NodeListener {
    checkPort(port, 'listen');
    if (!Number.isInteger(backlog) || backlog < 1)
      throw new UsageError('argument_invalid', `a backlog is a whole number from 1, not ${backlog}`);
    if (!this.#parts.listens || this.#parts.host.inboundAccept === undefined)
      throw new UsageError('argument_invalid', 'this node has not the role of a listener', {
        hint: "make it with roles: ['listener'] among its roles, on Node.js",
      });
    if (this.#listeners.has(port)) throw new UsageError('argument_invalid', `the node listens at port ${port} already`);
    const stop = () => void listener.close();
    const listener = new NodeListener(`${nodeName(this.#parts.self)}:${port}`, backlog, () => {
      this.#listeners.delete(port);
      signal?.removeEventListener('abort', stop);
    });
    this.#listeners.set(port, listener);
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
    return listener;
  }

  handle(event: HostEvent): void {
    if (event.type !== 'inbound_requested') return;
    const { host, watch } = this.#parts;
    const { flow, port } = event;
    const listener = this.#listeners.get(port);
    if (listener === undefined || listener.full || this.#draining) {
      // Where nobody listens, trying again is of no use.
      host.inboundRefuse?.(flow, listener !== undefined || this.#draining);
      return;
    }
    host.inboundAccept?.(flow, port);
    const { opened, ...connection } = flowConnection(host, () => begun(flow), watch);
    void opened;
    listener.take({ ...connection, port });
  }

  /** Takes nothing new. */
  drain(): void {
    this.#draining = true;
  }

  close(): void {
    for (const listener of [...this.#listeners.values()]) void listener.close();
  }
}

async function begun(flow: FlowId) {
  return { flow, local: '', release: () => {} };
}
