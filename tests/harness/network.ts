/**
 * A network of separate processes on loopback: relays, exits and a client, each from a configuration file of its own, on ports
 * that the system picks. The first two relays are the bootstrap peers of all others.
 */
import type { HostStats } from '../../ts/core/host.js';
import type { Cleanup } from './cleanup.js';
import { temporaryFolder } from './folder.js';
import { Node, type NodeConfig } from './node.js';
import { type Endpoint, endpoint } from './socks.js';
import { until } from './wait.js';

export interface NetworkOptions {
  relays?: number;
  exits?: number;
  /** Where nodes listen. */
  host?: string;
  /** Added to every relay's configuration. */
  relay?: NodeConfig;
  /** Added to every exit's configuration. Default: loopback allowed. */
  exit?: NodeConfig;
  /** Added to the client's configuration. */
  client?: NodeConfig;
}

export interface Network {
  folder: string;
  relays: Node[];
  exits: Node[];
  client: Node;
  all: Node[];
  socks: Endpoint;
  /** `host:port`. */
  socksText: string;
  http: Endpoint;
  httpText: string;
  byId(id: string): Node;
}

async function settled(node: Node, peers: number): Promise<void> {
  await node.ready();
  await until(`${node.name} knowing ${peers} nodes`, async () => (await node.status()).descriptors >= peers, 20_000);
}

export async function startNetwork(cleanup: Cleanup, options: NetworkOptions = {}): Promise<Network> {
  const { relays: relayCount = 3, exits: exitCount = 2, host = '127.0.0.1' } = options;
  const folder = temporaryFolder(cleanup);
  const listen = [`${host}:0`];
  const make = (name: string) => cleanup.keep(new Node(name, folder));

  const relays: Node[] = [];
  const bootstrap: string[] = [];
  const startRelay = async (index: number, peers: string[]) => {
    const relay = make(`relay${index}`);
    relays[index] = relay;
    await relay.start({ roles: ['relay'], listen, bootstrap: peers, ...options.relay });
    return `${relay.id}@${relay.up.addresses[0]}`;
  };
  bootstrap.push(await startRelay(0, []));
  bootstrap.push(await startRelay(1, [...bootstrap]));
  const exits = Array.from({ length: exitCount }, (_, i) => make(`exit${i}`));
  const client = make('client');
  await Promise.all([
    ...Array.from({ length: relayCount - 2 }, (_, i) => startRelay(i + 2, bootstrap)),
    ...exits.map((exit) =>
      exit.start({ roles: ['exit'], listen, bootstrap, exit: { allow_loopback: true }, ...options.exit }),
    ),
    client.start({
      roles: ['client'],
      listen,
      bootstrap,
      proxy: { socks: '127.0.0.1:0', http: '127.0.0.1:0' },
      ...options.client,
    }),
  ]);
  const all = [client, ...relays, ...exits];
  await Promise.all(all.map((node) => settled(node, relayCount + exitCount)));
  const socksText = client.up.socks ?? '';
  const httpText = client.up.http ?? '';
  return {
    folder,
    relays,
    exits,
    client,
    all,
    socksText,
    httpText,
    socks: endpoint(socksText),
    http: endpoint(httpText),
    byId(id) {
      const found = all.find((node) => node.id === id);
      if (found === undefined) throw new Error(`no node has the id ${id}`);
      return found;
    },
  };
}

/** What relays and exits counted while something ran. */
export interface Moved<T> {
  result: T;
  /** Of all exits together. */
  exits: Pick<HostStats['exit'], 'bytes_in' | 'bytes_out' | 'udp_in' | 'udp_out'> & { flows: number };
  relays: Map<Node, HostStats['relayed']>;
  /** The client's path when it was over, first hop first. */
  path: Node[];
}

async function counts(network: Network): Promise<Map<Node, HostStats>> {
  const running = [...network.relays, ...network.exits].filter((node) => node.process.running);
  return new Map(await Promise.all(running.map(async (node) => [node, (await node.status()).host] as const)));
}

/** Runs it and tells what it made relays and exits count. Nodes that died meanwhile count nothing. */
export async function moved<T>(network: Network, action: () => Promise<T>): Promise<Moved<T>> {
  const before = await counts(network);
  const result = await action();
  const after = await counts(network);
  const exits = { flows: 0, bytes_in: 0, bytes_out: 0, udp_in: 0, udp_out: 0 };
  const relays: Moved<T>['relays'] = new Map();
  for (const [node, now] of after) {
    const then = before.get(node);
    if (then === undefined) continue;
    exits.flows += now.exit.flows_total - then.exit.flows_total;
    for (const key of ['bytes_in', 'bytes_out', 'udp_in', 'udp_out'] as const)
      exits[key] += now.exit[key] - then.exit[key];
    if (!network.relays.includes(node)) continue;
    relays.set(node, {
      packets_forward: now.relayed.packets_forward - then.relayed.packets_forward,
      packets_backward: now.relayed.packets_backward - then.relayed.packets_backward,
      bytes_forward: now.relayed.bytes_forward - then.relayed.bytes_forward,
      bytes_backward: now.relayed.bytes_backward - then.relayed.bytes_backward,
    });
  }
  const { path } = await network.client.status();
  return { result, exits, relays, path: path.map((hop) => network.byId(hop.id)) };
}
