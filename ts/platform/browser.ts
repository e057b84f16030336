/**
 * The browser root, and the package's entry there: `import { createNode } from 'wayfare'`.
 *
 * A page is a client: it opens circuits through relays that answer WebTransport, and fetches through their exits. The core runs
 * in WebAssembly. What it knows it forgets with the page.
 */
import { type Clock, type Log, type Random, randomBelow, type Timer } from '../base/ports.js';
import { engineHosts } from '../host/engine-host.js';
import { createNodeOn } from '../runtime/create.js';
import { MemoryStore } from '../runtime/memory-store.js';
import { WayfareNode } from '../runtime/node.js';
import type { NodeOptions, Platform } from '../runtime/options.js';
import { type FetchInit, fetchOver } from '../web/fetch.js';
import { BrowserTransports, socketTransports } from './browser-transports.js';
import { createWasmEgress, createWasmEngine, initWasm, type WasmSource, wasmCore } from './wasm.js';

export {
  AbortedError,
  type ErrorCode,
  type ErrorDetails,
  NetworkError,
  ProtocolError,
  SystemError,
  UsageError,
  WayfareError,
} from '../base/errors.js';
export type { Log, LogFields } from '../base/ports.js';
export type { DialedConnection, DialTarget, OpenedFlow } from '../runtime/dial.js';
export { HopEvent, type NodeEventMap, PathEvent, PeerEvent, VerdictEvent } from '../runtime/events.js';
export type { DialOptions } from '../runtime/node.js';
export type { NodePeer, NodeStatus, PathHop } from '../runtime/options.js';
export type { BootstrapPeer } from '../session/neighbours.js';
export type { FetchInit, WasmSource };

/** What a page says of the node it wants. */
export type BrowserNodeOptions = Pick<NodeOptions, 'bootstrap' | 'hops' | 'sizeClass' | 'limits' | 'log' | 'signal'> & {
  /**
   * Where the core's module is (in the package: `wayfare/wayfare_bg.wasm`), or its bytes. Default: where it is in the package, which
   * bundlers that know `new URL(…, import.meta.url)` find.
   */
  wasm?: WasmSource;
};

/** A node in a page. */
export class BrowserNode extends WayfareNode {
  /**
   * `fetch()` through the network, of `http://` URLs: the name is resolved at the exit, which sees the request. Redirects are
   * not followed unless asked (`redirect: 'follow'`). Requests of different `isolation` share no circuit.
   */
  fetch(input: string | URL | Request, init: FetchInit & { isolation?: string } = {}): Promise<Response> {
    const { isolation, ...rest } = init;
    return fetchOver(
      (target, options) => this.dial(target, { ...options, ...(isolation !== undefined && { isolation }) }),
      input,
      rest,
    );
  }
}

const fill = (bytes: Uint8Array) => {
  // The most that one call gives.
  for (let at = 0; at < bytes.length; at += 65_536)
    crypto.getRandomValues(bytes.subarray(at, at + 65_536) as Uint8Array<ArrayBuffer>);
};

const pageRandom: Random = { fill, below: (bound) => randomBelow(fill, bound) };

const pageClock: Clock = {
  now_ms: () => Date.now(),
  monotonic_ms: () => performance.now(),
  setTimeout(run: () => void, delay_ms: number): Timer {
    const timer = setTimeout(run, delay_ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

/** Turns by messages: timers of zero wait for milliseconds, and in hidden pages for a second. */
function turns(): (turn: () => void) => void {
  const waiting: (() => void)[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener('message', () => waiting.shift()?.());
  port1.start();
  return (turn) => {
    waiting.push(turn);
    port2.postMessage(null);
  };
}

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

function pagePlatform(log: Log = silent): Platform {
  const ports = { createEngine: createWasmEngine, clock: pageClock, random: pageRandom, defer: turns() };
  return {
    core: wasmCore(),
    reliable: socketTransports,
    createHost: engineHosts({ ...ports, transports: () => new BrowserTransports() }),
    createEgress: createWasmEgress,
    clock: pageClock,
    random: pageRandom,
    log,
    openStore: async () => ({ store: new MemoryStore() }),
  };
}

/**
 * Loads the core, makes a node and starts it. Its bootstrap peers need their `webtransport` hashes, since a page can pin nothing
 * else, or a `reliable.host`, where WebSocket is to take over if UDP is blocked.
 *
 * Rejects with a `WayfareError` that names the mending.
 */
export async function createNode(options: BrowserNodeOptions = {}): Promise<BrowserNode> {
  const { wasm, ...rest } = options;
  await initWasm(wasm ?? new URL('../../bindings/wasm/pkg/wayfare_bg.wasm', import.meta.url));
  return createNodeOn({ ...rest, roles: ['client'] }, pagePlatform(options.log), BrowserNode);
}
