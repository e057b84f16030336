/** A UDP address in front of another one, as a NAT or a firewall is: it passes packets on, and can stop doing so for one sender. */
import { createSocket, type Socket } from 'node:dgram';
import type { AddressInfo } from 'node:net';

export class Forwarder {
  readonly #front: Socket;
  readonly #backs = new Map<string, Socket>();
  readonly #blocked = new Set<string>();
  #target: { host: string; port: number } | null = null;
  /** Packets that were not passed on. */
  dropped = 0;

  private constructor(front: Socket) {
    this.#front = front;
    front.on('message', (data, from) => this.#forward(data, from.address, from.port));
  }

  static async start(): Promise<Forwarder> {
    const front = createSocket('udp4');
    await new Promise<void>((resolve) => front.bind(0, '127.0.0.1', resolve));
    return new Forwarder(front);
  }

  get address(): string {
    const { address, port } = this.#front.address() as AddressInfo;
    return `${address}:${port}`;
  }

  /** Where packets go from now on, `ip:port`. */
  set target(address: string) {
    const [host = '', port] = address.split(':');
    this.#target = { host, port: Number(port) };
  }

  /** Passes nothing from or to this sender (`ip:port`) any more. */
  block(sender: string): void {
    this.#blocked.add(sender);
  }

  unblock(sender: string): void {
    this.#blocked.delete(sender);
  }

  async close(): Promise<void> {
    for (const socket of [this.#front, ...this.#backs.values()]) socket.close();
  }

  #forward(data: Buffer, host: string, port: number): void {
    const sender = `${host}:${port}`;
    if (this.#blocked.has(sender) || this.#target === null) {
      this.dropped += 1;
      return;
    }
    let back = this.#backs.get(sender);
    if (back === undefined) {
      back = createSocket('udp4');
      back.on('message', (answer) => {
        if (this.#blocked.has(sender)) this.dropped += 1;
        else this.#front.send(answer, port, host);
      });
      back.on('error', () => {});
      this.#backs.set(sender, back);
    }
    back.send(data, this.#target.port, this.#target.host);
  }
}
