/** One node in one process: `wayfare up --config FILE`, watched through its admin port. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import type { NodeStatus } from '../../ts/runtime/options.js';
import { startWayfare, wayfare } from './cli.js';
import type { Child } from './process.js';
import { type Endpoint, endpoint } from './socks.js';
import { until } from './wait.js';

export type { NodeStatus };

type Value = string | number | boolean | string[] | number[];
export type NodeConfig = Record<string, Value | Record<string, Value>>;

/** TOML of one level of tables. JSON's strings, numbers and lists are TOML's too. */
export function toml(config: NodeConfig): string {
  const plain = Object.entries(config).filter(([, value]) => typeof value !== 'object' || Array.isArray(value));
  const tables = Object.entries(config).filter(([, value]) => typeof value === 'object' && !Array.isArray(value));
  const line = ([key, value]: [string, unknown]) => `${key} = ${JSON.stringify(value)}\n`;
  const table = ([name, keys]: [string, unknown]) =>
    `[${name}]\n${Object.entries(keys as object)
      .map(line)
      .join('')}`;
  return plain.map(line).join('') + tables.map(table).join('');
}

/** The line that `wayfare up --json` prints. */
export interface Up {
  id: string;
  addresses: string[];
  socks: string | null;
  http: string | null;
  admin: string;
}

/** What `wayfare up --json` says instead. */
export class StartError extends Error {
  readonly code: string;

  constructor(name: string, code: string, message: string) {
    super(`${name} does not come up: ${message}`);
    this.code = code;
  }
}

export interface Answer {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

export class Node {
  readonly name: string;
  readonly folder: string;
  readonly configFile: string;
  #process: Child | undefined;
  #up: Up | undefined;

  constructor(name: string, parent: string) {
    this.name = name;
    this.folder = join(parent, name);
    this.configFile = join(this.folder, 'config.toml');
    mkdirSync(this.folder, { recursive: true });
  }

  get dataDir(): string {
    return join(this.folder, 'data');
  }

  get process(): Child {
    if (this.#process === undefined) throw new Error(`${this.name} was not started`);
    return this.#process;
  }

  get logs(): string {
    return this.process.stderr + this.process.stdout.toString('utf8');
  }

  /** Starts it and resolves once it says that it is up. */
  async start(config: NodeConfig, env: NodeJS.ProcessEnv = {}): Promise<this> {
    writeFileSync(this.configFile, toml({ data_dir: 'data', log: { level: 'debug' }, ...config }));
    const child = startWayfare(['up', '--config', this.configFile, '--json'], { folder: this.folder, env });
    this.#process = child;
    const line = await until(
      `${this.name} up`,
      () => /^.*(?=\n)/.exec(child.stdout.toString('utf8'))?.[0] ?? (child.running ? undefined : 'ended'),
      20_000,
    ).catch((error: unknown) => {
      throw new Error(`${this.name} does not come up: ${this.logs}`, { cause: error });
    });
    if (line === 'ended') throw new Error(`${this.name} ended: ${this.logs}`);
    const said = JSON.parse(line) as Up | { code: string; message: string };
    if ('code' in said) throw new StartError(this.name, said.code, said.message);
    this.#up = said;
    return this;
  }

  /** Resolves once `/readyz` says so. */
  async ready(deadline_ms = 20_000): Promise<void> {
    await until(`${this.name} ready`, async () => (await this.admin('/readyz')).status === 200, deadline_ms).catch(
      async (error: unknown) => {
        const reasons = (await this.admin('/readyz').catch(() => undefined))?.text;
        throw new Error(`${this.name} is not ready (${reasons}): ${this.logs}`, { cause: error });
      },
    );
  }

  get token(): string {
    return readFileSync(join(this.dataDir, 'admin-token'), 'utf8').trim();
  }

  /** What it said of itself when it came up. */
  get up(): Up {
    if (this.#up === undefined) throw new Error(`${this.name} is not up`);
    return this.#up;
  }

  get id(): string {
    return this.up.id;
  }

  get adminAddress(): Endpoint {
    return endpoint(this.up.admin);
  }

  /** Asks the admin port; with the token unless headers say otherwise. */
  admin(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Answer> {
    const { host, port } = this.adminAddress;
    return new Promise((resolve, reject) => {
      const asked = request(
        { host, port, path, method, headers: { authorization: `Bearer ${this.token}`, ...headers }, agent: false },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              headers: response.headers,
              text: Buffer.concat(chunks).toString('utf8'),
            }),
          );
        },
      );
      asked.setTimeout(5_000, () => asked.destroy(new Error(`no answer from ${path}`)));
      asked.on('error', reject);
      asked.end();
    });
  }

  async status(): Promise<NodeStatus> {
    const answer = await this.admin('/v1/status');
    if (answer.status !== 200) throw new Error(`status of ${this.name}: ${answer.status} ${answer.text}`);
    return JSON.parse(answer.text);
  }

  async drops(): Promise<Record<string, number>> {
    return (await this.status()).host.drops;
  }

  /** `wayfare status --config FILE --json` and its like. */
  async command(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const { code, stdout, stderr } = await wayfare([...args, '--config', this.configFile], { folder: this.folder });
    return { code, stdout: stdout.toString('utf8'), stderr };
  }

  /** As an operator stops it. */
  stop() {
    return this.process.stop('SIGTERM', 15_000);
  }

  /** As a power cut does. */
  async kill(): Promise<void> {
    await this.process.stop('SIGKILL');
  }

  async close(): Promise<void> {
    await this.#process?.close();
  }
}
