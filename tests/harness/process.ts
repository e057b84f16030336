/** Child processes of the tests: started, watched and always ended, each by its own handle. */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { within } from './wait.js';

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
}

/** Those that run: a test run that is cut short takes them along. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export class Child {
  readonly pid: number;
  /** Resolves once the process has ended and its streams are read to the end. */
  readonly ended: Promise<Ended>;
  #process: ChildProcess;
  #stdout: Buffer[] = [];
  #stderr = '';

  /** Standard output is kept, or handed to `onStdout` as it comes. */
  constructor(command: string, args: string[], options: SpawnOptions = {}, onStdout?: (bytes: Buffer) => void) {
    this.#process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const child = this.#process;
    running.add(child);
    for (const over of ['exit', 'error']) child.once(over, () => running.delete(child));
    const { stdout, stderr } = child;
    stdout?.on('data', onStdout ?? ((bytes: Buffer) => this.#stdout.push(bytes)));
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr += text;
    });
    this.ended = new Promise((resolve, reject) => {
      this.#process.once('error', reject);
      this.#process.once('close', (code, signal) =>
        resolve({ code, signal, stdout: this.stdout, stderr: this.#stderr }),
      );
    });
    // Whoever waits sees the failure; a child nobody waits for must not end the test run.
    this.ended.catch(() => {});
    this.pid = this.#process.pid ?? -1;
  }

  get stdout(): Buffer {
    return Buffer.concat(this.#stdout);
  }

  get stderr(): string {
    return this.#stderr;
  }

  get running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null && this.#process.pid !== undefined;
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running) this.#process.kill(signal);
  }

  /** Ends it and waits for the end. */
  async stop(signal: NodeJS.Signals = 'SIGTERM', deadline_ms = 10_000): Promise<Ended> {
    this.signal(signal);
    try {
      return await within(`the end of process ${this.pid} after ${signal}`, deadline_ms, this.ended);
    } catch (error) {
      this.signal('SIGKILL');
      await this.ended.catch(() => {});
      throw error;
    }
  }

  /** For clean-ups: gone when it resolves, whatever it takes. */
  async close(): Promise<void> {
    if (!this.running) return;
    this.#process.kill('SIGKILL');
    await once(this.#process, 'close');
  }
}

/** Runs a command to its end. */
export async function run(
  command: string,
  args: string[],
  { deadline_ms = 30_000, ...options }: SpawnOptions & { deadline_ms?: number } = {},
): Promise<Ended> {
  const child = new Child(command, args, options);
  try {
    return await within([command, ...args].join(' '), deadline_ms, child.ended);
  } finally {
    await child.close();
  }
}

/** Runs a command that has to succeed. */
export async function succeed(
  command: string,
  args: string[],
  options: SpawnOptions & { deadline_ms?: number } = {},
): Promise<Ended> {
  const ended = await run(command, args, options);
  if (ended.code !== 0) {
    throw new Error(`${command} ${args.join(' ')} ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
  }
  return ended;
}
