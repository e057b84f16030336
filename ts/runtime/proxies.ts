/** Proxies as `node.listenSocks()` and `node.listenHttp()` give them. */

import type { NodeHost } from '../core/host.js';
import { unlessAborted } from '../core/timing.js';
import { checkListener } from '../proxy/listen.js';
import type { Listening, ListenProxyOptions } from './options.js';

/** Listens until closed, or until the signal is aborted. */
export async function listenProxy(
  host: NodeHost,
  kind: 'socksListen' | 'httpListen',
  { signal, ...options }: ListenProxyOptions,
): Promise<Listening> {
  const opening = host[kind](checkListener(options));
  const { proxy, address } = await unlessAborted(signal, 'the listening', opening, (late) =>
    host.proxyClose(late.proxy),
  );
  const close = async () => {
    signal?.removeEventListener('abort', close);
    host.proxyClose(proxy);
  };
  signal?.addEventListener('abort', close, { once: true });
  return { address, close, [Symbol.asyncDispose]: close };
}
