/** Where a node takes links over TCP: its listeners, their certificate, and what it tells others of them. */
import { asWayfareError, UsageError } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import type { WebCertificate } from '../core/host.js';
import type { AuthorityCertificate, ReachedReliably, ReliableListener } from '../transport/reliable-ports.js';
import type { NodeOptions, Platform } from './options.js';

const UNSPECIFIED = /^(?:0\.0\.0\.0|\[::\])$/;
const PART = /^(.*):(\d+)$/;

type ListenPlatform = Pick<Platform, 'reliable' | 'readAuthority' | 'clock'>;

export class ReliableListeners {
  readonly #listeners: ReliableListener[] = [];

  readonly #options: NodeOptions;
  readonly #platform: ListenPlatform;
  readonly #log: Log;
  readonly #take: (reached: ReachedReliably) => void;
  #authority: AuthorityCertificate | undefined;

  /** `take` gets each session that comes. */
  constructor(options: NodeOptions, platform: ListenPlatform, log: Log, take: (reached: ReachedReliably) => void) {
    this.#options = options;
    this.#platform = platform;
    this.#log = log;
    this.#take = take;
  }

  /**
   * Listens where it was told to, with port 0 at the port of `udp` if it can. Throws `config_invalid`, `config_missing`,
   * `address_in_use` or `address_unavailable`.
   */
  async start(certificate: WebCertificate | undefined, udp: string[]): Promise<void> {
    const { listenReliable = [], web } = this.#options;
    const { reliable: transports } = this.#platform;
    if (listenReliable.length === 0 && web !== undefined) {
      throw new UsageError('config_invalid', 'browsers reach a relay by its name over TCP alone', {
        hint: 'set `listenReliable`, or leave `web` out',
      });
    }
    if (listenReliable.length === 0) return;
    if (transports === undefined || certificate === undefined) {
      throw new UsageError('config_invalid', 'only a relay or exit takes links over TCP', {
        hint: 'leave `listenReliable` out, or add the role "relay"',
      });
    }
    this.#authority = await this.#read();
    const udpPort = udp[0]?.split(':').at(-1) ?? '0';
    for (const address of listenReliable) {
      const listen = (at: string) => transports.listen(at, certificate, this.#take, this.#authority);
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

  /** Takes what an authority has renewed. What cannot be used leaves everything as it was, and is logged. */
  async renew(): Promise<void> {
    const held = this.#authority;
    if (held === undefined) return;
    try {
      const authority = await this.#read();
      if (authority === undefined || (authority.chain === held.chain && authority.key === held.key)) return;
      for (const listener of this.#listeners) listener.updateAuthority(authority);
      this.#authority = authority;
      this.#log.info('took the renewed certificate for browsers');
    } catch (caught) {
      const { code, sentence } = asWayfareError(caught);
      this.#log.error('the certificate for browsers cannot be used', { code, why: sentence });
    }
  }

  async #read(): Promise<AuthorityCertificate | undefined> {
    const { web } = this.#options;
    const { readAuthority, clock } = this.#platform;
    return web === undefined ? undefined : readAuthority?.(web, clock.now_ms());
  }

  /** For the descriptor: where others reach them. One that listens everywhere is reached at the hosts in `advertise`. */
  addresses(): string[] {
    const reached = this.#listeners.flatMap(({ address }) => {
      const [, host = '', port] = PART.exec(address) ?? [];
      if (!UNSPECIFIED.test(host)) return [address];
      const fitting = (this.#options.advertise ?? []).filter((own) => host !== '0.0.0.0' || !own.startsWith('['));
      return fitting.map((own) => `${PART.exec(own)?.[1]}:${port}`);
    });
    return [...new Set(reached)];
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
  }
}
