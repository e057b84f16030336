/** Where a node takes links over TCP: its listeners, their certificate, and what it tells others of them. */
import { UsageError } from '../base/errors.js';
import type { WebCertificate } from '../core/host.js';
import type { ReachedReliably, ReliableListener, ReliableTransports } from '../transport/reliable-ports.js';

const UNSPECIFIED = /^(?:0\.0\.0\.0|\[::\])$/;
const PART = /^(.*):(\d+)$/;

export class ReliableListeners {
  readonly #listeners: ReliableListener[] = [];

  /** Listens on all of these, with port 0 where `udpPort` is if it can; throws `config_invalid`, `address_in_use` or `address_unavailable`. */
  async start(
    addresses: string[],
    transports: ReliableTransports | undefined,
    certificate: WebCertificate | undefined,
    take: (reached: ReachedReliably) => void,
    udpPort: string,
  ): Promise<void> {
    if (addresses.length === 0) return;
    if (transports === undefined || certificate === undefined) {
      throw new UsageError('config_invalid', 'only a relay or exit takes links over TCP', {
        hint: 'leave `listenReliable` out, or add the role "relay"',
      });
    }
    for (const address of addresses) {
      const listen = (at: string) => transports.listen(at, certificate, take);
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
  addresses(advertise: string[]): string[] {
    const reached = this.#listeners.flatMap(({ address }) => {
      const [, host = '', port] = PART.exec(address) ?? [];
      if (!UNSPECIFIED.test(host)) return [address];
      const fitting = advertise.filter((own) => host !== '0.0.0.0' || !own.startsWith('['));
      return fitting.map((own) => `${PART.exec(own)?.[1]}:${port}`);
    });
    return [...new Set(reached)];
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
  }
}
