/** What every implementation of `Session` must do; run against each of them. */
import { describe, expect, it } from 'vitest';
import type { BidirectionalStream, Session } from '../transport/session.js';
import { readBytes, sameBytes } from './bytes.js';

/** What may lie between a writer and a reader that does not read, both ends' windows and buffers together. */
const HELD_BYTES_MAX = 16 << 20;
const LONG_BYTES = 64 << 20;

export interface PairWanted {
  /** `lose` will be called: what can be cut may be slow. */
  breakable: boolean;
}

export interface Amounts {
  /** How many streams are opened one after the other. Default 10,000. */
  streams?: number;
}

export interface SessionPair extends AsyncDisposable {
  a: Session;
  b: Session;
  /** Whether the other end hears code and reason of a close as they were said; native links have reasons of their own. */
  saysWhy?: boolean;
  /** Breaks the session as a dead link does. */
  lose(): void | Promise<void>;
}

async function accept(session: Session): Promise<BidirectionalStream> {
  const reader = session.incomingBidirectionalStreams.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  return value as BidirectionalStream;
}

async function send(stream: BidirectionalStream, data: Uint8Array): Promise<void> {
  const writer = stream.writable.getWriter();
  for (let at = 0; at < data.length; at += 10_000) await writer.write(data.slice(at, at + 10_000));
  await writer.close();
}

export function sessionCompliance(
  name: string,
  make: (wanted?: PairWanted) => Promise<SessionPair>,
  { streams = 10_000 }: Amounts = {},
): void {
  describe(`${name} session`, () => {
    it('is ready at both ends', async () => {
      await using pair = await make();
      await Promise.all([pair.a.ready, pair.b.ready]);
    });

    it('carries a stream in both directions, each ending by itself', async () => {
      await using pair = await make();
      const question = new Uint8Array(300_000).map((_, i) => i * 7);
      const answer = new Uint8Array(200_000).map((_, i) => i * 11);
      const stream = await pair.a.createBidirectionalStream();
      const asked = send(stream, question);
      const other = await accept(pair.b);
      expect(sameBytes(await readBytes(other.readable), question)).toBe(true);
      await asked;
      const answered = send(other, answer);
      expect(sameBytes(await readBytes(stream.readable), answer)).toBe(true);
      await answered;
    });

    it('keeps streams apart, opened from either side', async () => {
      await using pair = await make();
      const texts = ['one', 'two', 'three'];
      for (const [from, to] of [
        [pair.a, pair.b],
        [pair.b, pair.a],
      ] as const) {
        const streams = await Promise.all(texts.map(() => from.createBidirectionalStream()));
        await Promise.all(streams.map((stream, i) => send(stream, new TextEncoder().encode(texts[i]))));
        const came: string[] = [];
        for (const _ of texts) came.push(new TextDecoder().decode(await readBytes((await accept(to)).readable)));
        expect(came.sort()).toEqual([...texts].sort());
      }
    });

    it('holds a writer back whose reader does not read', async () => {
      await using pair = await make();
      const stream = await pair.a.createBidirectionalStream();
      const writer = stream.writable.getWriter();
      writer.closed.catch(() => {});
      let written = 0;
      const chunk = new Uint8Array(65_536);
      const all = (async () => {
        for (; written < 1024; written++) await writer.write(chunk);
      })().catch(() => {});
      const other = await accept(pair.b);
      // Whatever buffers there are fill within this many turns, since nobody reads.
      for (let last = -1, same = 0; same < 20; ) {
        await new Promise((resolve) => setImmediate(resolve));
        same = written === last ? same + 1 : 0;
        last = written;
      }
      expect(written * chunk.length).toBeLessThanOrEqual(HELD_BYTES_MAX);
      const reader = other.readable.getReader();
      for (let count = 0; count < 1024 * chunk.length; ) count += (await reader.read()).value?.length ?? 0;
      await all;
      expect(written).toBe(1024);
    });

    it('carries 64 MiB through one stream, far beyond every window', { timeout: 120_000 }, async () => {
      await using pair = await make();
      const stream = await pair.a.createBidirectionalStream();
      const writer = stream.writable.getWriter();
      const chunk = new Uint8Array(1 << 16).map((_, i) => i * 13);
      const sending = (async () => {
        for (let at = 0; at < LONG_BYTES; at += chunk.length) {
          chunk[0] = at >> 16;
          await writer.write(chunk.slice());
        }
        await writer.close();
      })();
      const reader = (await accept(pair.b)).readable.getReader();
      let at = 0;
      let wrong = 0;
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        for (let i = 0; i < value.length; i += 257) {
          const place = (at + i) & 0xffff;
          const expected = place === 0 ? (at + i) >> 16 : place * 13;
          if (value[i] !== (expected & 0xff)) wrong += 1;
        }
        at += value.length;
      }
      await sending;
      expect([at, wrong]).toEqual([LONG_BYTES, 0]);
    });

    it(`opens ${streams} streams one after the other`, { timeout: 240_000 }, async () => {
      await using pair = await make();
      const incoming = pair.b.incomingBidirectionalStreams.getReader();
      const answering = (async () => {
        for (let i = 0; i < streams; i++) {
          const { value } = await incoming.read();
          await send(value as BidirectionalStream, await readBytes((value as BidirectionalStream).readable));
        }
      })();
      let right = 0;
      for (let i = 0; i < streams; i++) {
        const stream = await pair.a.createBidirectionalStream();
        const question = new Uint8Array([i >> 8, i]);
        const sent = send(stream, question);
        if (sameBytes(await readBytes(stream.readable), question)) right += 1;
        await sent;
      }
      await answering;
      expect(right).toBe(streams);
    });

    it('tells a writer that its reader reads no more', async () => {
      await using pair = await make();
      const stream = await pair.a.createBidirectionalStream();
      const writer = stream.writable.getWriter();
      writer.closed.catch(() => {});
      await writer.write(new Uint8Array([1]));
      const other = await accept(pair.b);
      const reader = other.readable.getReader();
      await reader.read();
      await reader.cancel(new Error('enough'));
      await expect(
        (async () => {
          for (;;) await writer.write(new Uint8Array(65_536));
        })(),
      ).rejects.toThrow();
    });

    it('passes an abort of the one who answers on to the one who asked', async () => {
      await using pair = await make();
      const stream = await pair.a.createBidirectionalStream();
      await stream.writable.getWriter().write(new Uint8Array([1]));
      const other = await accept(pair.b);
      const reading = stream.readable.getReader().read();
      await other.writable.abort(new Error('enough'));
      await expect(reading).rejects.toThrow();
    });

    it('passes an abort on to the reader', async () => {
      await using pair = await make();
      const stream = await pair.a.createBidirectionalStream();
      const writer = stream.writable.getWriter();
      await writer.write(new Uint8Array([1]));
      const other = await accept(pair.b);
      const reader = other.readable.getReader();
      await reader.read();
      await writer.abort(new Error('enough'));
      await expect(reader.read()).rejects.toThrow();
    });

    it('carries datagrams, and drops those above its maximum without a word', async () => {
      await using pair = await make();
      const writer = pair.a.datagrams.writable.getWriter();
      await writer.write(new Uint8Array(pair.a.datagrams.maxDatagramSize + 1));
      const full = new Uint8Array(pair.a.datagrams.maxDatagramSize).fill(9);
      await writer.write(full);
      const { value } = await pair.b.datagrams.readable.getReader().read();
      expect(sameBytes(value as Uint8Array, full)).toBe(true);
    });

    it('closes: `closed` resolves here with what was said, streams and later calls fail', async () => {
      await using pair = await make();
      const stream = await pair.a.createBidirectionalStream();
      const writer = stream.writable.getWriter();
      writer.closed.catch(() => {});
      await writer.write(new Uint8Array([1]));
      const other = await accept(pair.b);
      const reader = other.readable.getReader();
      await reader.read();
      pair.a.close({ closeCode: 7, reason: 'done' });
      expect(await pair.a.closed).toEqual({ closeCode: 7, reason: 'done' });
      const said = await pair.b.closed.catch(() => null);
      if (pair.saysWhy) expect(said).toEqual({ closeCode: 7, reason: 'done' });
      await expect(reader.read()).rejects.toThrow();
      await expect(pair.a.createBidirectionalStream()).rejects.toThrow();
      await expect(pair.b.createBidirectionalStream()).rejects.toThrow();
      pair.a.close();
    });

    it('that is lost rejects `closed` and fails what waits', async () => {
      await using pair = await make({ breakable: true });
      const stream = await pair.a.createBidirectionalStream();
      const reading = stream.readable.getReader().read();
      const incoming = pair.a.incomingBidirectionalStreams.getReader().read();
      reading.catch(() => {});
      incoming.catch(() => {});
      await pair.lose();
      await expect(pair.a.closed).rejects.toThrow();
      await expect(reading).rejects.toThrow();
      await expect(incoming).rejects.toThrow();
    });
  });
}
