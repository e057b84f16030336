/**
 * OpenSSH, three servers one after the other: forwarded ports lead over the first two to where `ssh -D`, on the second,
 * takes SOCKS5 for the third. Each link is encrypted on its own (AES-128-GCM).
 *
 * sshd asks for accounts and a folder of its system's; it sees some of ours instead, in a mount namespace.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture } from '../../scripts/setup/exec.mjs';
import { succeed } from '../../tests/harness/process.js';
import { debian, find, libraries } from './debian.js';
import { type Peer, Processes } from './peer.js';
import { addressOf, type Host } from './space.js';

const LOCAL = '127.0.0.1:1082';
const SERVERS = ['hop1', 'hop2', 'hop3'] as const;

/** Shadows the system's accounts: an unlocked root, and the user that sshd gives up its rights for. */
const PASSWD = (home: string) =>
  `root:x:0:0:root:${home}:/bin/sh\nsshd:x:65533:65534::/run/sshd:/bin/false\nnobody:x:65534:65534::/:/bin/false\n`;
const SHADOW = 'root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n';

/** `$1`: the folder of the files; the rest: sshd and its words. */
const CONFINED = `mount --bind "$1/passwd" /etc/passwd && mount --bind "$1/shadow" /etc/shadow || exit 1
mount -t tmpfs none /run && mkdir -m 755 /run/sshd || exit 1
shift; exec "$@"`;

const config = (host: Host, folder: string) => `
ListenAddress ${addressOf(host)}:22
HostKey ${join(folder, 'host')}
AuthorizedKeysFile ${join(folder, 'user.pub')}
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin yes
PasswordAuthentication no
PidFile none
AllowTcpForwarding yes
LogLevel ERROR
`;

export const ssh: Peer = {
  name: 'ssh',
  title: 'ssh -D over three servers, AES-128-GCM; each link encrypted on its own',
  async bring() {
    await debian('ssh', 'openssh-client');
    await debian('ssh-keygen', 'openssh-client');
    await debian('sshd', 'openssh-server');
    return (
      capture('sh', ['-c', '"$0" -V 2>&1', find('ssh') ?? 'ssh'], { env: { ...process.env, ...libraries() } }) ?? ''
    );
  },
  async start(space, folder) {
    const processes = new Processes(space, folder, libraries());
    const env = { ...process.env, ...libraries() };
    for (const key of ['host', 'user']) {
      const args = ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, key)];
      await succeed(find('ssh-keygen') ?? 'ssh-keygen', args, { env });
    }
    writeFileSync(join(folder, 'passwd'), PASSWD(folder));
    writeFileSync(join(folder, 'shadow'), SHADOW, { mode: 0o600 });
    for (const host of SERVERS) {
      const file = join(folder, `${host}.conf`);
      writeFileSync(file, config(host, folder));
      const sshd = [find('sshd') ?? 'sshd', '-D', '-e', '-f', file];
      processes.start(host, 'unshare', '--mount', 'sh', '-c', CONFINED, 'sh', folder, ...sshd);
    }
    const to = (from: Host, server: Host, ...forward: string[]) => {
      const options = ['ExitOnForwardFailure=yes', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null'];
      options.push('ConnectionAttempts=20', 'LogLevel=ERROR', 'Ciphers=aes128-gcm@openssh.com', 'BatchMode=yes');
      const words = ['-F', 'none', '-i', join(folder, 'user'), ...options.flatMap((o) => ['-o', o]), '-N', ...forward];
      processes.start(from, find('ssh') ?? 'ssh', ...words, `root@${addressOf(server)}`);
    };
    to('hop2', 'hop3', '-D', LOCAL);
    to('hop1', 'hop2', '-L', `${LOCAL}:${LOCAL}`);
    to('client', 'hop1', '-L', `${LOCAL}:${LOCAL}`);
    return { proxy: LOCAL, processes: processes.list };
  },
};
