/**
 * The port behind which nodes are found. Gossip implements it now (ts/directory); an overlay replaces it later.
 *
 * Invariant: a `Directory` hands out whole snapshots, held locally. Nothing may ask it a question whose answer needs the
 * network, since a look-up per path reveals the path.
 */

/** An onion key with its validity, unix seconds. */
export interface OnionKey {
  /** X-Wing public key, 1216 bytes. */
  key: Uint8Array;
  /** From when on set-ups may be sealed to it, unix seconds. */
  from_s: number;
  /** Until when, unix seconds. */
  until_s: number;
}

/** What a node says of itself, signed by its identity. */
export interface Descriptor {
  /** Ed25519 public key, 64 hex digits. */
  id: string;
  /** Grows with every edition. */
  seq: number;
  /** When it was signed, unix seconds. */
  time_s: number;
  /** When it stops to count, unix seconds. */
  expires_s: number;
  /** `ip:port`, where its UDP socket is reached. */
  addresses: string[];
  /** What it does for others. */
  roles: {
    /** It opens circuits; no node tells that of itself. */
    client: boolean;
    /** It forwards. */
    relay: boolean;
    /** It connects to destinations. */
    exit: boolean;
    /** It takes streams to itself. */
    listener?: boolean;
  };
  /** Those that are valid now or soon, the newest first. */
  onionKeys: OnionKey[];
  /** Cipher suites it takes in set-ups. */
  suites: string[];
  /** Link protocol versions. */
  versions: {
    /** The lowest that it speaks. */
    min: number;
    /** The highest that it speaks. */
    max: number;
  };
  /** Where it answers browsers: at the same addresses. */
  webtransport?: {
    /** SHA-256 of the certificates it shows, the current one and those to come. */
    hashes: Uint8Array[];
  };
  /** Where it takes links over TCP, by HTTP/2 or WebSocket, from nodes whose UDP is blocked; with the certificates above. */
  reliable?: {
    /** `ip:port`. */
    addresses: string[];
    /** `name:port` where browsers reach its WebSocket, by a certificate of the web's authorities. Nodes look no names up. */
    host?: string;
  };
  /** The node's own estimates; a hint, never a proof. */
  estimates: {
    /** What it can forward, bytes per second. */
    rate_bytes_per_s?: number;
    /** The round trip to its neighbours, microseconds. */
    rtt_us?: number;
    /** The round trips to relays that all measure against, microseconds: who is near whom follows from these. */
    landmarks?: {
      /** Of the relay, 64 hex digits. */
      id: string;
      /** The least of a few round trips, microseconds. */
      rtt_us: number;
    }[];
  };
}

export interface Directory {
  /** All that are valid now. */
  descriptors(): Descriptor[];
  get(id: string): Descriptor | undefined;
  /** Publishes this node's own signed descriptor. */
  publish(record: Uint8Array): void;
  /** Called for each descriptor that is new or newer. Returns the way to stop. */
  subscribe(onDescriptor: (descriptor: Descriptor) => void): () => void;
}

/** The key a set-up is sealed to: the newest one that is valid now. */
export function onionKeyAt(descriptor: Descriptor, now_s: number): OnionKey | undefined {
  let best: OnionKey | undefined;
  for (const key of descriptor.onionKeys) {
    if (key.from_s <= now_s && now_s < key.until_s && (best === undefined || key.from_s > best.from_s)) best = key;
  }
  return best;
}
