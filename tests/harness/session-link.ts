/** The beginning of a link on a session of a page's (docs/decisions/0005), as far as a native host demands it. */
import type { webcrypto } from 'node:crypto';
import { FrameReader } from '../../ts/transport/frames.js';
import type { Session } from '../../ts/transport/session.js';
import { unhex } from './session-offer.js';

const PROOF_HEAD_BYTES = 3;

function join(...parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

const frame = (kind: number, content: Uint8Array) =>
  join(new Uint8Array([kind, content.length >> 8, content.length & 255]), content);

/** Resolves once the host has said its HELLO. Of what it proves nothing is checked: that is another test's (webtransport.test.ts). */
export async function beginLink(session: Session, peer: string): Promise<void> {
  const keys = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const id = new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey));
  const nonce = crypto.getRandomValues(new Uint8Array(32));
  const control = await session.createBidirectionalStream();
  const writer = control.writable.getWriter();
  const reader = new FrameReader(control.readable, 0);
  await writer.write(frame(0x41, join(id, nonce)));
  await reader.take(PROOF_HEAD_BYTES, false);
  await reader.take(32, false);
  const [theirs, binding] = [await reader.take(32, false), await reader.take(32, false)];
  await reader.take(64, false);
  const said = join(new TextEncoder().encode('wayfare link 1 dialler'), id, unhex(peer), nonce, theirs, binding);
  const own = new Uint8Array(await crypto.subtle.sign('Ed25519', keys.privateKey, said as webcrypto.BufferSource));
  await writer.write(join(frame(0x43, own), frame(1, new Uint8Array([1, 1, 0, 0, 0, 0]))));
  await reader.take(PROOF_HEAD_BYTES + 6, false);
}
