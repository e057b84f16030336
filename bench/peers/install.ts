/** Bringing a peer into .cache/peers, with progress on standard error. */
import { join } from 'node:path';
import { run } from '../../scripts/setup/exec.mjs';
import { cache, root } from '../../scripts/setup/paths.mjs';
import { step } from '../../scripts/setup/progress.mjs';

export const peersFolder = (...parts: string[]): string => join(cache, 'peers', ...parts);

interface Work {
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** The word of a line that names the part at work, or nothing. */
  part?: (line: string) => string | undefined;
}

/** Runs an installer to its good end; rejects with its first sentence of fault. */
export async function install(name: string, { command, args, env = {}, cwd = root, part }: Work): Promise<void> {
  await step(`Bringing ${name}`, async (note: (text: string) => void) => {
    let parts = 0;
    const onLine = (line: string) => {
      const at = part?.(line);
      if (at !== undefined) note(`${++parts} parts, at ${at}`);
    };
    const options = { cwd, env: { ...process.env, ...env }, failure: `${name} did not install`, onLine };
    await run(command, [...args], options as never);
  });
}
