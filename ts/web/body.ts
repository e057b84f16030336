/** The body of a response, piece by piece as it comes. */
import type { Framing } from './head.js';
import { type ByteSource, malformed } from './source.js';

const PIECE_BYTES_MAX = 64 * 1024;
const CHUNK_LINE_BYTES_MAX = 4 * 1024;
const TRAILER_LINES_MAX = 64;
const CHUNK = /^([0-9a-fA-F]{1,13})[\t ]*(?:;.*)?$/;

/** `next` gives the next piece, `null` after the last; throws where the body ends before its end. */
export function bodyReader(source: ByteSource, framing: Framing): () => Promise<Uint8Array | null> {
  if (framing.kind === 'close') return () => source.some(PIECE_BYTES_MAX);
  if (framing.kind === 'chunked') return chunked(source);
  let left = framing.kind === 'length' ? framing.bytes : 0;
  return async () => {
    if (left === 0) return null;
    const piece = await take(source, left);
    left -= piece.length;
    return piece;
  };
}

async function take(source: ByteSource, bytesMax: number): Promise<Uint8Array> {
  const piece = await source.some(Math.min(bytesMax, PIECE_BYTES_MAX));
  if (piece === null) throw malformed('it ends inside its body');
  return piece;
}

function chunked(source: ByteSource): () => Promise<Uint8Array | null> {
  let left = 0;
  let begun = false;
  let over = false;
  return async () => {
    if (over) return null;
    if (left === 0) {
      if (begun && (await source.line(2)) !== '') throw malformed('a chunk without its end');
      begun = true;
      const [, size] = CHUNK.exec(await source.line(CHUNK_LINE_BYTES_MAX)) ?? [];
      if (size === undefined) throw malformed('a chunk size that is none');
      left = Number.parseInt(size, 16);
      if (left === 0) {
        // Trailers say nothing that anybody here reads.
        for (let i = 0; (await source.line(CHUNK_LINE_BYTES_MAX)) !== ''; i++)
          if (i === TRAILER_LINES_MAX) throw malformed('trailers without end');
        over = true;
        return null;
      }
    }
    const piece = await take(source, left);
    left -= piece.length;
    return piece;
  };
}
