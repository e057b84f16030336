/** A Node that is too old hands the command to the one that the set-up brought into .cache/node, where there is one. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const NODE_MAJOR_MIN = 22;

export const tooOld = (version: string): boolean => Number.parseInt(version, 10) < NODE_MAJOR_MIN;

function brought(): string | null {
  const os = process.platform === 'win32' ? 'win' : process.platform;
  const binary = process.platform === 'win32' ? 'node.exe' : 'node';
  const path = `../../.cache/node/node_modules/node-${os}-${process.arch}/bin/${binary}`;
  const file = fileURLToPath(new URL(path, import.meta.url));
  return existsSync(file) ? file : null;
}

/** Resolves with the exit code of the same command line under the newer Node. */
export function underNewerNode(script: string, argv: string[]): Promise<number> {
  const node = brought();
  if (node === null) {
    process.stderr.write(
      `wayfare: Node ${process.versions.node} is older than ${NODE_MAJOR_MIN}: install Node.js 24 from https://nodejs.org, or run \`npm run build\`, which brings one\n`,
    );
    return Promise.resolve(1);
  }
  return new Promise((resolve, reject) => {
    const child = spawn(node, [script, ...argv], { stdio: 'inherit' });
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}
