/**
 * A flow as web streams: what `node.dial()` gives.
 *
 * Invariant: one read and one write are under way at most, so backpressure reaches the origin; the lease on the connection is
 * released once, when both directions are over or either broke.
 */
import { AbortedError, asWayfareError, errorOf } from '../base/errors.js';
import type { ConnectionId, FlowId, NodeHost } from '../core/host.js';
import { byteStream } from '../transport/quic.js';

export type { DialTarget, HostTarget, NodeTarget } from './target.js';

/** What is known of a connection once the exit has connected. */
export interface OpenedFlow {
  /** The exit's own socket address towards the origin, `ip:port`. */
  local: string;
}

/** A TCP connection from an exit to a destination. */
export interface DialedConnection {
  /** What the destination sends, read as fast as it is taken. Cancelling it breaks the connection off. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What goes to the destination. Closing it ends this direction alone; aborting it breaks the connection off. */
  readonly writable: WritableStream<Uint8Array>;
  /** Resolves when the exit has connected; rejects with why it did not. */
  readonly opened: Promise<OpenedFlow>;
  /** Resolves when both directions have ended; rejects when the flow broke. */
  readonly closed: Promise<void>;
  /** Breaks off what has not ended. */
  close(): Promise<void>;
  /** The same as `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The right to open flows on a connection, until released. */
export interface Lease {
  readonly connection: ConnectionId;
  release(): void;
}

/** Calls `broken` when the host says that the flow ended before its time; returns the way to stop. */
export type WatchFlow = (flow: FlowId, broken: (reason: string) => void) => () => void;

/** How often a flow is asked for on connections that turn out to be gone. */
const OPEN_TRIES = 3;

/** A flow that the host has opened, and how to let go of what it runs on. */
export interface BegunFlow extends OpenedFlow {
  flow: FlowId;
  release(): void;
  /** Hears of bytes sent and received. */
  count?(sent: number, received: number): void;
}

/** Asks the node at the end of a leased connection for a flow to `target`. */
export function dialFlow(
  host: NodeHost,
  target: { host: string; port: number },
  lease: () => Promise<Lease>,
  watch: WatchFlow,
  signal?: AbortSignal,
): DialedConnection {
  const begin = async (): Promise<BegunFlow> => {
    for (let tries = 1; ; tries++) {
      signal?.throwIfAborted();
      const { connection, release } = await lease();
      try {
        signal?.throwIfAborted();
        return { ...(await host.flowOpen(connection, target.host, target.port)), release };
      } catch (error) {
        release();
        // The connection had gone, and the event that says so was still on its way: the next one is another.
        if (tries < OPEN_TRIES && asWayfareError(error).code === 'circuit_unknown') continue;
        throw error;
      }
    }
  };
  return flowConnection(host, begin, watch, signal);
}

/** A flow as web streams, from its beginning to its end. */
export function flowConnection(
  host: NodeHost,
  begin: () => Promise<BegunFlow>,
  watch: WatchFlow,
  signal?: AbortSignal,
): DialedConnection {
  let flow: FlowId | null = null;
  let over = false;
  let readEnded = false;
  let writeEnded = false;
  let release = () => {};
  let count: BegunFlow['count'];
  let unwatch = () => {};
  let resolveClosed!: () => void;
  let rejectClosed!: (error: unknown) => void;
  const closed = new Promise<void>((resolve, reject) => {
    resolveClosed = resolve;
    rejectClosed = reject;
  });
  closed.catch(() => {});

  const end = (error?: unknown) => {
    if (over) return;
    over = true;
    signal?.removeEventListener('abort', onAbort);
    unwatch();
    release();
    if (error === undefined) resolveClosed();
    else rejectClosed(asWayfareError(error));
  };
  const breakOff = (error?: unknown) => {
    if (flow !== null && !over) host.flowReset(flow);
    end(error);
  };
  const onAbort = () => breakOff(new AbortedError('aborted', 'the dial was aborted', { cause: signal?.reason }));
  const check = () => {
    if (readEnded && writeEnded) end();
  };

  const open = async (): Promise<OpenedFlow> => {
    try {
      const begun = await begin();
      if (over) {
        host.flowReset(begun.flow);
        begun.release();
        throw new AbortedError('aborted', 'the dial was aborted', { cause: signal?.reason });
      }
      ({ flow, release, count } = begun);
      // Also where nobody reads or writes, `closed` tells that it is over.
      unwatch = watch(flow, (reason) => end(errorOf(reason, `the flow broke: ${reason.replaceAll('_', ' ')}`)));
      return { local: begun.local };
    } catch (caught) {
      const error = signal?.aborted
        ? new AbortedError('aborted', 'the dial was aborted', { cause: signal.reason })
        : asWayfareError(caught, 'flow_failed');
      end(error);
      throw error;
    }
  };
  signal?.addEventListener('abort', onAbort, { once: true });
  const opened = open();
  opened.catch(() => {});

  const id = async (): Promise<FlowId> => {
    await opened;
    return flow as FlowId;
  };
  const { readable, writable } = byteStream(
    {
      async read() {
        const data = await host.flowRead(await id());
        if (data !== null) count?.(0, data.length);
        return data;
      },
      async write(data) {
        await host.flowWrite(await id(), data);
        count?.(data.length, 0);
      },
      finish() {
        writeEnded = true;
        id().then((open) => host.flowFinish(open), end);
        check();
      },
      reset: () => breakOff(),
    },
    (error) => {
      if (error !== null) return breakOff(error);
      readEnded = true;
      check();
    },
  );
  const close = async () => {
    breakOff();
    await closed.catch(() => {});
  };
  return { readable, writable, opened, closed, close, [Symbol.asyncDispose]: close };
}
