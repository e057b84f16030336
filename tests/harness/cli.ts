/** The command as a user calls it: a process of its own, with nothing of this one's environment but the path. */
import { join } from 'node:path';
import { Child, type Ended, run } from './process.js';

export const ROOT = join(import.meta.dirname, '..', '..');
const MAIN = join(ROOT, 'dist', 'cli', 'main.js');

function environment(folder: string, extra: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH, HOME: folder, ...extra };
}

export interface Calling {
  /** Working directory and home. */
  folder: string;
  env?: NodeJS.ProcessEnv;
  deadline_ms?: number;
}

export function wayfare(args: string[], { folder, env = {}, deadline_ms = 20_000 }: Calling): Promise<Ended> {
  return run(process.execPath, [MAIN, ...args], { cwd: folder, env: environment(folder, env), deadline_ms });
}

export function startWayfare(args: string[], { folder, env = {} }: Calling): Child {
  return new Child(process.execPath, [MAIN, ...args], { cwd: folder, env: environment(folder, env) });
}
