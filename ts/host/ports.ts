/**
 * What an engine in JavaScript's hands needs of the machine: an engine, sessions to others, a way to origins (exits only), and
 * turns.
 */
import type { Clock, Random } from '../base/ports.js';
import type { CreateEngine } from '../core/engine.js';
import type { ExitRules, HostOptions, LinkTransport } from '../core/host.js';
import type { ByteDuplex } from '../transport/quic.js';
import type { Session } from '../transport/session.js';

/** A session that stands, and what is known of who is at its other end. */
export interface Reached {
  session: Session;
  /** Where it leads, for people to read. */
  address: string;
  /** What carries it. */
  transport?: LinkTransport;
  /** The peer's id, where the transport itself has proven it. */
  proven?: string;
  /**
   * SHA-256 of certificates: of a dialled session those that were acceptable, of one that came the one that was shown. None where
   * the transport has no certificate.
   */
  bindings: Uint8Array[];
}

/** How sessions to other nodes come about. */
export interface Transports {
  /** Listens, where it can; resolves with the addresses others reach it at. `take` gets each session that others open. */
  start(take: (reached: Reached) => void): Promise<string[]>;
  /** A session at the first of `addresses` that works. `hashes`: SHA-256 of the certificates that are acceptable there. */
  dial(peer: string, addresses: string[], hashes: Uint8Array[], signal: AbortSignal): Promise<Reached>;
  /** Ends every session and listener. */
  close(): Promise<void>;
}

/** A connection to an origin. */
export interface OriginConnection extends ByteDuplex {
  /** This end's own address, `ip:port`. */
  local: string;
}

/** An exit's way out. It judges by `rules` the very address that it dials, and rejects with the drop reason as code. */
export interface Dialler {
  connect(host: string, port: number, rules: ExitRules, signal: AbortSignal): Promise<OriginConnection>;
}

export interface HostParts {
  createEngine: CreateEngine;
  clock: Clock;
  random: Random;
  transports: (options: HostOptions) => Transports;
  /** Without one, this node cannot be an exit. */
  dialler?: Dialler;
  /** Runs `turn` soon, after what has arrived by now was handed in: packets cross to the engine in batches. */
  defer(turn: () => void): void;
}
