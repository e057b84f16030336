import { decode, encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Descriptor } from '../base/directory.js';
import { toHex } from '../base/hex.js';
import { nativeCore } from '../platform/native.js';
import { NOW_S, node } from '../testing/descriptors.js';
import { DESCRIPTOR_BYTES_MAX, readDescriptor, seal, signDescriptor } from './descriptor.js';

const core = nativeCore();
const seed = new Uint8Array(32).fill(7);
const honest: Descriptor = {
  ...node('', { relay: true, exit: true }),
  id: toHex(core.identityPublic(seed)),
  addresses: ['192.0.2.1:4433', '[2001:db8::1]:4433'],
  webtransport: { hashes: [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)] },
  reliable: { addresses: ['192.0.2.1:443'], host: 'relay.example:443' },
  estimates: {
    rate_bytes_per_s: 1_000_000,
    rtt_us: 20_000,
    landmarks: [
      { id: node('a').id, rtt_us: 0 },
      { id: node('b').id, rtt_us: 31_000 },
    ],
  },
};
const record = signDescriptor(core, seed, honest);
const read = (bytes: Uint8Array, now_s = NOW_S) => readDescriptor(core, bytes, now_s);
/** The body with some fields put differently, signed by its node. */
const signed = (change: object) => seal(core, seed, encode({ ...decode(record.subarray(64)), ...change }));

describe('a descriptor', () => {
  it('is read as it was signed', () => {
    expect(read(record)).toEqual(honest);
  });

  it('of a node that browsers cannot call says nothing of WebTransport', () => {
    const plain = { ...honest };
    delete plain.webtransport;
    delete plain.reliable;
    expect(read(signDescriptor(core, seed, plain))).toEqual(plain);
  });

  it('with any field changed under the same signature is forged', () => {
    const body = decode(record.subarray(64));
    const others: Record<string, unknown> = {
      id: core.identityPublic(new Uint8Array(32).fill(8)),
      seq: body.seq + 1,
      time: body.time + 1,
      expires: body.expires + 1,
      addresses: ['198.51.100.1:1'],
      roles: ['relay'],
      onion_keys: [{ ...body.onion_keys[0], key: new Uint8Array(1216).fill(1) }],
      suites: ['chacha20poly1305'],
      versions: [1, 2],
      webtransport: { hashes: [new Uint8Array(32).fill(3)] },
      reliable: { addresses: ['198.51.100.1:1'] },
      estimates: {},
    };
    expect(Object.keys(others).sort()).toEqual(Object.keys(body).sort());
    for (const [field, value] of Object.entries(others)) {
      const forged = new Uint8Array([...record.subarray(0, 64), ...encode({ ...body, [field]: value })]);
      expect([field, read(forged)]).toEqual([field, 'descriptor_forged']);
    }
  });

  it('with any bit flipped is not taken', () => {
    fc.assert(
      fc.property(fc.nat(record.length * 8 - 1), (bit) => {
        const flipped = record.slice();
        flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(['descriptor_forged', 'descriptor_malformed']).toContain(read(flipped));
      }),
    );
  });

  it('signed for another purpose is forged', () => {
    const body = record.subarray(64);
    expect(read(new Uint8Array([...core.sign(seed, body), ...body]))).toBe('descriptor_forged');
  });

  it('that has expired, or is from the future, is stale', () => {
    expect(read(record, honest.expires_s - 1)).toEqual(honest);
    expect(read(record, honest.expires_s)).toBe('descriptor_stale');
    expect(read(record, honest.time_s - 300)).toEqual(honest);
    expect(read(record, honest.time_s - 301)).toBe('descriptor_stale');
  });

  it('above 8 KiB is oversized, and no node can sign one', () => {
    const padded = new Uint8Array(DESCRIPTOR_BYTES_MAX + 1);
    padded.set(record);
    expect(read(padded)).toBe('descriptor_oversized');
    expect(() => signed({ padding: new Uint8Array(DESCRIPTOR_BYTES_MAX) })).toThrow(RangeError);
  });

  it('of an honest key but with nonsense in it is malformed', () => {
    const nonsense: object[] = [
      { id: new Uint8Array(31) },
      { seq: -1 },
      { seq: 1.5 },
      { expires: NOW_S - 1 },
      { expires: NOW_S + 8 * 24 * 3600 },
      { addresses: ['relay.example:4433'] },
      { addresses: ['300.0.0.1:1'] },
      { addresses: ['192.0.2.1:0'] },
      { addresses: Array(9).fill('192.0.2.1:1') },
      { roles: ['king'] },
      { roles: ['relay', 'relay'] },
      { onion_keys: [{ key: new Uint8Array(1215), from: 1, until: 2 }] },
      { onion_keys: [{ key: new Uint8Array(1216), from: 2, until: 2 }] },
      { suites: 'aes128gcm' },
      { versions: [2, 1] },
      { estimates: { rtt_us: 'fast' } },
      { estimates: { landmarks: [{ id: new Uint8Array(31), rtt_us: 1 }] } },
      { estimates: { landmarks: [{ id: new Uint8Array(32), rtt_us: -1 }] } },
      { estimates: { landmarks: [{ id: new Uint8Array(32), rtt_us: 60_000_001 }] } },
      { estimates: { landmarks: Array(2).fill({ id: new Uint8Array(32), rtt_us: 1 }) } },
      {
        estimates: { landmarks: Array.from({ length: 17 }, (_, i) => ({ id: new Uint8Array(32).fill(i), rtt_us: 1 })) },
      },
      { reliable: {} },
      { reliable: { addresses: [] } },
      { reliable: { addresses: ['relay.example:443'] } },
      { reliable: { addresses: ['192.0.2.1:443'], host: '192.0.2.1:443' } },
      { reliable: { addresses: ['192.0.2.1:443'], host: 'localhost:443' } },
      { reliable: { addresses: ['192.0.2.1:443'], host: 'relay.example/x:443' } },
      { reliable: { addresses: Array(9).fill('192.0.2.1:443') } },
      { webtransport: {} },
      { webtransport: { hashes: [] } },
      { webtransport: { hashes: [new Uint8Array(31)] } },
      { webtransport: { hashes: Array(5).fill(new Uint8Array(32)) } },
    ];
    for (const change of nonsense) expect([change, read(signed(change))]).toEqual([change, 'descriptor_malformed']);
  });

  it('with fields of a later version is taken, without them', () => {
    expect(read(signed({ colour: 'blue' }))).toEqual(honest);
  });

  it('is never thrown about, whatever the bytes are', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 9000 }), (bytes) => typeof read(bytes) === 'string'));
    fc.assert(
      fc.property(fc.anything(), (value) => {
        let body: Uint8Array;
        try {
          body = encode(value);
        } catch {
          return;
        }
        if (body.length <= 4096) expect(read(seal(core, seed, body))).toBe('descriptor_malformed');
      }),
    );
  });
});
