/**
 * Session streams by number, as `NodeHost` speaks of them.
 *
 * Invariant: a stream is forgotten when both its directions have ended, or when its link has.
 */
import { errorOf } from '../base/errors.js';
import type { LinkId, StreamId } from '../core/host.js';
import type { BidirectionalStream } from '../transport/session.js';

/** The most one read gives. */
const READ_MAX = 64 * 1024;

interface Entry {
  link: LinkId;
  reader: ReadableStreamDefaultReader<Uint8Array>;
  writer: WritableStreamDefaultWriter<Uint8Array>;
  /** Of a chunk that was larger than one read gives. */
  left: Uint8Array | null;
  readEnded: boolean;
  writeEnded: boolean;
}

export class StreamTable {
  readonly #entries = new Map<StreamId, Entry>();
  #next = 1;

  insert(link: LinkId, stream: BidirectionalStream): StreamId {
    const reader = stream.readable.getReader();
    const writer = stream.writable.getWriter();
    writer.closed.catch(() => {});
    reader.closed.catch(() => {});
    const id = this.#next++;
    this.#entries.set(id, { link, reader, writer, left: null, readEnded: false, writeEnded: false });
    return id;
  }

  async read(id: StreamId): Promise<Uint8Array | null> {
    const entry = this.#get(id);
    if (entry.readEnded) return null;
    if (entry.left === null) {
      const { value, done } = await entry.reader.read().catch((error) => {
        this.#end(id, true, false);
        throw broken(error);
      });
      if (done) {
        this.#end(id, true, false);
        return null;
      }
      entry.left = value;
    }
    const chunk = entry.left.subarray(0, READ_MAX);
    entry.left = entry.left.length > READ_MAX ? entry.left.subarray(READ_MAX) : null;
    return chunk;
  }

  async write(id: StreamId, data: Uint8Array): Promise<void> {
    const entry = this.#get(id);
    if (entry.writeEnded) throw gone();
    await entry.writer.write(data).catch((error) => {
      this.#end(id, false, true);
      throw broken(error);
    });
  }

  finish(id: StreamId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.writeEnded) return;
    entry.writer.close().catch(() => {});
    this.#end(id, false, true);
  }

  reset(id: StreamId): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    entry.writer.abort(reset()).catch(() => {});
    entry.reader.cancel(reset()).catch(() => {});
  }

  /** A link is gone, and its streams with it. */
  linkGone(link: LinkId): void {
    for (const [id, entry] of this.#entries) if (entry.link === link) this.reset(id);
  }

  #get(id: StreamId): Entry {
    const entry = this.#entries.get(id);
    if (entry === undefined) throw gone();
    return entry;
  }

  #end(id: StreamId, read: boolean, write: boolean): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.readEnded ||= read;
    entry.writeEnded ||= write;
    if (entry.readEnded && entry.writeEnded) this.#entries.delete(id);
  }
}

const gone = () => errorOf('link_gone', 'the stream, or its link, is gone');
const reset = () => errorOf('flow_reset', 'the stream was broken off');
const broken = (cause: unknown) => errorOf('flow_reset', 'the peer broke the stream off', { cause });
