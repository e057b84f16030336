/** Content that is random, told by a seed, and known by its SHA-256 without being held. */
import { type Cipheriv, createCipheriv, createHash } from 'node:crypto';

const ZEROS = Buffer.alloc(256 * 1024);

function stream(seed: number): Cipheriv {
  const key = createHash('sha256').update(`content ${seed}`).digest().subarray(0, 16);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
}

/** The content in pieces of up to 256 KiB. */
export function* pieces(seed: number, length: number): Generator<Buffer> {
  const cipher = stream(seed);
  for (let left = length; left > 0; left -= ZEROS.length) {
    yield cipher.update(left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS);
  }
}

export function bytes(seed: number, length: number): Buffer {
  return Buffer.concat([...pieces(seed, length)]);
}

export function sha256Of(seed: number, length: number): string {
  const hash = createHash('sha256');
  for (const piece of pieces(seed, length)) hash.update(piece);
  return hash.digest('hex');
}
