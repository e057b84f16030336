/** A SOCKS5 client, byte by byte (RFC 1928): what tests need to ask for what no ordinary client would. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { closeUdp, Wire } from './sockets.js';
import { within } from './wait.js';

export interface Endpoint {
  host: string;
  port: number;
}

export const REPLY = { succeeded: 0, notAllowed: 2, hostUnreachable: 4, refused: 5, commandNotSupported: 7 } as const;
const CONNECT = 1;
const UDP_ASSOCIATE = 3;

/** `host:port` or `[host]:port`. */
export function endpoint(text: string): Endpoint {
  const cut = text.lastIndexOf(':');
  return { host: text.slice(0, cut).replace(/^\[(.*)\]$/, '$1'), port: Number(text.slice(cut + 1)) };
}

function v6Bytes(text: string): Buffer {
  // The platform's own parser: URL normalises an IPv6 literal, embedded IPv4 included, to hex groups.
  const [head = '', tail] = new URL(`http://[${text}]/`).hostname.slice(1, -1).split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const left = groups(head);
  const right = tail === undefined ? [] : groups(tail);
  const all = [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right];
  const out = Buffer.alloc(16);
  all.forEach((group, i) => {
    out.writeUInt16BE(group, 2 * i);
  });
  return out;
}

/** An address travels as address only if `literal`; else every text travels as a name. */
export function address({ host, port }: Endpoint, literal = true): Buffer {
  const kind = literal ? isIP(host) : 0;
  const tail = Buffer.alloc(2);
  tail.writeUInt16BE(port);
  if (kind === 4) return Buffer.from([1, ...host.split('.').map(Number), ...tail]);
  if (kind === 6) return Buffer.concat([Buffer.from([4]), v6Bytes(host), tail]);
  return Buffer.concat([Buffer.from([3, Buffer.byteLength(host)]), Buffer.from(host, 'latin1'), tail]);
}

async function readAddress(wire: Wire): Promise<Endpoint> {
  const [kind] = await wire.read(1);
  if (kind === 1) {
    const bytes = await wire.read(6);
    return { host: bytes.subarray(0, 4).join('.'), port: bytes.readUInt16BE(4) };
  }
  const bytes = await wire.read(18);
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return { host: groups.join(':'), port: bytes.readUInt16BE(16) };
}

export interface SocksAnswer {
  /** The reply code; 0 is success. */
  code: number;
  bound: Endpoint;
  wire: Wire;
}

async function ask(proxy: Endpoint, command: number, to: Buffer): Promise<SocksAnswer> {
  const wire = await Wire.open(proxy.host, proxy.port);
  try {
    wire.write(Buffer.from([5, 1, 0]));
    const chosen = await wire.read(2);
    if (!chosen.equals(Buffer.from([5, 0]))) throw new Error(`the proxy chose ${chosen.toString('hex')}`);
    wire.write(Buffer.concat([Buffer.from([5, command, 0]), to]));
    const head = await wire.read(3, 20_000);
    if (head[0] !== 5 || head[2] !== 0) throw new Error(`not a SOCKS5 reply: ${head.toString('hex')}`);
    return { code: head[1] ?? -1, bound: await readAddress(wire), wire };
  } catch (error) {
    wire.close();
    throw error;
  }
}

/** CONNECT; the caller closes `wire`. */
export function socksConnect(proxy: Endpoint, to: Endpoint, { literal = true } = {}): Promise<SocksAnswer> {
  return ask(proxy, CONNECT, address(to, literal));
}

/** A UDP ASSOCIATE and the socket that speaks through it. */
export class SocksUdp {
  readonly #wire: Wire;
  readonly #socket: UdpSocket;
  readonly #relay: Endpoint;
  readonly #arrived: Buffer[] = [];
  #wake: () => void = () => {};

  private constructor(wire: Wire, socket: UdpSocket, relay: Endpoint) {
    this.#wire = wire;
    this.#socket = socket;
    this.#relay = relay;
    socket.on('message', (message) => {
      this.#arrived.push(message);
      this.#wake();
    });
  }

  static async open(proxy: Endpoint): Promise<SocksUdp> {
    const { code, bound, wire } = await ask(proxy, UDP_ASSOCIATE, address({ host: '0.0.0.0', port: 0 }));
    if (code !== 0) throw new Error(`UDP ASSOCIATE answered ${code}`);
    const socket = createSocket(isIP(bound.host) === 6 ? 'udp6' : 'udp4');
    socket.bind(0, proxy.host);
    await once(socket, 'listening');
    return new SocksUdp(wire, socket, bound);
  }

  send(to: Endpoint, payload: Uint8Array): void {
    const datagram = Buffer.concat([Buffer.from([0, 0, 0]), address(to), payload]);
    this.#socket.send(datagram, this.#relay.port, this.#relay.host);
  }

  /** The next datagram that came back, with the sender its header names. */
  async receive(deadline_ms = 5_000): Promise<{ from: Endpoint; payload: Buffer }> {
    while (this.#arrived.length === 0) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await within('a datagram', deadline_ms, woken);
    }
    const message = this.#arrived.shift() ?? Buffer.alloc(0);
    if (message.readUInt16BE(0) !== 0 || message[2] !== 0) throw new Error(`header ${message.toString('hex', 0, 10)}`);
    if (message[3] === 1) {
      const from = { host: message.subarray(4, 8).join('.'), port: message.readUInt16BE(8) };
      return { from, payload: message.subarray(10) };
    }
    if (message[3] === 4)
      return { from: { host: 'v6', port: message.readUInt16BE(20) }, payload: message.subarray(22) };
    throw new Error(`address type ${message[3]}`);
  }

  async close(): Promise<void> {
    this.#wire.close();
    await closeUdp(this.#socket);
  }
}
