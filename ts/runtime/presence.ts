/**
 * What a node keeps up so that others find and reach it: its keys and certificates, its listeners, what it tells of itself, and links.
 *
 * Invariant: a mere client publishes nothing.
 */
import type { Descriptor } from '../base/directory.js';
import { asWayfareError } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import type { NodeHost } from '../core/host.js';
import { within } from '../core/timing.js';
import { signDescriptor } from '../directory/descriptor.js';
import type { GossipDirectory } from '../directory/gossip.js';
import type { Neighbours } from '../session/neighbours.js';
import { announcement, DESCRIPTOR_LIFE_S, serves } from './announce.js';
import type { Certificates } from './certificates.js';
import type { OnionKeys } from './keys.js';
import { LandmarkPings } from './landmarks.js';
import type { NodeOptions, NodeRole, Platform } from './options.js';
import { ReliableListeners } from './reliable.js';

const LANDMARK_WITHIN_MS = 5_000;
/** Links that a relay or exit keeps at least, where the directory knows enough nodes. */
const NEIGHBOURS_MIN = 3;

export interface PresenceParts {
  /** This node. */
  self: string;
  options: NodeOptions;
  platform: Platform;
  log: Log;
  host: NodeHost;
  keys: OnionKeys;
  /** Of a relay or exit that browsers can call. */
  certificates: Certificates | null;
  identitySeed: Uint8Array;
  directory: GossipDirectory;
  neighbours: Neighbours;
  /** The round trip to a node. */
  rtt_us(id: string): Promise<number>;
  /** Whether the node has begun to end. */
  closing(): boolean;
}

export class Presence {
  readonly #parts: PresenceParts;
  readonly #listeners: ReliableListeners;
  readonly #landmarks: LandmarkPings;
  #addresses: string[] = [];
  #descriptor: Descriptor | null = null;

  constructor(parts: PresenceParts) {
    this.#parts = parts;
    const { self, options, platform, log, directory, neighbours, rtt_us } = parts;
    const { clock } = platform;
    this.#landmarks = new LandmarkPings({
      self,
      clock,
      descriptors: () => directory.descriptors(),
      rtt_us: (id) => within(clock, LANDMARK_WITHIN_MS, 'a landmark', rtt_us(id)),
      again_ms: (DESCRIPTOR_LIFE_S * 1000) / 6,
    });
    this.#listeners = new ReliableListeners(options, platform, log, (came) => neighbours.accept(came));
  }

  get #roles(): NodeRole[] {
    return this.#parts.options.roles ?? ['client'];
  }

  /** What it told last. */
  get descriptor(): Descriptor | null {
    return this.#descriptor;
  }

  /** Once its socket is bound to these addresses. */
  async start(addresses: string[]): Promise<void> {
    this.#addresses = addresses;
    await this.#installKeys();
    await this.#refreshCertificates();
    await this.#listeners.start(this.#parts.certificates?.held()[0], addresses);
    await this.#publish();
  }

  /** To be called from time to time. */
  async chores(): Promise<void> {
    const { platform, closing } = this.#parts;
    if (closing()) return;
    const keys = await this.#refreshKeys();
    const certificates = await this.#refreshCertificates();
    await this.#listeners.renew();
    const now_s = platform.clock.now_ms() / 1000;
    const old = this.#descriptor !== null && now_s - this.#descriptor.time_s > DESCRIPTOR_LIFE_S / 6;
    if (keys || certificates || old) await this.#publish();
    this.#mingle();
    // A landmark that does not answer holds up nothing else.
    void this.#measure().catch((error) => platform.log.error('landmarks failed', { code: asWayfareError(error).code }));
  }

  /** Takes no more links over TCP. */
  close(): void {
    this.#listeners.close();
  }

  /** Wipes its identity: it signs nothing any more. */
  forget(): void {
    this.#parts.identitySeed.fill(0);
  }

  async #refreshKeys(): Promise<boolean> {
    const changed = await this.#parts.keys.refresh();
    if (changed) await this.#installKeys();
    return changed;
  }

  /** Whether the hashes to publish have changed. */
  async #refreshCertificates(): Promise<boolean> {
    const { certificates, host } = this.#parts;
    if (certificates === null || !(await certificates.refresh())) return false;
    host.setCertificates?.(certificates.held());
    this.#listeners.update(certificates.held()[0]);
    return true;
  }

  async #installKeys(): Promise<void> {
    const seeds = await this.#parts.keys.seeds();
    this.#parts.host.setOnionKeys(seeds.map((seed) => ({ seed })));
    for (const seed of seeds) seed.fill(0);
  }

  /** What is new of its distance to the landmarks is told. */
  async #measure(): Promise<void> {
    if (serves(this.#roles) && (await this.#landmarks.refresh()) && !this.#parts.closing()) await this.#publish();
  }

  /** Links to random nodes where there are too few, so that gossip goes on when the bootstrap peers are gone. */
  #mingle(): void {
    const { self, platform, directory, neighbours } = this.#parts;
    const linked = new Set(neighbours.peers().map((peer) => peer.id));
    const others = directory.descriptors().filter((d) => d.id !== self && !linked.has(d.id));
    for (
      let missing = (serves(this.#roles) ? NEIGHBOURS_MIN : 1) - linked.size;
      missing > 0 && others.length > 0;
      missing--
    ) {
      const [other] = others.splice(platform.random.below(others.length), 1);
      if (other !== undefined) neighbours.reach(other.id).catch(() => {});
    }
  }

  /** Signs what this node is, and gives it to the directory. */
  async #publish(): Promise<void> {
    if (!serves(this.#roles)) return;
    const { self, options, platform, keys, certificates, identitySeed, directory } = this.#parts;
    const descriptor = announcement({
      id: self,
      roles: this.#roles,
      addresses: options.advertise ?? this.#addresses,
      now_ms: platform.clock.now_ms(),
      last: this.#descriptor,
      onionKeys: await keys.published(),
      certificateHashes: certificates?.hashes() ?? null,
      reliable: this.#listeners.addresses(),
      landmarks: this.#landmarks.pings(),
      webHost: options.web?.host,
    });
    directory.publish(signDescriptor(platform.core, identitySeed, descriptor));
    this.#descriptor = descriptor;
  }
}
