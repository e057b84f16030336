/** Builds Rust measurements and runs what was built. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Standard output of a program that must end well; its standard error is ours, unless it is to be ignored. */
export function output(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
  stderr: 'inherit' | 'ignore' = 'inherit',
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', stderr] });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${args[0] ?? command} failed (${signal ?? `exit code ${code}`})`));
    });
  });
}

interface Message {
  reason: string;
  executable?: string | null;
  filenames?: string[];
  target?: { name: string };
}

/** What cargo, with these arguments, says that it made of the target. */
async function artifact(target: string, args: readonly string[]): Promise<Message> {
  const text = await output('cargo', [...args, '--quiet', '--message-format', 'json']);
  const messages = text.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as Message] : []));
  const built = messages.findLast((m) => m.reason === 'compiler-artifact' && m.target?.name === target);
  if (built === undefined) throw new Error(`cargo ${args.join(' ')} built no ${target}`);
  return built;
}

/** Path of the target's executable, built by cargo with these arguments. */
async function build(target: string, ...args: readonly string[]): Promise<string> {
  const { executable } = await artifact(target, [...args, '-p', 'wayfare-bench']);
  if (executable == null) throw new Error(`cargo ${args.join(' ')} built nothing to run`);
  return executable;
}

export const measurements = () => build('wayfare-bench', 'build', '--release', '--bin', 'wayfare-bench');

/** The native binding with the ciphers that WebAssembly has. */
export async function portableAddon(): Promise<string> {
  const args = ['build', '--release', '-p', 'wayfare-node', '--features', 'portable'];
  const library = (await artifact('wayfare_node', args)).filenames?.[0];
  if (library === undefined) throw new Error('cargo built no addon');
  return library;
}
