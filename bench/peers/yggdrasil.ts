/**
 * Yggdrasil: two nodes with TUN interfaces, and between them one that only passes on. It has no exit: the origin runs on
 * the last node and is reached at that node's own address. Encrypted once, from end to end.
 */
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { which } from '../../scripts/setup/exec.mjs';
import { until } from '../../tests/harness/wait.js';
import { install, peersFolder } from './install.js';
import { ORIGIN_PORT, type Peer, Processes } from './peer.js';
import { addressOf, type Host } from './space.js';

/** As in yggdrasil/go.mod. */
const VERSION = '0.5.14';
const source = fileURLToPath(new URL('yggdrasil', import.meta.url));
const program = peersFolder(`yggdrasil-${VERSION}`);
/** Made once the program is whole. */
const stamp = `${program}.built`;
const RELAY = `tcp://${addressOf('hop1')}:9001`;

export const yggdrasil: Peer = {
  name: 'yggdrasil',
  title: 'Yggdrasil with one relay between, encrypted end to end; no proxy, no exit',
  async bring() {
    if (existsSync(stamp) && existsSync(program)) return VERSION;
    if (which('go') === null) throw new Error('go is not on PATH: install Go 1.25 or newer from https://go.dev');
    rmSync(stamp, { force: true });
    const args = ['build', '-o', program, '.'];
    const part = (line: string) => /^go: downloading (\S+)/.exec(line)?.[1];
    await install(`yggdrasil ${VERSION}`, { command: 'go', args, cwd: source, part });
    writeFileSync(stamp, '');
    return VERSION;
  },
  async start(space, folder) {
    const processes = new Processes(space, folder);
    const start = async (host: Host, ...args: string[]): Promise<string> => {
      const child = processes.start(host, program, ...args);
      return until(`yggdrasil on ${host}`, () => {
        if (!child.running) throw new Error(processes.complaint());
        return /^\S+(?=\n)/.exec(child.stdout.toString('utf8'))?.[0];
      });
    };
    await start('hop1', '-listen', RELAY);
    const far = await start('origin', '-peer', RELAY, '-tun');
    await start('client', '-peer', RELAY, '-tun');
    return { proxy: 'direct', origin: `[${far}]:${ORIGIN_PORT}`, processes: processes.list };
  },
};
