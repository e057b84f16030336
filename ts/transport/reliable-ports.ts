/** How sessions over TCP come about, for where UDP is blocked: a port, which the platform fills. */
import type { LinkId, NodeHost, WebCertificate } from '../core/host.js';
import type { Session } from './session.js';

/** In the order in which they are tried. */
export const RELIABLE_KINDS = ['http2', 'websocket'] as const;
export type ReliableKind = (typeof RELIABLE_KINDS)[number];

/**
 * How often each end of a link over TCP says that it is there, and how long its peer may say nothing: TCP itself takes minutes to
 * notice that nobody is there.
 */
export const ALIVE_EVERY_MS = 2_000;
export const SILENT_MS_MAX = 8_000;

/** A certificate that the web's authorities vouch for, and the name that it is shown for: what browsers ask of a WebSocket. */
export interface AuthorityCertificate {
  /** The DNS name, lower case. */
  host: string;
  /** PEM, the node's own certificate first. */
  chain: string;
  /** PEM. */
  key: string;
}

/** A session that stands. */
export interface ReachedReliably {
  kind: ReliableKind;
  session: Session;
  /** Where the other end is, `ip:port`. */
  address: string;
  /**
   * SHA-256 of certificates: of a dialled session those that were acceptable, of one that came the one that was shown. None where
   * the caller is a browser that was shown the authorities' certificate, which it can name to nobody.
   */
  bindings: Uint8Array[];
}

/** A host that makes links of sessions that its caller has opened. */
export interface AdoptingHost {
  /** A link to `peer` over this session; resolves when it is up. Rejects as `linkOpen` does. */
  linkAdopt(peer: string, reached: ReachedReliably): Promise<LinkId>;
}

export function adopts(host: NodeHost): AdoptingHost | null {
  return 'linkAdopt' in host ? (host as NodeHost & AdoptingHost) : null;
}

export interface ReliableListener {
  /** Where it listens, `ip:port`. */
  address: string;
  /** Shows another certificate from now on. */
  update(certificate: WebCertificate): void;
  /** Shows this one from now on to those who ask for its name. */
  updateAuthority(authority: AuthorityCertificate): void;
  close(): void;
}

export interface ReliableTransports {
  /** Peers are reached by the name in their descriptors, not by their addresses: so it is in browsers. */
  byName?: boolean;
  /** Rejects with `link_failed`, or when the signal says so. `hashes`: of acceptable certificates; none: any, and `bindings` say which. */
  dial(kind: ReliableKind, address: string, hashes: Uint8Array[], signal: AbortSignal): Promise<ReachedReliably>;
  /** `take` gets each session that comes. */
  listen(
    address: string,
    certificate: WebCertificate,
    take: (reached: ReachedReliably) => void,
    /** Shown to who asks for its name; the other certificate to everyone else. */
    authority?: AuthorityCertificate,
  ): Promise<ReliableListener>;
}
