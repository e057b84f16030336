/**
 * A network of separate processes on loopback: relays, exits and a client, each from a configuration file of its own, on ports
 * that the system picks. The first two relays are the bootstrap peers of all others.
 */
import type { Cleanup } from './cleanup.js';
import { temporaryFolder } from './folder.js';
import { Node, type NodeConfig, type NodeStatus } from './node.js';
import { type Endpoint, endpoint } from './socks.js';
import { until } from './wait.js';

export interface NetworkOptions {
  relays?: number;
  exits?: number;
  /** Where nodes listen. */
  host?: string;
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
    await relay.start({ roles: ['relay'], listen, bootstrap: peers });
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

/** What went over relays and exits, summed; two of them tell what one test moved. */
export interface Tally {
  relayed: { packets: number; bytes: number };
  exit: { flows: number; bytes_in: number; bytes_out: number; udp_in: number; udp_out: number };
  /** By node id. */
  perNode: Map<string, NodeStatus>;
}

export async function tally(network: Network): Promise<Tally> {
  const out: Tally = {
    relayed: { packets: 0, bytes: 0 },
    exit: { flows: 0, bytes_in: 0, bytes_out: 0, udp_in: 0, udp_out: 0 },
    perNode: new Map(),
  };
  for (const node of [...network.relays, ...network.exits]) {
    if (!node.process.running) continue;
    const status = await node.status();
    out.perNode.set(node.id, status);
    const { relayed, exit } = status.host;
    out.relayed.packets += relayed.packets_forward + relayed.packets_backward;
    out.relayed.bytes += relayed.bytes_forward + relayed.bytes_backward;
    out.exit.flows += exit.flows_total;
    out.exit.bytes_in += exit.bytes_in;
    out.exit.bytes_out += exit.bytes_out;
    out.exit.udp_in += exit.udp_in;
    out.exit.udp_out += exit.udp_out;
  }
  return out;
}
