/** How sessions over TCP come about, for where UDP is blocked: a port, which the platform fills. */
import type { WebCertificate } from '../core/host.js';
import type { Session } from './session.js';

/** In the order in which they are tried. */
export const RELIABLE_KINDS = ['http2', 'websocket'] as const;
export type ReliableKind = (typeof RELIABLE_KINDS)[number];

/** A session that stands. */
export interface ReachedReliably {
  kind: ReliableKind;
  session: Session;
  /** Where the other end is, `ip:port`. */
  address: string;
  /** SHA-256 of certificates: of a dialled session those that were acceptable, of one that came the one that was shown. */
  bindings: Uint8Array[];
}

export interface ReliableListener {
  /** Where it listens, `ip:port`. */
  address: string;
  /** Shows another certificate from now on. */
  update(certificate: WebCertificate): void;
  close(): void;
}

export interface ReliableTransports {
  /** Rejects with `link_failed`, or when the signal says so. `hashes`: of acceptable certificates; none: any, and `bindings` say which. */
  dial(kind: ReliableKind, address: string, hashes: Uint8Array[], signal: AbortSignal): Promise<ReachedReliably>;
  /** `take` gets each session that comes. */
  listen(
    address: string,
    certificate: WebCertificate,
    take: (reached: ReachedReliably) => void,
  ): Promise<ReliableListener>;
}
