/** Wayfare as a user runs it: `wayfare up` for a client, two relays and an exit. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../tests/harness/cli.js';
import { type NodeConfig, type NodeStatus, toml, type Up } from '../../tests/harness/node.js';
import { until } from '../../tests/harness/wait.js';
import { packageVersion } from '../../ts/cli/version.js';
import type { HostStats } from '../../ts/core/host.js';
import { type Peer, Processes } from './peer.js';
import { addressOf, type Host, type Space } from './space.js';

const MAIN = join(ROOT, 'dist', 'cli', 'main.js');
const NODES = 4;
const SOCKS = '127.0.0.1:1080';

export const ours: Peer = {
  name: 'ours',
  title: 'client, two relays and an exit; onion-encrypted',
  everywhere: true,
  async bring() {
    return packageVersion();
  },
  async start(space, folder) {
    const processes = new Processes(space, folder);
    const configs = new Map<Host, string>();
    const start = async (host: Host, config: NodeConfig): Promise<string> => {
      mkdirSync(join(folder, host));
      const file = join(folder, host, 'config.toml');
      const listen = [`${addressOf(host)}:4600`];
      writeFileSync(file, toml({ data_dir: 'data', listen, log: { level: 'warn' }, ...config }));
      configs.set(host, file);
      const child = processes.start(host, process.execPath, MAIN, 'up', '--config', file, '--json');
      const line = await until(
        `a node on ${host}`,
        () => {
          if (!child.running) throw new Error(processes.complaint());
          return /^.*(?=\n)/.exec(child.stdout.toString('utf8'))?.[0];
        },
        20_000,
      );
      const { id, addresses } = JSON.parse(line) as Up;
      return `${id}@${addresses[0]}`;
    };
    const first = await start('hop1', { roles: ['relay'] });
    const bootstrap = [first, await start('hop2', { roles: ['relay'], bootstrap: [first] })];
    await start('hop3', { roles: ['exit'], bootstrap, exit: { allow: [`${addressOf('origin')}/32`] } });
    await start('client', { roles: ['client'], bootstrap, proxy: { socks: SOCKS } });
    const hosts = [...configs].map(([host, file]) => ({ host, status: () => statusOf(space, host, file) }));
    for (const { host, status } of hosts) await settled(host, status);
    const state = async () =>
      Object.fromEntries(await Promise.all(hosts.map(async (h) => [h.host, said(await h.status())])));
    return { proxy: SOCKS, processes: processes.list, state };
  },
};

async function statusOf(space: Space, host: Host, file: string): Promise<NodeStatus> {
  return JSON.parse(await space.run(host, process.execPath, [MAIN, 'status', '--config', file, '--json']));
}

/** What tells whether packets went as they should: links' sizes, and what was dropped. */
function said({ host: { links, drops } }: NodeStatus) {
  const of = ({ transport, mtu, fast_bytes, rtt_us }: HostStats['links'][number]) => ({
    transport,
    mtu,
    fast_bytes,
    rtt_us,
  });
  return { links: links.map(of), drops: Object.fromEntries(Object.entries(drops).filter(([, count]) => count > 0)) };
}

const sizes = ({ host: { links } }: NodeStatus) => JSON.stringify(links.map((link) => [link.mtu, link.fast_bytes]));

/** Ready, and at the end of finding out how large packets may be: two looks in a row see the same. */
async function settled(host: Host, status: () => Promise<NodeStatus>): Promise<void> {
  let before = '';
  const look = async () => {
    const now = await status();
    const seen = sizes(now);
    const same = seen === before;
    before = seen;
    return same && now.ready && now.descriptors >= NODES - 1;
  };
  await until(`the node on ${host} ready`, look, 30_000);
}
