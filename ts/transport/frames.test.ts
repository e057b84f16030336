import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, frame } from './frames.js';

function arriving(bytes: Uint8Array, cuts: number[]): ReadableStream<Uint8Array> {
  const ends = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  return new ReadableStream({
    start(controller) {
      let at = 0;
      for (const end of [...ends, bytes.length]) {
        controller.enqueue(bytes.slice(at, end));
        at = end;
      }
      controller.close();
    },
  });
}

describe('framed messages', () => {
  it('come whole however the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 40 })), fc.array(fc.nat(500)), async (messages, cuts) => {
        const bytes = Buffer.concat(messages.map((message) => frame(message)));
        const reader = new FrameReader(arriving(bytes, cuts), 40);
        for (const message of messages) expect(await reader.next()).toEqual(message);
        expect(await reader.next()).toBeNull();
      }),
    );
  });

  it('are refused by their length alone, and where the stream ends within one', async () => {
    const long = new FrameReader(arriving(new Uint8Array([0, 0, 0, 41]), []), 40);
    await expect(long.next()).rejects.toMatchObject({ code: 'control_malformed' });
    for (let length = 1; length < 8; length++) {
      const short = new FrameReader(arriving(frame(new Uint8Array(4)).slice(0, length), []), 40);
      await expect(short.next()).rejects.toMatchObject({ code: 'control_malformed' });
    }
  });
});
