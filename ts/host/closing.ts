/** The end of a host, the same for each: what only tidies up is done already, everything else says that the node is closed. */
import { errorOf } from '../base/errors.js';
import type { NodeHost } from '../core/host.js';

/** What only tidies up or answers: where its subject is gone with the node, there is nothing left to do. */
const TIDYING: ReadonlySet<string | symbol> = new Set<keyof NodeHost>([
  'linkClose',
  'nextHopUnreachable',
  'streamFinish',
  'streamReset',
  'datagramSend',
  'circuitClose',
  'connectionClose',
  'connectionMove',
  'flowFinish',
  'flowReset',
  'inboundAccept',
  'inboundRefuse',
  'proxyClose',
  'proxyAssign',
  'proxyAccept',
  'proxyRefuse',
  'proxyAhead',
]);

/** What throws rather than rejects. */
const IMMEDIATE: ReadonlySet<string | symbol> = new Set<keyof NodeHost>([
  'setOnionKeys',
  'setCertificates',
  'setExitRules',
  'setForwarding',
  'drain',
  'circuitStats',
  'circuitFlow',
  'credits',
  'creditsCircuits',
  'creditsExport',
  'creditsRestore',
  'creditsAdd',
  'creditsReport',
  'creditsConfigure',
]);

export function closedError() {
  return errorOf('closed', 'the node is closed', { hint: 'make a new one with createNode()' });
}

/** After `close()` nothing reaches the host. */
export function untilClosed(host: NodeHost): NodeHost {
  let closed = false;
  const calls = new Map<string | symbol, unknown>();
  return new Proxy(host, {
    get(object, name) {
      const known = calls.get(name);
      if (known !== undefined) return known;
      const value = Reflect.get(object, name, object);
      if (typeof value !== 'function') return value;
      const call = (...args: unknown[]) => {
        if (!closed || name === 'close') {
          closed ||= name === 'close';
          return value.apply(object, args);
        }
        if (TIDYING.has(name)) return undefined;
        if (IMMEDIATE.has(name)) throw closedError();
        return Promise.reject(closedError());
      };
      calls.set(name, call);
      return call;
    },
  });
}
