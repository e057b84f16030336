/**
 * What a node offers to Node.js programs besides `dial()`: a Duplex, agents for Node's HTTP clients, and `fetch`.
 *
 * Invariant: all of them dial through the node, with its isolation and its signals; closing the node ends them.
 */
import type { Response } from 'undici';
import type { DialTarget } from '../runtime/dial.js';
import type { ListenOptions, NodeListener } from '../runtime/inbound.js';
import { WayfareNode as BaseNode, type DialOptions } from '../runtime/node.js';
import { type AgentOptions, type Dial, FlowAgent, type SecureAgentOptions, SecureFlowAgent } from './agent.js';
import { FlowDuplex, type FlowDuplexOptions } from './duplex.js';
import { type DispatcherOptions, Fetcher, type FetchInit, type FetchInput, type FlowDispatcher } from './fetch.js';

/** How a connection is made, and what becomes of it at its end. */
export interface DialNodeOptions extends DialOptions, FlowDuplexOptions {}

/** At which port, and what becomes of a connection at its end. */
export interface ListenNodeOptions extends ListenOptions, FlowDuplexOptions {}

/** A running node on Node.js, made by `createNode()`. */
export class WayfareNode extends BaseNode {
  readonly #fetcher = new Fetcher((isolation) => this.#dialler(isolation));

  /**
   * As `dial()`, for programs that want a `stream.Duplex`: what `net.connect()` gives them, through the network.
   *
   * Emits `connect` when the exit has connected. Throws a `WayfareError` on a target that cannot be, or of a closed node; whatever
   * fails later is emitted as `error`, a `WayfareError` with the code of its cause.
   */
  dialNode(target: DialTarget, options: DialNodeOptions = {}): FlowDuplex {
    return new FlowDuplex(this.dial(target, options), options);
  }

  /**
   * As `listen()`, for programs that want a `stream.Duplex` of each connection: `server.emit('connection', stream)` serves HTTP on
   * them. The listener is the caller's to close.
   *
   * Throws what `listen()` throws.
   */
  listenNode(options: ListenNodeOptions, onConnection: (stream: FlowDuplex) => void): NodeListener {
    const listener = this.listen(options);
    void (async () => {
      for await (const connection of listener) onConnection(new FlowDuplex(connection, options));
    })();
    return listener;
  }

  /** An agent for `http.request()` and what is built on it. It holds connections: close it, or the node. */
  agent(options: AgentOptions = {}): FlowAgent {
    return new FlowAgent(this.#dialler(options.isolation, options.signal), options);
  }

  /** An agent for `https.request()`: TLS runs inside the circuit, from here to the destination. */
  httpsAgent(options: SecureAgentOptions = {}): SecureFlowAgent {
    return new SecureFlowAgent(this.#dialler(options.isolation, options.signal), options);
  }

  /** A dispatcher for this node's `fetch()` and for undici's own calls, with TLS and connections of its own. Close it after use. */
  dispatcher(options: DispatcherOptions = {}): FlowDispatcher {
    this.assertOpen();
    return this.#fetcher.dispatcher(options);
  }

  /**
   * The web's `fetch`, through the network; `http:` and `https:`. Takes `isolation` besides what the standard takes.
   *
   * Rejects with a `TypeError` whose `cause` is a `WayfareError` where the network could not do it, and with the reason of `signal`
   * where that was aborted. The `Response` is undici's, as are the other classes of it.
   */
  readonly fetch = async (input: FetchInput, init: FetchInit = {}): Promise<Response> => {
    this.assertOpen();
    return this.#fetcher.fetch(input, init);
  };

  /** Ends the node and all that it opened: connections break off. Resolves when nothing of it runs; may be called again. */
  override async close(): Promise<void> {
    await Promise.all([this.#fetcher.close(), super.close()]);
  }

  #dialler(isolation: string | undefined, signal?: AbortSignal): Dial {
    const options: DialNodeOptions = {
      ...(isolation !== undefined && { isolation }),
      ...(signal !== undefined && { signal }),
    };
    return (target) => this.dialNode(target, options);
  }
}
