/**
 * Ping: a stream on which every message of 8 bytes comes straight back.
 *
 * Invariant: the answerer keeps nothing, and ends after `ECHOES_MAX` messages.
 */
import { WayfareError } from '../base/errors.js';
import type { Clock, Random } from '../base/ports.js';
import { FrameReader } from '../transport/frames.js';
import type { BidirectionalStream, Session } from '../transport/session.js';
import { openProtocol } from './protocols.js';

export const PING_PROTOCOL = 'ping/1';
const NONCE_BYTES = 8;
const ECHOES_MAX = 64;

export async function answerPings(stream: BidirectionalStream): Promise<void> {
  const input = new FrameReader(stream.readable, NONCE_BYTES);
  const output = stream.writable.getWriter();
  for (let echoes = 0; echoes < ECHOES_MAX; echoes++) {
    const nonce = await input.take(NONCE_BYTES, true);
    if (nonce === null) break;
    await output.write(nonce);
  }
  await output.close();
}

/** Round-trip times of `count` pings, one after the other. */
export async function ping(session: Session, clock: Clock, random: Random, count: number): Promise<number[]> {
  const stream = await openProtocol(session, PING_PROTOCOL);
  const input = new FrameReader(stream.readable, NONCE_BYTES);
  const output = stream.writable.getWriter();
  const rtts_ms: number[] = [];
  for (let i = 0; i < Math.min(count, ECHOES_MAX); i++) {
    const nonce = new Uint8Array(NONCE_BYTES);
    random.fill(nonce);
    const sent_ms = clock.monotonic_ms();
    await output.write(nonce);
    const echo = await input.take(NONCE_BYTES, false);
    if (echo.some((byte, at) => byte !== nonce[at]))
      throw new WayfareError('control_malformed', 'the peer echoed something else');
    rtts_ms.push(clock.monotonic_ms() - sent_ms);
  }
  await output.close();
  return rtts_ms;
}
