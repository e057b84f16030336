/**
 * shadowsocks-rust, three servers one after the other. Each link is encrypted on its own (AES-128-GCM): a server hands what
 * it decrypted to a local client of the next link, as a chain of shadowsocks servers is set up. The SOCKS5 proxy is the
 * last of these clients, so that the program's own request chooses the destination.
 */
import { existsSync, rmSync } from 'node:fs';
import { capture, which } from '../../scripts/setup/exec.mjs';
import { install, peersFolder } from './install.js';
import { type Peer, Processes } from './peer.js';
import { addressOf, type Host } from './space.js';

/** The newest that builds with the Rust this project asks for. */
const VERSION = '1.24.0';
const FEATURES = 'local,local-tunnel,server,multi-threaded,aead-cipher';
const CIPHER = ['-m', 'aes-128-gcm', '-k', 'not-a-secret'];
const PORT = 8_388;
const LOCAL = '127.0.0.1:1081';

const folder = peersFolder(`shadowsocks-rust-${VERSION}`);
const program = (name: string) => `${folder}/bin/${name}`;

async function build(): Promise<void> {
  if (which('cargo') === null) throw new Error('cargo is not on PATH: install Rust with https://rustup.rs');
  const args = ['install', 'shadowsocks-rust', '--version', VERSION, '--locked', '--root', folder];
  const rubble = peersFolder('build');
  args.push('--no-default-features', '--features', FEATURES, '--target-dir', rubble);
  await install(`shadowsocks-rust ${VERSION}`, {
    command: 'cargo',
    args,
    env: { CARGO_TERM_COLOR: 'never' },
    part: (line) => /^\s*Compiling (\S+)/.exec(line)?.[1],
  });
  rmSync(rubble, { recursive: true, force: true });
}

export const shadowsocks: Peer = {
  name: 'shadowsocks',
  title: 'shadowsocks-rust three times, AES-128-GCM; each link encrypted on its own',
  everywhere: true,
  async bring() {
    if (!existsSync(program('sslocal')) || !existsSync(program('ssserver'))) await build();
    return capture(program('ssserver'), ['--version']) ?? VERSION;
  },
  async start(space, home) {
    const processes = new Processes(space, home);
    const server = (host: Host) =>
      processes.start(host, program('ssserver'), '-s', `${addressOf(host)}:${PORT}`, ...CIPHER, '--tcp-no-delay');
    const local = (host: Host, to: Host, ...protocol: string[]) => {
      const args = ['-b', LOCAL, '-s', `${addressOf(to)}:${PORT}`, ...CIPHER, '--tcp-no-delay', ...protocol];
      processes.start(host, program('sslocal'), ...args);
    };
    const tunnel = ['--protocol', 'tunnel', '-f', LOCAL];
    for (const host of ['hop1', 'hop2', 'hop3'] as const) server(host);
    local('hop2', 'hop3', '--protocol', 'socks');
    local('hop1', 'hop2', ...tunnel);
    local('client', 'hop1', ...tunnel);
    return { proxy: LOCAL, processes: processes.list };
  },
};
