/** What a page and its peer in Node agree on, before a pair of sessions stands. */

export type PeerKind = 'webtransport' | 'websocket';

export interface PeerWanted {
  kind: PeerKind;
  /** The way between the two can be cut. */
  breakable: boolean;
}

export interface PeerOffer {
  /** Where the page is to open its session. */
  address: string;
  /** Of a native host: SHA-256 of its certificate and its id, hex. */
  hash: string;
  id: string;
}

export const unhex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
