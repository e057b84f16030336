// Child processes of the scripts: captured, streamed line by line, or in the foreground.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { SetupError } from './progress.mjs';

/** The full path of a command on PATH, or null. */
export function which(command, path = process.env.PATH ?? '') {
  const endings = process.platform === 'win32' ? (process.env.PATHEXT ?? '.EXE;.CMD').split(';') : [''];
  for (const folder of path.split(delimiter)) {
    for (const ending of endings) {
      const file = join(folder, command + ending);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // Not here: the next folder.
      }
    }
  }
  return null;
}

/** Standard output of a short command, trimmed, or null when it fails. */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', ...options });
  return result.status === 0 ? result.stdout.trim() : null;
}

const TAIL_LINES = 60;

/**
 * Runs to the end; rejects with `failure` and the last lines of output when it does not end with 0.
 * `onLine` sees every line of both streams; `echo` also copies them to where they were meant to go.
 */
export function run(command, args, { failure, onLine = undefined, echo = false, check = true, ...options }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const tail = [];
    const feed = (stream, to) => {
      const decoder = new StringDecoder('utf8');
      let rest = '';
      const take = (line) => {
        tail.push(line);
        if (tail.length > TAIL_LINES) tail.shift();
        onLine?.(line);
      };
      stream.on('data', (chunk) => {
        if (echo) to.write(chunk);
        const lines = (rest + decoder.write(chunk)).split(/\r?\n/);
        rest = lines.pop();
        lines.forEach(take);
      });
      stream.on('end', () => {
        if (rest) take(rest);
      });
    };
    feed(child.stdout, process.stdout);
    feed(child.stderr, process.stderr);
    child.on('error', (error) => reject(new SetupError(`${failure} (${error.message})`)));
    child.on('close', (code, signal) => {
      if (code === 0 || !check) resolve(code ?? 1);
      else reject(new SetupError(`${failure} (${signal ?? `exit code ${code}`})`, echo ? '' : tail.join('\n')));
    });
  });
}

/** Runs with this terminal as its own; resolves with its exit code. Signals sent to us go on to it. */
export function foreground(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: 'inherit', ...options });
    const forward = (signal) => child.kill(signal);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, forward);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.off(name, forward);
      resolve(code ?? (signal === 'SIGINT' ? 130 : 143));
    });
  });
}

/** How to call npm: the one that runs us, else the one on PATH. */
export function npm(args) {
  const own = process.env.npm_execpath;
  if (own?.endsWith('.js') || own?.endsWith('.cjs')) return [process.execPath, [own, ...args]];
  const found = which('npm');
  if (found === null) throw new SetupError('npm is not on PATH: install Node.js 22 or newer from https://nodejs.org');
  return [found, args];
}
