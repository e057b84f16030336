/** What a command may touch of the process, and how it ends. Standard output holds results alone; the rest is standard error. */
import { asWayfareError, ConfigError, UsageError } from '../base/errors.js';

export interface Io {
  stdout: NodeJS.WriteStream | NodeJS.WritableStream;
  stderr: NodeJS.WriteStream;
  env: Record<string, string | undefined>;
  cwd: string;
  /** Resolves when the process is asked to end; `forced` when asked twice. */
  stop(): Stop;
}

export interface Stop {
  signal: AbortSignal;
  /** Resolves with the signal's name. */
  asked: Promise<string>;
  dispose(): void;
}

/** Exit codes, as README documents them. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

export function processIo(): Io {
  return { stdout: process.stdout, stderr: process.stderr, env: process.env, cwd: process.cwd(), stop: onSignals };
}

/** npm and the terminal both send Ctrl-C: what follows within this time is the same request. */
const SAME_REQUEST_MS = 1000;

/** The first SIGINT or SIGTERM asks to end; a later one ends at once. */
function onSignals(): Stop {
  const controller = new AbortController();
  let first_ms: number | null = null;
  let resolve!: (signal: string) => void;
  const asked = new Promise<string>((done) => {
    resolve = done;
  });
  const take = (signal: NodeJS.Signals) => {
    const now_ms = performance.now();
    if (first_ms === null) {
      first_ms = now_ms;
      controller.abort(new UsageError('aborted', `stopped by ${signal}`));
      resolve(signal);
    } else if (now_ms - first_ms > SAME_REQUEST_MS) {
      process.exit(signal === 'SIGINT' ? 130 : 143);
    }
  };
  process.on('SIGINT', take).on('SIGTERM', take);
  return {
    signal: controller.signal,
    asked,
    dispose: () => {
      process.off('SIGINT', take).off('SIGTERM', take);
    },
  };
}

export function print(io: Io, text: string): void {
  io.stdout.write(`${text}\n`);
}

/** One JSON object on one line. */
export function printJson(io: Io, value: { schema: string; version: number } & Record<string, unknown>): void {
  print(io, JSON.stringify(value));
}

/** Says the error as one sentence, or as JSON where that was asked for; gives the exit code. */
export function fail(io: Io, caught: unknown, json: boolean): number {
  const error = asWayfareError(caught);
  if (json) printJson(io, { schema: 'wayfare.error', version: 1, code: error.code, message: error.sentence });
  io.stderr.write(`wayfare: ${error.sentence}\n`);
  if (error.code === 'internal' && io.env.WAYFARE_LOG_LEVEL === 'debug')
    io.stderr.write(`${(error.cause as Error)?.stack ?? error.stack}\n`);
  return error instanceof ConfigError || error instanceof UsageError ? EXIT.usage : EXIT.failed;
}
