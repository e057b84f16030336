/**
 * A network of whole nodes in this process. Each is made by the `createNode()` that a real node uses, with an identity, a
 * data directory, a UDP socket and links of its own; all they share is the loopback interface.
 */
import { join } from 'node:path';
import { NetworkError } from '../base/errors.js';
import type { Log, LogFields } from '../base/ports.js';
import { type BootstrapPeer, createNode, type NodeOptions, type WayfareNode } from '../platform/node.js';

export interface NetworkOptions {
  relays: number;
  exits: number;
  hops: number;
  /** A folder of their own; each node's data directory is inside. */
  dataDir: string;
  log?: Log;
  /** Called as nodes come up. */
  onProgress?: (text: string) => void;
  signal?: AbortSignal;
}

export interface Member {
  /** `relay-1`, `exit-2`, `client`. */
  name: string;
  role: 'client' | 'relay' | 'exit';
  node: WayfareNode;
}

const READY_MS = 20_000;

export class Network {
  readonly members: Member[] = [];
  #closing = false;

  get client(): WayfareNode {
    return this.members.find((member) => member.role === 'client')!.node;
  }

  member(id: string): Member | undefined {
    return this.members.find((member) => member.node.id === id);
  }

  /** Starts all nodes and waits until the client can draw a path. */
  static async start(options: NetworkOptions): Promise<Network> {
    const network = new Network();
    try {
      await network.#start(options);
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  async #start(options: NetworkOptions): Promise<void> {
    const { relays, exits, hops, onProgress = () => {} } = options;
    const wanted: [Member['role'], number][] = [
      ...Array.from({ length: relays }, (_, i): [Member['role'], number] => ['relay', i + 1]),
      ...Array.from({ length: exits }, (_, i): [Member['role'], number] => ['exit', i + 1]),
      ['client', 0],
    ];
    const bootstrap: BootstrapPeer[] = [];
    for (const [role, number] of wanted) {
      options.signal?.throwIfAborted();
      const name = role === 'client' ? role : `${role}-${number}`;
      const node = await createNode(this.#nodeOptions(name, role, bootstrap, options, hops));
      this.members.push({ name, role, node });
      // The first two are the doors by which everyone enters.
      if (bootstrap.length < 2) bootstrap.push({ id: node.id, address: node.addresses[0]! });
      onProgress(`${this.members.length} of ${wanted.length} nodes up`);
    }
    onProgress('waiting for descriptors');
    const timeout = AbortSignal.timeout(READY_MS);
    const signal = options.signal === undefined ? timeout : AbortSignal.any([timeout, options.signal]);
    await this.client.ready(signal).catch(async (cause) => {
      options.signal?.throwIfAborted();
      const { reasons } = await this.client.status();
      throw new NetworkError(
        'no_path',
        `the client found no path within ${READY_MS / 1000} s (${reasons.join('; ')})`,
        {
          cause,
          hint: 'is UDP on 127.0.0.1 blocked by a firewall or sandbox?',
        },
      );
    });
  }

  #nodeOptions(
    name: string,
    role: Member['role'],
    bootstrap: BootstrapPeer[],
    options: NetworkOptions,
    hops: number,
  ): NodeOptions {
    return {
      roles: [role],
      dataDir: join(options.dataDir, name),
      listen: ['127.0.0.1:0'],
      bootstrap: [...bootstrap],
      hops,
      // Everything runs on this machine: its own loopback is the only destination that works without the Internet.
      exit: { allow_loopback: true },
      ...(options.log !== undefined && { log: this.#untilClosing(options.log.child({ node: name })) }),
    };
  }

  /** While all nodes end, each loses the others: nothing that anyone needs to read. */
  #untilClosing(log: Log): Log {
    const at = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: LogFields) => {
      if (!this.#closing) log[level](message, fields);
    };
    const child = (fields: LogFields) => this.#untilClosing(log.child(fields));
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child };
  }

  /** Clients first, so that nobody sees a path break. */
  async close(): Promise<void> {
    this.#closing = true;
    for (const role of ['client', 'relay', 'exit']) {
      await Promise.all(this.members.filter((member) => member.role === role).map((member) => member.node.close()));
    }
    this.members.length = 0;
  }
}
