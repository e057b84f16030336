/**
 * Gossip with one neighbour over one stream.
 *
 * Invariant: what waits to be sent is a set of ids, never a queue of messages, so a slow neighbour costs nothing; records are
 * read no faster than `RECORDS_PER_S`, and the rest waits in the link's own flow control.
 */
import { ProtocolError } from '../base/errors.js';
import type { Clock } from '../base/ports.js';
import { delay } from '../core/timing.js';
import { FrameReader, frame } from '../transport/frames.js';
import type { BidirectionalStream } from '../transport/session.js';
import { DIGEST_PAGE_MAX, decodeMessage, encodeMessage, MESSAGE_BYTES_MAX, RECORDS_BYTES_MAX } from './messages.js';
import { type DescriptorTable, TABLE_ENTRIES_MAX } from './table.js';

const RECORDS_PER_S = 200;
const RECORDS_BURST = TABLE_ENTRIES_MAX;

export interface GossipPeerParts {
  peer: string;
  stream: BidirectionalStream;
  table: DescriptorTable;
  clock: Clock;
  /** A record came that was news here. */
  onNews(id: string, from: string): void;
  accept(record: Uint8Array, from: string): string | null;
}

export class GossipPeer {
  readonly #parts: GossipPeerParts;
  readonly #reader: FrameReader;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #due = new Set<string>();
  #digestDue = true;
  #pumping = false;
  #budget = RECORDS_BURST;
  #budgetAt_ms: number;

  constructor(parts: GossipPeerParts) {
    this.#parts = parts;
    this.#reader = new FrameReader(parts.stream.readable, MESSAGE_BYTES_MAX);
    this.#writer = parts.stream.writable.getWriter();
    this.#writer.closed.catch(() => {});
    this.#budgetAt_ms = parts.clock.now_ms();
  }

  /** Runs until the stream ends; throws what ended it. */
  async run(): Promise<void> {
    void this.#pump();
    let pages = new Map<string, number>();
    for (;;) {
      const data = await this.#reader.next();
      if (data === null) return;
      const message = decodeMessage(data);
      if (message === null) throw new ProtocolError('control_malformed', 'a gossip message that does not parse');
      if (message.type === 'records') {
        await this.#take(message.records);
        continue;
      }
      for (const { id, seq } of message.held) pages.set(id, seq);
      if (pages.size > TABLE_ENTRIES_MAX) throw new ProtocolError('control_malformed', 'a digest that does not end');
      if (!message.last) continue;
      this.#compare(pages);
      pages = new Map();
    }
  }

  /** Sends this descriptor, as it is by then. */
  send(id: string): void {
    this.#due.add(id);
    void this.#pump();
  }

  /** Tells what we hold, so that the peer sends what is newer. */
  sendDigest(): void {
    this.#digestDue = true;
    void this.#pump();
  }

  async stop(error: unknown): Promise<void> {
    await Promise.allSettled([this.#writer.abort(error), this.#reader.cancel(error)]);
  }

  #compare(theirs: Map<string, number>): void {
    for (const { descriptor } of this.#parts.table.entries()) {
      if ((theirs.get(descriptor.id) ?? -1) < descriptor.seq) this.#due.add(descriptor.id);
    }
    void this.#pump();
  }

  async #take(records: Uint8Array[]): Promise<void> {
    const { clock, peer } = this.#parts;
    for (const record of records) {
      const id = this.#parts.accept(record, peer);
      if (id !== null) this.#parts.onNews(id, peer);
    }
    const now_ms = clock.now_ms();
    this.#budget = Math.min(RECORDS_BURST, this.#budget + ((now_ms - this.#budgetAt_ms) / 1000) * RECORDS_PER_S);
    this.#budgetAt_ms = now_ms;
    this.#budget -= records.length;
    if (this.#budget < 0) await delay(clock, (-this.#budget / RECORDS_PER_S) * 1000);
  }

  async #pump(): Promise<void> {
    if (this.#pumping) return;
    this.#pumping = true;
    try {
      while (this.#digestDue || this.#due.size > 0) {
        if (this.#digestDue) await this.#writeDigest();
        else await this.#writeRecords();
      }
    } catch {
      // The stream is gone; `run` ends with it.
    } finally {
      this.#pumping = false;
    }
  }

  async #writeDigest(): Promise<void> {
    this.#digestDue = false;
    const held = this.#parts.table.entries().map(({ descriptor: { id, seq } }) => ({ id, seq }));
    for (let at = 0; at === 0 || at < held.length; at += DIGEST_PAGE_MAX) {
      const page = held.slice(at, at + DIGEST_PAGE_MAX);
      const last = at + DIGEST_PAGE_MAX >= held.length;
      await this.#writer.write(frame(encodeMessage({ type: 'digest', last, held: page })));
    }
  }

  async #writeRecords(): Promise<void> {
    const records: Uint8Array[] = [];
    let size = 0;
    for (const id of this.#due) {
      const record = this.#parts.table.get(id)?.record;
      if (record !== undefined && size + record.length > RECORDS_BYTES_MAX) break;
      this.#due.delete(id);
      if (record === undefined) continue;
      records.push(record);
      size += record.length;
    }
    if (records.length > 0) await this.#writer.write(frame(encodeMessage({ type: 'records', records })));
  }
}
