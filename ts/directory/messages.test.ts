/** Gossip messages: whatever a neighbour sends is read whole or refused, never thrown about. */
import { encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toHex } from '../base/hex.js';
import { DIGEST_PAGE_MAX, decodeMessage, encodeMessage, MESSAGE_BYTES_MAX, type Message } from './messages.js';

const id = fc.uint8Array({ minLength: 32, maxLength: 32 });
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({
    type: fc.constant('digest' as const),
    last: fc.boolean(),
    held: fc.array(fc.record({ id: id.map(toHex), seq: fc.maxSafeNat() }), { maxLength: 40 }),
  }),
  fc.record({
    type: fc.constant('records' as const),
    records: fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 40 }),
  }),
);

describe('a gossip message', () => {
  it('is read as it was written', () => {
    fc.assert(fc.property(message, (sent) => void expect(decodeMessage(encodeMessage(sent))).toEqual(sent)));
  });

  it('with bytes changed, cut or added is some message or none, and never throws', () => {
    const spoilt = fc.tuple(message, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 4 }));
    fc.assert(
      fc.property(spoilt, fc.nat(), ([sent, at, byte, more], cut) => {
        const bytes = encodeMessage(sent);
        const changed = bytes.slice();
        changed[at % bytes.length] = byte;
        for (const given of [changed, bytes.slice(0, cut % bytes.length), Buffer.concat([bytes, more])]) {
          const read = decodeMessage(given);
          // What is taken can be passed on: it fits what others take.
          if (read !== null) expect(decodeMessage(encodeMessage(read))).toEqual(read);
        }
        expect(decodeMessage(bytes.slice(0, cut % bytes.length))).toBeNull();
        if (more.length > 0) expect(decodeMessage(Buffer.concat([bytes, more]))).toBeNull();
      }),
    );
  });

  it('of any bytes, or any other CBOR, is refused', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => void decodeMessage(bytes)));
    fc.assert(
      fc.property(fc.anything(), (value) => {
        let bytes: Uint8Array;
        try {
          bytes = encode(value);
        } catch {
          return;
        }
        const [type] = Array.isArray(value) ? value : [];
        if (type !== 'digest' && type !== 'records') expect(decodeMessage(bytes)).toBeNull();
      }),
    );
  });

  it('beyond its bounds is refused', () => {
    const seq = (count: number): Message => ({
      type: 'digest',
      last: true,
      held: Array.from({ length: count }, () => ({ id: '00'.repeat(32), seq: 1 })),
    });
    expect(decodeMessage(encodeMessage(seq(DIGEST_PAGE_MAX)))).not.toBeNull();
    expect(decodeMessage(encodeMessage(seq(DIGEST_PAGE_MAX + 1)))).toBeNull();
    const records: Message = { type: 'records', records: [new Uint8Array(MESSAGE_BYTES_MAX)] };
    expect(decodeMessage(encodeMessage(records))).toBeNull();
    // Ids of other lengths, negative numbers, a third part.
    for (const wire of [
      ['digest', true, [[new Uint8Array(31), 1]]],
      ['digest', true, [[new Uint8Array(32), -1]]],
      ['digest', true, [], 1],
      ['records', [new Uint8Array(1)], 1],
    ])
      expect(decodeMessage(encode(wire))).toBeNull();
  });
});
