/** Who is let in at the admin port, whatever the headers are. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type GuardedRequest, judge, ownHosts } from './guard.js';

const PORT = 4601;
const TOKEN = 'a-token-0123456789';
const own = [...ownHosts(PORT)];
const near = fc.constantFrom(
  ...own,
  '127.0.0.1',
  'localhost',
  'LOCALHOST:4601',
  '127.0.0.1:4602',
  '0.0.0.0:4601',
  'evil.example:4601',
  'localhost.evil.example:4601',
  '127.0.0.1:4601@evil.example',
  'null',
);
const any = fc.oneof(near, fc.string({ unit: 'binary' }));
const request: fc.Arbitrary<GuardedRequest> = fc.record({
  host: fc.option(any, { nil: undefined }),
  origin: fc.option(
    fc.oneof(
      any,
      near.map((host) => `http://${host}`),
      near.map((host) => `https://${host}`),
    ),
    {
      nil: undefined,
    },
  ),
  fetchSite: fc.option(fc.constantFrom('same-origin', 'same-site', 'cross-site', 'none', ''), { nil: undefined }),
  authorization: fc.option(
    fc.oneof(any, fc.constantFrom(`Bearer ${TOKEN}`, `bearer ${TOKEN}`, `Bearer ${TOKEN} `, `Basic ${TOKEN}`, TOKEN)),
    { nil: undefined },
  ),
});

test('only a request to this port, of no other origin, with the token, is let in', () => {
  fc.assert(
    fc.property(request, (given) => {
      const verdict = judge(given, PORT, TOKEN);
      const toUs = own.includes(given.host?.toLowerCase() ?? '');
      const fromUs = given.origin === undefined || own.some((host) => given.origin?.toLowerCase() === `http://${host}`);
      const site = given.fetchSite === undefined || ['same-origin', 'none'].includes(given.fetchSite);
      const known = given.authorization?.toLowerCase().startsWith('bearer ') && given.authorization.slice(7) === TOKEN;
      expect(verdict.status).toBe(!(toUs && fromUs && site) ? 403 : known ? 200 : 401);
      // Without a token asked for, all else still counts.
      expect(judge(given, PORT, null).status).toBe(toUs && fromUs && site ? 200 : 403);
    }),
    { numRuns: 2000 },
  );
});
