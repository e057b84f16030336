/** One link that is up, as the rest of TypeScript sees it. */
import type { LinkId } from '../core/host.js';
import type { Session } from '../transport/session.js';

export interface Link {
  readonly id: LinkId;
  /** Node id of the other side, proven by the link's handshake. */
  readonly peer: string;
  readonly address: string;
  /** The peer dialled. */
  readonly incoming: boolean;
  /** The negotiated link protocol version. */
  readonly version: number;
  readonly up_ms: number;
  readonly session: Session;
}

/** A peer that is always wanted: where a node enters the network. */
export interface BootstrapPeer {
  /** 64 hex digits. */
  id: string;
  /** `ip:port`. */
  addresses: string[];
}

/** A link's reason for ending when a side closed it because it was not needed. */
export const CLOSED_IN_PEACE = 'circuit_closed';
