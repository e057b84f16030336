/** Bare TCP and UDP: servers that count who comes, and a client that reads exactly what it asks for. */
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { within } from './wait.js';

export interface Listener {
  port: number;
  /** Connections accepted so far. */
  accepted: number;
  sockets: Socket[];
  close(): Promise<void>;
}

/** Accepts, and does `onSocket` with each; by default nothing, so that nothing is read. */
export async function listen(host: string, onSocket: (socket: Socket) => void = () => {}): Promise<Listener> {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    get accepted() {
      return sockets.length;
    },
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A port on which nothing listens: one that was just given back. */
export async function closedPort(): Promise<number> {
  const listener = await listen('127.0.0.1');
  await listener.close();
  return listener.port;
}

export interface UdpEcho {
  host: string;
  port: number;
  /** Datagrams seen, with their senders. */
  seen: { length: number; address: string; port: number }[];
  close(): Promise<void>;
}

/** Sends every datagram back, each byte inverted, so that an echo on the way can't be taken for it. */
export async function startUdpEcho(host = '127.0.0.1'): Promise<UdpEcho> {
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  const seen: UdpEcho['seen'] = [];
  socket.on('message', (message, from) => {
    seen.push({ length: message.length, address: from.address, port: from.port });
    socket.send(inverted(message), from.port, from.address);
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  return { host, port: socket.address().port, seen, close: () => closeUdp(socket) };
}

export const inverted = (message: Uint8Array) => Buffer.from(message.map((byte) => byte ^ 0xff));

export function closeUdp(socket: UdpSocket): Promise<void> {
  return new Promise((resolve) => socket.close(() => resolve()));
}

/** A TCP connection that is read only as far as asked. */
export class Wire {
  readonly socket: Socket;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #ended = false;
  #wake: () => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    const wake = () => this.#wake();
    socket.on('readable', wake);
    socket.on('end', () => {
      this.#ended = true;
      wake();
    });
    socket.on('close', () => {
      this.#ended = true;
      wake();
    });
    socket.on('error', wake);
  }

  static async open(host: string, port: number): Promise<Wire> {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true });
    await within(`connecting to port ${port}`, 5_000, once(socket, 'connect'));
    return new Wire(socket);
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  /** Exactly `length` bytes; fails when the end comes first. */
  async read(length: number, deadline_ms = 10_000): Promise<Buffer> {
    await within(`${length} bytes`, deadline_ms, this.#fill(length));
    const all = this.#take();
    if (all.length < length) {
      throw new Error(`the connection ended after ${all.length} of ${length} bytes: ${all.toString('hex', 0, 100)}`);
    }
    this.#hold(all.subarray(length));
    return all.subarray(0, length);
  }

  /** Everything until the other side ends or resets. */
  async rest(deadline_ms = 10_000): Promise<Buffer> {
    await within('the end of the connection', deadline_ms, this.#fill(Number.POSITIVE_INFINITY));
    return this.#take();
  }

  #hold(chunk: Buffer): void {
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
  }

  #take(): Buffer {
    const all = Buffer.concat(this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    return all;
  }

  async #fill(length: number): Promise<void> {
    for (;;) {
      for (let chunk: Buffer | null = this.socket.read(); chunk !== null; chunk = this.socket.read()) this.#hold(chunk);
      if (this.#heldBytes >= length || this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
