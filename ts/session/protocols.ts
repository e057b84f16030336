/**
 * Which protocol a session stream speaks: its opener writes `length u8 | name` first.
 *
 * Invariant: a stream of an unknown protocol, or with a malformed name, is cancelled and counted; its session lives on.
 */
import { WayfareError } from '../base/errors.js';
import type { Drops } from '../core/drops.js';
import type { BidirectionalStream, Session } from '../transport/session.js';

const NAME_BYTES_MAX = 32;

/** Takes an incoming stream of its protocol. */
export type StreamHandler = (peer: string, stream: BidirectionalStream) => void;

export async function openProtocol(session: Session, name: string): Promise<BidirectionalStream> {
  const stream = await session.createBidirectionalStream();
  const text = new TextEncoder().encode(name);
  const writer = stream.writable.getWriter();
  await writer.write(new Uint8Array([text.length, ...text]));
  writer.releaseLock();
  return stream;
}

export class Protocols {
  readonly #handlers = new Map<string, StreamHandler>();
  readonly #drops: Drops;

  constructor(drops: Drops) {
    this.#drops = drops;
  }

  handle(name: string, handler: StreamHandler): void {
    this.#handlers.set(name, handler);
  }

  /** Serves the streams that the peer opens, until the session ends. */
  async serve(peer: string, session: Session): Promise<void> {
    const streams = session.incomingBidirectionalStreams.getReader();
    try {
      for (;;) {
        const { value, done } = await streams.read();
        if (done) return;
        void this.#dispatch(peer, value);
      }
    } catch {
      // The session was lost: whoever cares watches `closed`.
    }
  }

  async #dispatch(peer: string, stream: BidirectionalStream): Promise<void> {
    try {
      const { name, rest } = await readName(stream.readable);
      const handler = this.#handlers.get(name);
      if (handler === undefined) throw new WayfareError('control_malformed', `no protocol ${JSON.stringify(name)}`);
      handler(peer, { readable: rest, writable: stream.writable });
    } catch (error) {
      if (error instanceof WayfareError && error.code === 'control_malformed') this.#drops.count('control_malformed');
      await stream.writable.abort(error).catch(() => {});
    }
  }
}

/** Reads the name; `rest` is the stream behind it. */
export async function readName(
  readable: ReadableStream<Uint8Array>,
): Promise<{ name: string; rest: ReadableStream<Uint8Array> }> {
  const reader = readable.getReader();
  let held = new Uint8Array(0);
  for (;;) {
    const length = held[0];
    if (length !== undefined && (length === 0 || length > NAME_BYTES_MAX)) {
      reader.cancel().catch(() => {});
      throw new WayfareError('control_malformed', `a protocol name of ${length} bytes`);
    }
    if (length !== undefined && held.length > length) break;
    const { value, done } = await reader.read();
    if (done) throw new WayfareError('control_malformed', 'the stream ended inside its protocol name');
    const joined = new Uint8Array(held.length + value.length);
    joined.set(held);
    joined.set(value, held.length);
    held = joined;
  }
  const end = 1 + (held[0] as number);
  const name = String.fromCharCode(...held.subarray(1, end));
  return { name, rest: unread(reader, held.subarray(end)) };
}

function unread(reader: ReadableStreamDefaultReader<Uint8Array>, first: Uint8Array): ReadableStream<Uint8Array> {
  let pending: Uint8Array | null = first.length > 0 ? first : null;
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        if (pending !== null) {
          controller.enqueue(pending);
          pending = null;
          return;
        }
        const { value, done } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
