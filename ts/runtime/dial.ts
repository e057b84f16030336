/**
 * A flow as web streams: what `node.dial()` gives.
 *
 * Invariant: one read and one write are under way at most, so backpressure reaches the origin; the lease on the connection is
 * released once, when both directions are over or either broke.
 */
import { AbortedError, asWayfareError, errorOf } from '../base/errors.js';
import type { ConnectionId, FlowId, NodeHost } from '../core/host.js';
import { byteStream } from '../transport/quic.js';

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

/** Where to. */
export interface DialTarget {
  /** A name, which the exit resolves, or an address. */
  host: string;
  /** A TCP port, 1 to 65535. */
  port: number;
}

/** Calls `broken` when the host says that the flow ended before its time; returns the way to stop. */
export type WatchFlow = (flow: FlowId, broken: (reason: string) => void) => () => void;

export function dialFlow(
  host: NodeHost,
  target: DialTarget,
  lease: () => Promise<Lease>,
  watch: WatchFlow,
  signal?: AbortSignal,
): DialedConnection {
  let flow: FlowId | null = null;
  let over = false;
  let readEnded = false;
  let writeEnded = false;
  let held: Lease | null = null;
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
    held?.release();
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
      signal?.throwIfAborted();
      held = await lease();
      signal?.throwIfAborted();
      const opened = await host.flowOpen(held.connection, target.host, target.port);
      flow = opened.flow;
      if (over) {
        host.flowReset(flow);
        held.release();
        throw new AbortedError('aborted', 'the dial was aborted', { cause: signal?.reason });
      }
      // Also where nobody reads or writes, `closed` tells that it is over.
      unwatch = watch(flow, (reason) => end(errorOf(reason, `the flow broke: ${reason.replaceAll('_', ' ')}`)));
      return { local: opened.local };
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
      read: async () => host.flowRead(await id()),
      async write(data) {
        await host.flowWrite(await id(), data);
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
