/** `wayfare start`: a whole network in this process, its proxies, the self-check, and a live status line. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Command } from 'commander';
import { type HostPort, splitHostPort } from '../../base/config/index.js';
import { NetworkError } from '../../base/errors.js';
import { type CheckResult, selfCheck } from '../../demo/check.js';
import { httpGet, parseUrl } from '../../demo/http-get.js';
import { liveLine } from '../../demo/live.js';
import { Network } from '../../demo/network.js';
import { bytes, shortId, table } from '../format.js';
import { EXIT, type Io, print, printJson, type Stop } from '../io.js';
import { createLog, type LogLevel } from '../log.js';
import { listen, listenAddress } from '../proxies.js';
import { readCredentials, wholeNumber } from '../settings.js';
import { Status } from '../status-line.js';

interface Flags {
  relays: number;
  exits: number;
  hops: number;
  socks?: string;
  http?: string;
  proxyCredentialsFile?: string;
  dataDir?: string;
  check?: boolean;
  fetch?: string;
  json?: boolean;
  logLevel: LogLevel;
}

const SOCKS = '127.0.0.1:1080';
const HTTP = '127.0.0.1:8118';
const ANY = '127.0.0.1:0';

interface Running {
  network: Network;
  socks: string;
  http: string;
  credentials?: { user: string; password: string };
}

const hostPort = (address: string): HostPort => {
  const { host, port } = splitHostPort(address)!;
  // What listens on every address is reached on loopback.
  return { host: host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host, port };
};

async function bringUp(io: Io, flags: Flags, dataDir: string, stop: Stop): Promise<Running> {
  const { proxyCredentialsFile: file } = flags;
  const credentials =
    file === undefined ? undefined : await readCredentials(resolve(io.cwd, file), '--proxy-credentials-file');
  // A run that ends by itself needs no known port, and must not meet another run's.
  const brief = flags.check === true || flags.fetch !== undefined;
  const wishes = { socks: flags.socks ?? (brief ? ANY : SOCKS), http: flags.http ?? (brief ? ANY : HTTP) };
  for (const kind of ['socks', 'http'] as const) listenAddress(wishes[kind], `--${kind}`);
  const status = new Status(io.stderr, `Starting ${flags.relays} relays, ${flags.exits} exits and a client`);
  try {
    const network = await Network.start({
      relays: flags.relays,
      exits: flags.exits,
      hops: flags.hops,
      dataDir,
      log: createLog(flags.logLevel),
      onProgress: (text) => status.detail(text),
      signal: stop.signal,
    });
    try {
      const open = (kind: 'socks' | 'http') =>
        listen(network.client, {
          kind,
          listen: wishes[kind],
          flag: `--${kind}`,
          credentialsFlag: '--proxy-credentials-file',
          credentials,
        });
      const [socks, http] = [(await open('socks')).address, (await open('http')).address];
      status.done();
      return { network, socks, http, ...(credentials && { credentials }) };
    } catch (error) {
      await network.close();
      throw error;
    }
  } catch (error) {
    status.failed();
    throw error;
  }
}

async function check(io: Io, running: Running, stop: Stop): Promise<CheckResult> {
  const status = new Status(io.stderr, 'Self-check: 64 MiB through the network');
  try {
    const result = await selfCheck(running.network, {
      socks: hostPort(running.socks),
      ...(running.credentials && { credentials: running.credentials }),
      signal: stop.signal,
      onProgress: (received, total) => status.detail(`${bytes(received)} of ${bytes(total)}`),
    });
    if (result.ok) status.done();
    else status.failed();
    return result;
  } catch (error) {
    status.failed();
    throw error;
  }
}

export function checkText(result: CheckResult): string {
  const path = ['client', ...result.hops.map((hop) => hop.name), 'origin'].join(' → ');
  const rows = [
    ['HOP', 'NODE', 'ADDRESS', 'PACKETS', 'TOWARDS THE CLIENT'],
    ...result.hops.map((hop) => [hop.name, shortId(hop.id), hop.address, String(hop.packets), bytes(hop.bytes)]),
  ];
  const lines = [`path         ${path}`];
  if (result.sha256 !== null) {
    lines.push(
      `content      ${bytes(result.bytes)}, SHA-256 ${result.sha256.slice(0, 16)}… ${result.sha256 === result.sha256_expected ? 'as sent' : 'DIFFERS'}`,
      `first byte   ${result.ttfb_ms} ms`,
      `throughput   ${result.throughput_mbit_per_s} Mbit/s`,
      `origin saw   ${result.origin_peer}, which is ${result.origin_peer === result.exit_socket ? "the exit's own socket" : `not the exit's ${result.exit_socket}`}`,
    );
  }
  lines.push('', table(rows), '');
  if (result.ok) lines.push('self-check passed');
  else lines.push(...result.failures.map((failure) => `FAILED: ${failure}`), 'self-check failed');
  return lines.join('\n');
}

async function fetchUrl(io: Io, running: Running, url: URL, stop: Stop): Promise<number> {
  const { response } = await httpGet(hostPort(running.socks), url, {
    signal: stop.signal,
    ...(running.credentials && { credentials: running.credentials }),
  });
  await pipeline(response, io.stdout, { end: false });
  const status = response.statusCode ?? 0;
  if (status < 400) return EXIT.ok;
  throw new NetworkError('check_failed', `the destination answered ${status}`);
}

async function stayUp(io: Io, running: Running, stop: Stop): Promise<void> {
  const auth = running.credentials === undefined ? '' : ' --proxy-user USER:PASSWORD';
  io.stderr.write(
    [
      '',
      `SOCKS5 proxy  ${running.socks}`,
      `HTTP proxy    ${running.http}`,
      `try           curl --socks5-hostname ${running.socks}${auth} http://example.com/`,
      '              Ctrl-C ends it all',
      '',
    ].join('\n'),
  );
  const quiet = liveLine(running.network, io.stderr);
  await stop.asked;
  quiet();
  io.stderr.write('closing\n');
  await running.network.client.drain(2000);
}

async function run(io: Io, flags: Flags): Promise<number> {
  const url = flags.fetch === undefined ? null : parseUrl(flags.fetch);
  const stop = io.stop();
  const own = flags.dataDir === undefined;
  const dataDir = own ? await mkdtemp(join(tmpdir(), 'wayfare-')) : resolve(io.cwd, flags.dataDir!);
  let running: Running | null = null;
  try {
    running = await bringUp(io, flags, dataDir, stop);
    if (url !== null) return await fetchUrl(io, running, url, stop);
    const result = await check(io, running, stop);
    if (flags.json) printJson(io, { ...result });
    else print(io, checkText(result));
    if (flags.check === true) return result.ok ? EXIT.ok : EXIT.failed;
    if (!result.ok) return EXIT.failed;
    await stayUp(io, running, stop);
    return EXIT.ok;
  } catch (error) {
    // Asked to end before it was up: that is no failure, unless an answer was owed.
    if (stop.signal.aborted && flags.check !== true && url === null) return EXIT.ok;
    throw error;
  } finally {
    await running?.network.close();
    if (own) await rm(dataDir, { recursive: true, force: true });
    stop.dispose();
  }
}

export function start(program: Command, io: Io, setCode: (code: number) => void): void {
  program
    .command('start')
    .description('run a whole network on this machine: relays, exits, a client with its proxies, and a self-check')
    .option('--relays <N>', 'relays', wholeNumber('--relays', 2, 64), 6)
    .option('--exits <N>', 'exits', wholeNumber('--exits', 1, 64), 3)
    .option('--hops <N>', 'hops of a path, the exit included', wholeNumber('--hops', 1, 5), 3)
    .option(
      '--socks <HOST:PORT>',
      `where the SOCKS5 proxy listens (default: ${SOCKS}; with --check or --fetch any free port)`,
    )
    .option(
      '--http <HOST:PORT>',
      `where the HTTP proxy listens (default: ${HTTP}; with --check or --fetch any free port)`,
    )
    .option('--proxy-credentials-file <FILE>', 'USER:PASSWORD asked by both proxies; needed beyond loopback')
    .option('--data-dir <DIR>', 'where the nodes keep their keys (default: a temporary folder that is removed)')
    .option('--check', 'end after the self-check, with code 0 or 1')
    .option('--fetch <URL>', 'fetch URL through the network to standard output, and end')
    .option('--json', 'print the self-check as one JSON object, alone on standard output')
    .option('--log-level <LEVEL>', 'debug, info, warn, error or silent', 'error')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  npm start                              the network, its proxies and a live status line',
        '  npm start -- --check --json            the self-check alone, for scripts',
        '  npm start -- --fetch http://example.com/ > page.html',
        '  npm start -- --socks 127.0.0.1:9050 --relays 12',
        '',
        'The exits of this network may reach loopback (exit.allow_loopback), since all of it runs on this machine.',
      ].join('\n'),
    )
    .action(async (flags: Flags) => setCode(await run(io, flags)));
}
