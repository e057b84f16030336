/**
 * The directory by gossip: neighbours tell each other what they hold when a link comes up and every minute or so, send what
 * the other lacks, and pass news on at once.
 *
 * Invariant: only whole snapshots travel; nothing is ever asked for by id, so no neighbour learns what a node looks for. What
 * is forged, stale, oversized or malformed is counted and dropped, and the rest of the message still counts.
 */
import type { Descriptor, Directory } from '../base/directory.js';
import { ProtocolError, WayfareError } from '../base/errors.js';
import type { Clock, Log, Random } from '../base/ports.js';
import type { Core } from '../core/core.js';
import type { Drops } from '../core/drops.js';
import { every } from '../core/timing.js';
import type { BidirectionalStream } from '../transport/session.js';
import { GossipPeer } from './peer.js';
import { DescriptorTable, type Entry } from './table.js';

export const GOSSIP_PROTOCOL = 'gossip/1';
const ANTI_ENTROPY_MS = 60_000;

export interface GossipParts {
  core: Core;
  clock: Clock;
  random: Random;
  log: Log;
  drops: Drops;
  entriesMax?: number;
}

export class GossipDirectory implements Directory {
  readonly #parts: GossipParts;
  readonly #table: DescriptorTable;
  readonly #peers = new Set<{ id: string; gossip: GossipPeer }>();
  readonly #listeners = new Set<(descriptor: Descriptor) => void>();
  readonly #stop: () => void;

  constructor(parts: GossipParts) {
    this.#parts = parts;
    this.#table = new DescriptorTable(parts.core, parts.clock, parts.drops, parts.entriesMax);
    const next_ms = () => ANTI_ENTROPY_MS / 2 + parts.random.below(ANTI_ENTROPY_MS);
    this.#stop = every(parts.clock, next_ms, () => this.#antiEntropy());
  }

  descriptors(): Descriptor[] {
    return this.#table.entries().map((entry) => entry.descriptor);
  }

  /** With what is known of their freshness. */
  entries(): Entry[] {
    return this.#table.entries();
  }

  get(id: string): Descriptor | undefined {
    return this.#table.get(id)?.descriptor;
  }

  publish(record: Uint8Array): void {
    const id = this.#accept(record, null);
    if (id === null) throw new WayfareError('descriptor_invalid', 'this node refuses its own descriptor');
    this.#spread(id, null);
  }

  subscribe(onDescriptor: (descriptor: Descriptor) => void): () => void {
    this.#listeners.add(onDescriptor);
    return () => this.#listeners.delete(onDescriptor);
  }

  /** Takes records from elsewhere than a neighbour, such as a file; returns how many were news. */
  load(records: Iterable<Uint8Array>): number {
    let news = 0;
    for (const record of records) if (this.#accept(record, null) !== null) news += 1;
    return news;
  }

  /** Gossips with a neighbour over this stream until it ends. */
  async attach(peer: string, stream: BidirectionalStream): Promise<void> {
    const { clock, drops, log } = this.#parts;
    const gossip = new GossipPeer({
      peer,
      stream,
      table: this.#table,
      clock,
      accept: (record, from) => this.#accept(record, from),
      onNews: (id, from) => this.#spread(id, from),
    });
    const entry = { id: peer, gossip };
    this.#peers.add(entry);
    try {
      await gossip.run();
      await gossip.stop(null);
    } catch (error) {
      if (error instanceof WayfareError && error.code === 'control_malformed') {
        drops.count('control_malformed');
        log.warn('gossip refused', { peer: peer.slice(0, 16), reason: error.message });
      }
      await gossip.stop(error);
    } finally {
      this.#peers.delete(entry);
    }
  }

  close(): void {
    this.#stop();
    for (const { gossip } of this.#peers) void gossip.stop(new ProtocolError('closed', 'the node was closed'));
  }

  #accept(record: Uint8Array, from: string | null): string | null {
    const taken = this.#table.accept(record, from);
    if (taken.outcome !== 'news') return null;
    for (const listener of this.#listeners) listener(taken.descriptor);
    return taken.descriptor.id;
  }

  #spread(id: string, from: string | null): void {
    for (const peer of this.#peers) if (peer.id !== from && peer.id !== id) peer.gossip.send(id);
  }

  #antiEntropy(): void {
    this.#table.expire();
    for (const peer of this.#peers) peer.gossip.sendDigest();
  }
}
