import { sessionCompliance } from '../testing/session.js';
import type { ReliableSession } from '../transport/reliable.js';
import { RELIABLE_KINDS, type ReachedReliably } from '../transport/reliable-ports.js';
import { newCertificate } from './native.js';
import { reliableTransports } from './reliable.js';

for (const kind of RELIABLE_KINDS) {
  sessionCompliance(kind, async () => {
    const now_s = Math.floor(Date.now() / 1000);
    const certificate = newCertificate(now_s - 3600, now_s + 3600);
    const came = Promise.withResolvers<ReachedReliably>();
    const listener = await reliableTransports.listen('127.0.0.1:0', certificate, came.resolve);
    const signal = new AbortController().signal;
    const there = await reliableTransports.dial(kind, listener.address, [certificate.hash], signal);
    const here = await came.promise;
    return {
      a: there.session,
      b: here.session,
      saysWhy: true,
      lose: () => (here.session as ReliableSession).lose(),
      async [Symbol.asyncDispose]() {
        there.session.close();
        listener.close();
      },
    };
  });
}
