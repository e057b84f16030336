/** `wayfare bench path`: throughput and time to first byte through the proxy of a running node. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type HostPort, splitHostPort } from '../../base/config/index.js';
import { asWayfareError, ConfigError, NetworkError } from '../../base/errors.js';
import { httpGet, parseUrl } from '../../demo/http-get.js';
import { bytes, micros, table } from '../format.js';
import { type Io, print, printJson } from '../io.js';
import { listenAddress } from '../proxies.js';
import { loadSettings, readCredentials, wholeNumber } from '../settings.js';
import { Status } from '../status-line.js';

/** One after the other, before the load begins. */
const FIRST_BYTES = 10;
/** No byte for so long ends the measurement. */
const SILENCE_MS = 15_000;
const CHUNK = Buffer.alloc(256 << 10);

interface Flags {
  config?: string;
  socks?: string;
  url?: string;
  size?: number;
  circuits: number;
  duration: number;
  json?: boolean;
}

interface Credentials {
  user: string;
  password: string;
}

interface Proxy {
  address: HostPort;
  credentials?: Credentials;
}

async function proxyOf(io: Io, flags: Flags): Promise<Proxy> {
  if (flags.socks !== undefined) return { address: splitHostPort(listenAddress(flags.socks, '--socks'))! };
  const { config, file } = await loadSettings(io, flags.config);
  const { socks, credentials_file } = config.proxy;
  if (socks === 'off' || socks.endsWith(':0')) {
    throw new ConfigError('config_invalid', 'the node has no SOCKS proxy at a port of its own', {
      hint: 'set proxy.socks = "127.0.0.1:1080" and start it again, or name a proxy with --socks HOST:PORT',
    });
  }
  const address = splitHostPort(socks)!;
  if (credentials_file === undefined) return { address };
  return {
    address,
    credentials: await readCredentials(resolve(file ?? io.cwd, '..', credentials_file), 'proxy.credentials_file'),
  };
}

/** Zeros without end, or as many as the path says, on loopback. */
async function startSink(): Promise<{ url: URL; close(): void }> {
  const server = createServer((request, response) => {
    let left = Number(request.url?.slice(1)) || Number.POSITIVE_INFINITY;
    response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
    const more = () => {
      while (left > 0 && !response.destroyed) {
        const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK;
        left -= chunk.length;
        if (!response.write(chunk)) return void response.once('drain', more);
      }
      response.end();
    };
    more();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`),
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** What went wrong, with what to do about it. */
function explained(caught: unknown, flags: Flags): unknown {
  const error = asWayfareError(caught);
  if (!(error instanceof NetworkError)) return caught;
  if (/^the proxy at .* failed/.test(error.message)) {
    return new NetworkError(error.code, error.message, {
      cause: caught,
      hint: 'is the node up? `wayfare status` says, and `wayfare up` starts it',
    });
  }
  if (flags.url !== undefined) return caught;
  return new NetworkError(error.code, `the exit does not reach the sink that this command serves: ${error.message}`, {
    cause: caught,
    hint: 'the sink is on this machine’s loopback, which an exit dials only where it runs and if [exit] allow_loopback is set; name something to download with --url',
  });
}

async function measure(io: Io, flags: Flags): Promise<void> {
  const proxy = await proxyOf(io, flags);
  const sink = flags.url === undefined ? await startSink() : null;
  const url = sink?.url ?? parseUrl(flags.url!);
  const stop = io.stop();
  // The proxy keeps flows of different users apart; where it demands its own user, all share a circuit.
  const user = (n: number) => proxy.credentials ?? { user: `bench-${process.pid}-${n}`, password: 'bench' };
  const get = async (n: number, count: number | undefined, signal: AbortSignal, chunk: (size: number) => void) => {
    const target = sink === null || count === undefined ? url : new URL(String(count), url);
    const { response, started_ms } = await httpGet(proxy.address, target, { signal, credentials: user(n) });
    if (response.statusCode !== 200)
      throw new NetworkError('check_failed', `${target.origin} answered ${response.statusCode}`);
    let first_ms: number | null = null;
    for await (const data of response as AsyncIterable<Buffer>) {
      first_ms ??= performance.now() - started_ms;
      chunk(data.length);
      if (count !== undefined && sink === null) break;
    }
    return first_ms ?? performance.now() - started_ms;
  };
  try {
    const asking = new Status(io.stderr, `Asking for ${FIRST_BYTES} first bytes`);
    const first_us: number[] = [];
    for (let i = 0; i < FIRST_BYTES && !stop.signal.aborted; i++) {
      const silent = AbortSignal.any([stop.signal, AbortSignal.timeout(SILENCE_MS)]);
      first_us.push(Math.round((await get(0, 1, silent, () => {})) * 1000));
      asking.detail(micros(first_us.at(-1)!));
    }
    asking.done();

    const over = `${flags.circuits} ${flags.circuits === 1 ? 'circuit' : 'circuits'}`;
    const loading = new Status(io.stderr, `Downloading over ${over}`);
    const received = new Array<number>(flags.circuits).fill(0);
    const ended = AbortSignal.any([stop.signal, AbortSignal.timeout(flags.duration * 1000)]);
    const started_ms = performance.now();
    const total = () => received.reduce((sum, n) => sum + n, 0);
    const mbit = () => (total() * 8) / 1e3 / (performance.now() - started_ms);
    const one = async (n: number) => {
      while (!ended.aborted) {
        await get(n, flags.size, ended, (size) => {
          received[n]! += size;
          loading.detail(`${bytes(total())}, ${mbit().toFixed(0)} Mbit/s`);
        }).catch((caught) => {
          if (!ended.aborted) throw caught;
        });
      }
    };
    await Promise.all(received.map((_, n) => one(n)));
    const throughput_mbit_per_s = mbit();
    loading.done();
    if (total() === 0)
      throw new NetworkError('timeout', 'no byte came', { hint: 'is the node ready? see wayfare status' });
    const squares = received.reduce((sum, n) => sum + n * n, 0);
    const figures = {
      circuits: flags.circuits,
      bytes: total(),
      throughput_mbit_per_s,
      /** Jain's index of the circuits' shares. */
      fairness: total() ** 2 / (flags.circuits * squares),
      ttfb_us: first_us.toSorted((a, b) => a - b),
    };
    if (flags.json) return printJson(io, { schema: 'wayfare.bench-path', version: 1, ...figures });
    const middle = figures.ttfb_us[figures.ttfb_us.length >> 1] ?? Number.NaN;
    print(
      io,
      table([
        ['throughput', `${throughput_mbit_per_s.toFixed(1)} Mbit/s`, `${bytes(total())} over ${over}`],
        ['first byte', micros(middle), `least ${micros(figures.ttfb_us[0]!)}, most ${micros(figures.ttfb_us.at(-1)!)}`],
        ...(flags.circuits > 1 ? [['fairness', figures.fairness.toFixed(3), 'Jain’s index']] : []),
      ]),
    );
  } catch (caught) {
    throw explained(caught, flags);
  } finally {
    stop.dispose();
    sink?.close();
  }
}

export function benchPath(command: Command, io: Io): void {
  command
    .description('throughput and time to first byte through the SOCKS proxy of the running node')
    .option('--config <FILE>', "the node's configuration (default: wayfare.toml here)")
    .option('--socks <HOST:PORT>', 'a proxy instead, such as that of `npm start`')
    .option('--url <URL>', 'what to download (default: a sink that this command serves on loopback)')
    .option(
      '--size <BYTES>',
      'of each download from the sink (default: one that lasts)',
      wholeNumber('--size', 1, 2 ** 40),
    )
    .option('--circuits <N>', 'downloads at once, each on a circuit of its own', wholeNumber('--circuits', 1, 64), 1)
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare bench path --config client.toml --url http://example.com/large\n  wayfare bench path --socks 127.0.0.1:1080 --circuits 4 --json',
    )
    .action((flags: Flags) => measure(io, flags));
}
