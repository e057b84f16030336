/** Where a node takes links over TCP: its listeners, their certificate, and what it tells others of them. */
import { UsageError } from '../base/errors.js';
import type { WebCertificate } from '../core/host.js';
import type { ReachedReliably, ReliableListener, ReliableTransports } from '../transport/reliable-ports.js';
import type { NodeOptions } from './options.js';

const UNSPECIFIED = /^(?:0\.0\.0\.0|\[::\])$/;
const PART = /^(.*):(\d+)$/;

export class ReliableListeners {
  readonly #listeners: ReliableListener[] = [];

  readonly #wanted: string[];
  readonly #advertise: string[];
  readonly #take: (reached: ReachedReliably) => void;

  /** `take` gets each session that comes. */
  constructor(options: NodeOptions, take: (reached: ReachedReliably) => void) {
    this.#wanted = options.listenReliable ?? [];
    this.#advertise = options.advertise ?? [];
    this.#take = take;
  }

  /**
   * Listens where it was told to, with port 0 at the port of `udp` if it can. Throws `config_invalid`, `address_in_use` or
   * `address_unavailable`.
   */
  async start(
    transports: ReliableTransports | undefined,
    certificate: WebCertificate | undefined,
    udp: string[],
  ): Promise<void> {
    if (this.#wanted.length === 0) return;
    if (transports === undefined || certificate === undefined) {
      throw new UsageError('config_invalid', 'only a relay or exit takes links over TCP', {
        hint: 'leave `listenReliable` out, or add the role "relay"',
      });
    }
    const udpPort = udp[0]?.split(':').at(-1) ?? '0';
    for (const address of this.#wanted) {
      const listen = (at: string) => transports.listen(at, certificate, this.#take);
      // Whoever knows a peer's UDP address alone tries TCP at the same port.
      const wanted = address.replace(/:0$/, `:${udpPort}`);
      const listener = listen(wanted).catch((error) => (wanted === address ? Promise.reject(error) : listen(address)));
      this.#listeners.push(await listener);
    }
  }

  /** Shows this certificate from now on. */
  update(certificate: WebCertificate | undefined): void {
    if (certificate !== undefined) for (const listener of this.#listeners) listener.update(certificate);
  }

  /** For the descriptor: where others reach them. One that listens everywhere is reached at the hosts in `advertise`. */
  addresses(): string[] {
    const reached = this.#listeners.flatMap(({ address }) => {
      const [, host = '', port] = PART.exec(address) ?? [];
      if (!UNSPECIFIED.test(host)) return [address];
      const fitting = this.#advertise.filter((own) => host !== '0.0.0.0' || !own.startsWith('['));
      return fitting.map((own) => `${PART.exec(own)?.[1]}:${port}`);
    });
    return [...new Set(reached)];
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
  }
}
