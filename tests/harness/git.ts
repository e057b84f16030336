/** A git repository made on the fly, served over smart HTTP by git's own `http-backend` (CGI, RFC 3875). */
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { bytes } from './content.js';
import { succeed } from './process.js';

/** No configuration of the machine, and nothing that asks. */
export const GIT_ENV: NodeJS.ProcessEnv = {
  PATH: process.env.PATH,
  HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'A',
  GIT_AUTHOR_EMAIL: 'a@example.net',
  GIT_COMMITTER_NAME: 'A',
  GIT_COMMITTER_EMAIL: 'a@example.net',
};

export async function git(args: string[], cwd: string): Promise<string> {
  const { stdout } = await succeed('git', args, { cwd, env: GIT_ENV });
  return stdout.toString('utf8').trim();
}

/** A bare repository `repo.git` with two commits, a large file among them. Resolves with the tree's id. */
export async function makeRepository(folder: string): Promise<string> {
  const work = join(folder, 'work');
  mkdirSync(join(work, 'deep', 'er'), { recursive: true });
  await git(['init', '-q', '-b', 'main'], work);
  writeFileSync(join(work, 'README'), 'first\n');
  await git(['add', '.'], work);
  await git(['commit', '-q', '-m', 'first'], work);
  writeFileSync(join(work, 'README'), 'second\n');
  writeFileSync(join(work, 'deep', 'er', 'random.bin'), bytes(7, 3_000_000));
  for (let i = 0; i < 50; i++) writeFileSync(join(work, 'deep', `file${i}`), bytes(100 + i, 1_000 + i));
  await git(['add', '.'], work);
  await git(['commit', '-q', '-m', 'second'], work);
  await git(['clone', '-q', '--bare', work, join(folder, 'repo.git')], folder);
  return git(['rev-parse', 'main^{tree}'], work);
}

function serve(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://git');
  const headers = request.headers;
  const child = spawn('git', ['http-backend'], {
    env: {
      ...GIT_ENV,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(headers['git-protocol'] ?? ''),
      HTTP_CONTENT_ENCODING: headers['content-encoding'] ?? '',
      REQUEST_METHOD: request.method ?? 'GET',
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      CONTENT_TYPE: headers['content-type'] ?? '',
      CONTENT_LENGTH: headers['content-length'] ?? '',
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => {});
  request.pipe(child.stdin);
  let head = Buffer.alloc(0);
  const onHead = (chunk: Buffer) => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    child.stdout.off('data', onHead);
    for (const line of head.toString('latin1', 0, end).split('\r\n')) {
      const [name = '', value = ''] = line.split(/:\s*/, 2);
      if (name.toLowerCase() === 'status') response.statusCode = Number.parseInt(value, 10);
      else response.setHeader(name, value);
    }
    response.write(head.subarray(end + 4));
    child.stdout.pipe(response);
  };
  child.stdout.on('data', onHead);
  response.on('close', () => child.kill());
}

export async function startGitServer(folder: string): Promise<{ url: string; close(): Promise<void> }> {
  const server = createServer((request, response) => serve(folder, request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/repo.git`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
