/**
 * A SOCKS5 client (RFC 1928, RFC 1929) over a plain socket: what any program outside would do, so that the self-check goes
 * the way a user goes. Names are sent as names.
 */
import { once } from 'node:events';
import { connect, isIPv4, isIPv6, type Socket } from 'node:net';
import { type HostPort, joinHostPort } from '../base/config/index.js';
import { AbortedError, NetworkError } from '../base/errors.js';

export interface SocksTarget extends HostPort {
  credentials?: { user: string; password: string };
  signal?: AbortSignal;
}

export interface SocksConnection {
  socket: Socket;
  /** BND.ADDR and BND.PORT: the exit's own socket towards the destination. */
  bound: string;
}

const REPLIES: Record<number, string> = {
  1: 'general failure',
  2: 'not allowed by the exit’s rules',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'timed out',
  7: 'command not supported',
  8: 'address type not supported',
};

/** Reads exactly `length` bytes; what comes after them stays in the socket. */
function read(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      socket.off('readable', attempt).off('end', attempt).off('close', attempt);
    };
    const attempt = () => {
      const chunk = socket.read(length) as Buffer | null;
      if (chunk !== null && chunk.length === length) {
        stop();
        resolve(chunk);
      } else if (chunk !== null || socket.readableEnded || socket.destroyed) {
        stop();
        reject(new NetworkError('connection_failed', 'the proxy closed in the middle of its answer'));
      }
    };
    socket.on('readable', attempt).on('end', attempt).on('close', attempt);
    attempt();
  });
}

function ipv6Text(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  // The longest run of zero words is written as `::` (RFC 5952), which is how node:net names a peer.
  const runs = [
    ...words
      .map((word) => (word === '0' ? '0' : '1'))
      .join('')
      .matchAll(/0{2,}/g),
  ];
  const longest = runs.reduce<RegExpExecArray | null>(
    (best, run) => (best === null || run[0].length > best[0].length ? run : best),
    null,
  );
  if (longest === null) return words.join(':');
  return `${words.slice(0, longest.index).join(':')}::${words.slice(longest.index + longest[0].length).join(':')}`;
}

function addressBytes(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from([1, ...host.split('.').map(Number)]);
  if (isIPv6(host)) {
    const hex = new URL(`http://[${host}]/`).hostname.slice(1, -1);
    const [head = '', tail] = hex.split('::');
    const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
    const left = words(head);
    const right = words(tail ?? '');
    const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
    return Buffer.from([4, ...all.flatMap((word) => [word >> 8, word & 255])]);
  }
  const name = Buffer.from(host, 'utf8');
  if (name.length > 255) throw new NetworkError('argument_invalid', 'a host name has at most 255 bytes');
  return Buffer.concat([Buffer.from([3, name.length]), name]);
}

async function authenticate(socket: Socket, credentials: SocksTarget['credentials']): Promise<void> {
  socket.write(credentials === undefined ? Buffer.from([5, 1, 0]) : Buffer.from([5, 2, 0, 2]));
  const method = (await read(socket, 2))[1];
  if (method === 0) return;
  if (method !== 2 || credentials === undefined)
    throw new NetworkError('proxy_credentials', 'the proxy demands credentials');
  const [user, password] = [Buffer.from(credentials.user), Buffer.from(credentials.password)];
  socket.write(Buffer.concat([Buffer.from([1, user.length]), user, Buffer.from([password.length]), password]));
  if ((await read(socket, 2))[1] !== 0)
    throw new NetworkError('proxy_credentials', 'the proxy refuses these credentials');
}

async function request(socket: Socket, target: HostPort): Promise<string> {
  const port = Buffer.from([target.port >> 8, target.port & 255]);
  socket.write(Buffer.concat([Buffer.from([5, 1, 0]), addressBytes(target.host), port]));
  const head = await read(socket, 4);
  if (head[1] !== 0) {
    const why = REPLIES[head[1] ?? 1] ?? `reply ${head[1]}`;
    throw new NetworkError('connection_failed', `the proxy answered: ${why}`);
  }
  const length = head[3] === 1 ? 4 : head[3] === 4 ? 16 : (await read(socket, 1))[0]!;
  const address = await read(socket, length);
  const bound = (await read(socket, 2)).readUInt16BE(0);
  const host = head[3] === 1 ? address.join('.') : head[3] === 4 ? ipv6Text(address) : address.toString('latin1');
  return joinHostPort(host, bound);
}

/** CONNECT through the proxy. */
export async function connectSocks(proxy: HostPort, target: SocksTarget): Promise<SocksConnection> {
  const { signal } = target;
  const socket = connect({ host: proxy.host, port: proxy.port, noDelay: true, ...(signal && { signal }) });
  let broken: Error | undefined;
  socket.on('error', (error) => {
    broken = error;
  });
  try {
    await once(socket, 'connect');
    await authenticate(socket, target.credentials);
    const bound = await request(socket, target);
    return { socket, bound };
  } catch (caught) {
    socket.destroy();
    if (signal?.aborted) throw new AbortedError('aborted', 'the connection was aborted', { cause: signal.reason });
    if (caught instanceof NetworkError && broken === undefined) throw caught;
    throw new NetworkError('connection_failed', `the proxy at ${joinHostPort(proxy.host, proxy.port)} failed`, {
      cause: broken ?? caught,
    });
  }
}
