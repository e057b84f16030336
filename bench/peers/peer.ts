/** What can carry a stream from the client's host to the origin: ours, or one of those that we are measured against. */
import type { Child } from '../../tests/harness/process.js';
import type { Host, Space } from './space.js';

export interface Peer {
  name: string;
  /** How it is set up here, for the table's reader. */
  title: string;
  /** Run at every MTU, and for uploads too. */
  everywhere?: boolean;
  /** How long it may take until a byte comes over it, when that is long. */
  ready_ms?: number;
  /** Gets it, once; resolves with its version. Rejects with a sentence where it cannot be had. */
  bring(): Promise<string>;
  /** Starts its processes; resolves once they are there. `folder` is empty, and goes afterwards. */
  start(space: Space, folder: string): Promise<Running>;
}

export interface Running {
  /** A SOCKS5 proxy on the client's host, or `direct`. */
  proxy: string;
  /** Where this peer's client reaches the origin, when not at its address. */
  origin?: string;
  processes: { role: string; child: Child }[];
  /** What it says of itself, for the record. */
  state?: () => Promise<unknown>;
}

/** Port of the origin, TCP and UDP. */
export const ORIGIN_PORT = 9_000;

/** Starts several of a peer's processes and remembers which host each is on. */
export class Processes {
  readonly list: Running['processes'] = [];
  readonly #space: Space;
  readonly #options: { cwd: string; env: NodeJS.ProcessEnv };

  constructor(space: Space, folder: string, env: NodeJS.ProcessEnv = {}) {
    this.#space = space;
    this.#options = { cwd: folder, env: { PATH: process.env.PATH, HOME: folder, ...env } };
  }

  start(host: Host, command: string, ...args: string[]): Child {
    const child = this.#space.start(host, command, args, this.#options);
    this.list.push({ role: host, child });
    return child;
  }

  /** What those that ended said. */
  complaint(): string {
    const ended = this.list.filter(({ child }) => !child.running);
    return ended.map(({ role, child }) => `${role}: ${child.stderr}${child.stdout.toString('utf8')}`).join('\n');
  }
}
