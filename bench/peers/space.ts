/**
 * Machines on one machine: a network namespace for each host, and a veth pair between every two, so that a packet meets
 * what it would meet on a cable and nothing else. No route leads out of them.
 *
 * Every host has one address, on its loopback interface, and a route to each other host over the pair between them.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { Child, succeed } from '../../tests/harness/process.js';

export const HOSTS = ['client', 'hop1', 'hop2', 'hop3', 'origin'] as const;
export type Host = (typeof HOSTS)[number];

export const addressOf = (host: Host): string => `10.77.0.${HOSTS.indexOf(host) + 1}`;

const PREFIX = 'wayfare-peers';
const nameOf = (host: Host, owner = process.pid) => `${PREFIX}-${owner}-${host}`;

/** Why there can be no namespaces here, or null. */
export function obstacle(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are Linux only';
  if (process.getuid?.() !== 0) return 'network namespaces need root: sudo npm run bench:peers';
  for (const command of ['ip', 'nsenter', 'unshare']) {
    const { error } = spawnSync(command, ['--version'], { stdio: 'ignore' });
    if (error !== undefined) return `${command} is not on PATH: apt-get install iproute2 util-linux`;
  }
  return null;
}

function ip(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

function batch(namespace: string | undefined, lines: readonly string[]): void {
  const args = [...(namespace === undefined ? [] : ['-n', namespace]), '-batch', '-'];
  const { status, stderr } = spawnSync('ip', args, { encoding: 'utf8', input: `${lines.join('\n')}\n` });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${stderr.trim()}`);
}

/** Ends what runs in a namespace, by process ids, and deletes it. */
function remove(namespace: string): void {
  const { stdout } = spawnSync('ip', ['netns', 'pids', namespace], { encoding: 'utf8' });
  for (const pid of stdout.split('\n').filter(Boolean)) {
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended by itself meanwhile.
    }
  }
  spawnSync('ip', ['netns', 'delete', namespace], { stdio: 'ignore' });
}

/** Removes what runs left behind that were killed before they could. */
export function sweep(): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  const running = new Set(readdirSync('/proc'));
  for (const line of stdout.split('\n')) {
    const [name = ''] = line.split(' ');
    const owner = new RegExp(`^${PREFIX}-(\\d+)-`).exec(name)?.[1];
    if (owner !== undefined && !running.has(owner)) remove(name);
  }
}

export class Space {
  readonly mtu: number;

  constructor(mtu: number) {
    this.mtu = mtu;
    try {
      for (const host of HOSTS) ip('netns', 'add', nameOf(host));
      const pairs = HOSTS.flatMap((a, i) => HOSTS.slice(i + 1).map((b) => [a, b] as const));
      batch(
        undefined,
        pairs.map(([a, b]) => {
          const [at, to] = [nameOf(a), nameOf(b)];
          return `link add to-${b} netns ${at} mtu ${mtu} type veth peer name to-${a} netns ${to} mtu ${mtu}`;
        }),
      );
      for (const host of HOSTS) {
        const others = HOSTS.filter((other) => other !== host);
        batch(nameOf(host), [
          'link set lo up',
          `address add ${addressOf(host)}/32 dev lo`,
          ...others.map((other) => `link set to-${other} up`),
          ...others.map((other) => `route add ${addressOf(other)}/32 dev to-${other} src ${addressOf(host)}`),
        ]);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** What runs a command on that host; exec'd, so that the process id is the command's. */
  static #on(host: Host, command: string, args: readonly string[]): [string, string[]] {
    return ['nsenter', [`--net=/run/netns/${nameOf(host)}`, command, ...args]];
  }

  start(host: Host, command: string, args: readonly string[], options: Started = {}): Child {
    return new Child(...Space.#on(host, command, args), options);
  }

  /** Runs it to its end, which must be a good one; standard output. */
  async run(host: Host, command: string, args: readonly string[], options: Started = {}): Promise<string> {
    const { stdout } = await succeed(...Space.#on(host, command, args), { deadline_ms: 120_000, ...options });
    return stdout.toString('utf8');
  }

  close(): void {
    for (const host of HOSTS) remove(nameOf(host));
  }
}

export interface Started {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  deadline_ms?: number;
}
