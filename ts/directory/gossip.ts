/**
 * Descriptors by gossip: neighbours tell each other what they hold, send what the other lacks, and pass news on.
 *
 * On one stream per session, messages in CBOR: `{have: [[id, seq], …]}` says what a node holds, `{records: [record, …]}` brings
 * descriptors. Each side says what it has at the start and from time to time, so that nothing stays lost.
 *
 * Invariant: the directory is whole at every node; nobody is asked about a single descriptor. What is refused is counted, and
 * its bringer kept, unless the messages themselves are malformed.
 */
import { decode, encode } from 'cborg';
import { z } from 'zod';
import type { Descriptor, Directory } from '../base/directory.js';
import { WayfareError } from '../base/errors.js';
import { fromHex, toHex } from '../base/hex.js';
import type { Clock, Random } from '../base/ports.js';
import type { Drops } from '../core/drops.js';
import { every } from '../core/timing.js';
import { openProtocol, type Protocols } from '../session/protocols.js';
import { FrameReader, frame } from '../transport/frames.js';
import type { BidirectionalStream, Session } from '../transport/session.js';
import { DESCRIPTOR_BYTES_MAX } from './descriptor.js';
import { type DescriptorTable, TABLE_ENTRIES_MAX } from './table.js';

export const GOSSIP_PROTOCOL = 'gossip/1';
const MESSAGE_BYTES_MAX = 512 * 1024;
/** Records sent in one message. */
const BATCH_BYTES = 128 * 1024;
const DIGEST_EVERY_MS = 30_000;
/** What a slow neighbour may have waiting; beyond it, the next digest brings what is missing. */
const QUEUE_BYTES_MAX = 1024 * 1024;

const STRICT = { strict: true, rejectDuplicateMapKeys: true, allowIndefinite: false } as const;
const bytes = (max: number) => z.instanceof(Uint8Array).refine((b) => b.length > 0 && b.length <= max);
const Message = z.union([
  z.strictObject({ have: z.array(z.tuple([bytes(32).refine((b) => b.length === 32), z.int().min(0)])).max(TABLE_ENTRIES_MAX) }),
  // An oversized record is refused and counted by the table, not by the message.
  z.strictObject({ records: z.array(bytes(4 * DESCRIPTOR_BYTES_MAX)).max(1024) }),
]);
export type GossipMessage = z.infer<typeof Message>;

/** Reads a message from outside; throws `control_malformed`. */
export function readMessage(data: Uint8Array): GossipMessage {
  let value: unknown;
  try {
    value = decode(data, STRICT);
  } catch (cause) {
    throw new WayfareError('control_malformed', 'a gossip message is no CBOR', { cause });
  }
  const read = Message.safeParse(value);
  if (!read.success) throw new WayfareError('control_malformed', 'a gossip message of an unknown shape');
  return read.data;
}

interface Conversation {
  send(message: GossipMessage): void;
}

export class GossipDirectory implements Directory {
  readonly #table: DescriptorTable;
  readonly #drops: Drops;
  readonly #conversations = new Map<Conversation, string>();
  readonly #subscribers = new Set<(descriptor: Descriptor) => void>();
  readonly #stop: () => void;

  constructor(table: DescriptorTable, protocols: Protocols, drops: Drops, clock: Clock, random: Random) {
    this.#table = table;
    this.#drops = drops;
    protocols.handle(GOSSIP_PROTOCOL, (peer, stream) => void this.converse(peer, stream));
    this.#stop = every(
      clock,
      () => DIGEST_EVERY_MS / 2 + random.below(DIGEST_EVERY_MS),
      () => {
        table.expire();
        for (const conversation of this.#conversations.keys()) conversation.send(this.#digest());
      },
    );
  }

  descriptors(): Descriptor[] {
    return this.#table.entries().map((entry) => entry.descriptor);
  }

  get(id: string): Descriptor | undefined {
    return this.#table.get(id)?.descriptor;
  }

  publish(record: Uint8Array): void {
    if (this.#table.accept(record, null) === 'news') this.#spread(record, null);
  }

  subscribe(onDescriptor: (descriptor: Descriptor) => void): () => void {
    this.#subscribers.add(onDescriptor);
    return () => this.#subscribers.delete(onDescriptor);
  }

  close(): void {
    this.#stop();
    this.#conversations.clear();
    this.#subscribers.clear();
  }

  /** Begins to gossip over a session that this node dialled; the other side answers. */
  async attach(peer: string, session: Session): Promise<void> {
    await this.converse(peer, await openProtocol(session, GOSSIP_PROTOCOL));
  }

  /** Gossips on a stream until it ends. */
  async converse(peer: string, stream: BidirectionalStream): Promise<void> {
    const input = new FrameReader(stream.readable, MESSAGE_BYTES_MAX);
    const output = stream.writable.getWriter();
    let waiting = 0;
    const conversation: Conversation = {
      send(message) {
        const data = frame(encode(message));
        if (waiting + data.length > QUEUE_BYTES_MAX) return;
        waiting += data.length;
        output.write(data).then(
          () => {
            waiting -= data.length;
          },
          () => {},
        );
      },
    };
    this.#conversations.set(conversation, peer);
    try {
      conversation.send(this.#digest());
      for (;;) {
        const data = await input.next();
        if (data === null) break;
        this.#take(readMessage(data), peer, conversation);
      }
      await output.close();
    } catch (error) {
      if (error instanceof WayfareError && error.code === 'control_malformed') this.#drops.count('control_malformed');
      input.cancel().catch(() => {});
      output.abort(error).catch(() => {});
    } finally {
      this.#conversations.delete(conversation);
    }
  }

  #digest(): GossipMessage {
    return { have: this.#table.entries().map(({ descriptor }) => [fromHex(descriptor.id), descriptor.seq]) };
  }

  #take(message: GossipMessage, peer: string, conversation: Conversation): void {
    if ('records' in message) {
      for (const record of message.records) if (this.#table.accept(record, peer) === 'news') this.#spread(record, conversation);
      return;
    }
    const theirs = new Map(message.have.map(([id, seq]) => [toHex(id), seq]));
    const missing = this.#table.entries().filter(({ descriptor }) => (theirs.get(descriptor.id) ?? -1) < descriptor.seq);
    let batch: Uint8Array[] = [];
    let batchBytes = 0;
    for (const { record } of missing) {
      if (batchBytes + record.length > BATCH_BYTES && batch.length > 0) {
        conversation.send({ records: batch });
        batch = [];
        batchBytes = 0;
      }
      batch.push(record);
      batchBytes += record.length;
    }
    if (batch.length > 0) conversation.send({ records: batch });
  }

  #spread(record: Uint8Array, from: Conversation | null): void {
    for (const conversation of this.#conversations.keys())
      if (conversation !== from) conversation.send({ records: [record] });
    const newest = this.#table.newest();
    if (newest !== undefined) for (const subscriber of this.#subscribers) subscriber(newest);
  }
}
