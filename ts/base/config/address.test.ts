/** Addresses as people write them, held against Node's own reading of them. */
import { isIPv4 as nodeIsIPv4, isIPv6 as nodeIsIPv6 } from 'node:net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isCidr, isHostPort, isIpPort, isIpv4, isIpv6, isLoopback, joinHostPort, splitHostPort } from './address.js';

/** Characters that addresses are made of, so that chance comes near them. */
const addressLike = fc.string({ unit: fc.constantFrom(...'0123456789abf:.[]/%-g'), maxLength: 24 });
const text = fc.oneof(addressLike, fc.string({ unit: 'binary' }), fc.ipV4(), fc.ipV6(), fc.ipV4Extended(), fc.domain());
const port = fc.integer({ min: 0, max: 65535 });

test('what is an address to us is one to Node, and the other way round', () => {
  fc.assert(
    fc.property(text, (given) => {
      expect([given, isIpv4(given)]).toEqual([given, nodeIsIPv4(given)]);
      // Zones name an interface of one machine: no address of a peer has one.
      if (!given.includes('%')) expect([given, isIpv6(given)]).toEqual([given, nodeIsIPv6(given)]);
      else expect(isIpv6(given)).toBe(false);
    }),
    { numRuns: 2000 },
  );
});

test('HOST:PORT comes apart as it was put together', () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), port, (host, number) => {
      expect(splitHostPort(joinHostPort(host, number))).toEqual({ host, port: number });
      expect(isHostPort(joinHostPort(host, number))).toBe(number > 0);
    }),
  );
});

test('whatever is given, the answers agree with each other and with the URL standard, and nothing throws', () => {
  fc.assert(
    fc.property(text, fc.oneof(port.map(String), fc.string({ maxLength: 6 })), (host, number) => {
      for (const given of [host, `${host}:${number}`, `[${host}]:${number}`, `${host}/${number}`]) {
        const parts = splitHostPort(given);
        if (isIpPort(given) || isHostPort(given)) expect(parts).not.toBeNull();
        if (isLoopback(given)) expect(isIpPort(given)).toBe(true);
        if (isCidr(given)) expect(given).toMatch(/^[0-9a-f.:]+\/\d{1,3}$/i);
        if (!isIpPort(given) || parts === null) continue;
        expect(parts.port).toBeLessThanOrEqual(65535);
        const url = new URL(`ws://${given}/`);
        expect(Number(url.port || 80)).toBe(parts.port);
        // The standard writes an address in one way only.
        expect(isLoopback(given)).toBe(/^(127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname));
      }
    }),
    { numRuns: 2000 },
  );
});
