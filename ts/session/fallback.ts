/**
 * Peers whom no UDP reaches: TCP is tried a moment after QUIC, over HTTP/2 and then WebSocket, and what worked is tried first
 * the next time.
 *
 * Invariant: where QUIC answers in time, no TCP connection is made; whichever comes second is given up.
 */
import type { Descriptor } from '../base/directory.js';
import { asWayfareError, errorOf } from '../base/errors.js';
import type { Clock } from '../base/ports.js';
import type { LinkTransport } from '../core/host.js';
import { after, within } from '../core/timing.js';
import {
  RELIABLE_KINDS,
  type ReachedReliably,
  type ReliableKind,
  type ReliableTransports,
} from '../transport/reliable-ports.js';

/** QUIC's answer takes two round trips. */
const TCP_AFTER_MS = 600;
/** Once UDP got no answer where TCP did, or a link over it fell silent, both are tried at once for so long. */
const SILENCE_MS = 60_000;
/** TCP, TLS and the session: five round trips. */
const TCP_DIAL_MS = 3_000;
/** What worked is tried first for so long. */
const WORKED_MS = 10 * 60_000;

/** Whether UDP seems to be blocked. */
export class UdpSilence {
  readonly #clock: Clock;
  #until_ms = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** UDP brought no answer. */
  note(): void {
    this.#until_ms = this.#clock.monotonic_ms() + SILENCE_MS;
  }

  get now(): boolean {
    return this.#clock.monotonic_ms() < this.#until_ms;
  }
}

/** Whether a link ended as those do under which UDP is blocked. A browser does not say why it gave a session up. */
export function isSilence(transport: LinkTransport | undefined, reason: string): boolean {
  if (transport === 'webtransport') return reason === 'timeout' || reason === 'link_gone';
  return reason === 'timeout' && transport !== 'http2' && transport !== 'websocket';
}

/** Resolves when either has; rejects, with why UDP failed, when both have. */
export async function dialEither(
  clock: Clock,
  silence: UdpSilence,
  dialUdp: () => Promise<void>,
  dialTcp: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const abort = new AbortController();
  const udp = dialUdp();
  const due = new Promise<void>((resolve) => {
    const cancel = after(clock, silence.now ? 0 : TCP_AFTER_MS, resolve);
    udp.then(cancel, () => {
      cancel();
      resolve();
    });
  });
  const tcp = due.then(() => dialTcp(abort.signal));
  udp.then(
    () => abort.abort(errorOf('aborted', 'QUIC was faster')),
    () => tcp.then(() => silence.note()).catch(() => {}),
  );
  try {
    await Promise.any([udp, tcp]);
  } catch (error) {
    throw (error as AggregateError).errors[0];
  }
}

/** Of a peer known before its descriptor: what of that is known. */
type Known = { address: string; reliable?: { host?: string } };

export class ReliableDials {
  readonly #transports: ReliableTransports;
  readonly #clock: Clock;
  readonly #worked = new Map<string, { kind: ReliableKind; at_ms: number }>();

  constructor(transports: ReliableTransports, clock: Clock) {
    this.#transports = transports;
    this.#clock = clock;
  }

  /** Where a peer's TCP is tried; where nothing is known of it but its UDP address, there. */
  places(descriptor: Descriptor | undefined, known: readonly Known[]): string[] {
    if (this.#transports.byName !== true)
      return descriptor === undefined ? known.map(({ address }) => address) : (descriptor.reliable?.addresses ?? []);
    const told: { reliable?: { host?: string } }[] = descriptor === undefined ? [...known] : [descriptor];
    return [...new Set(told.flatMap(({ reliable }) => reliable?.host ?? []))];
  }

  /** Reaches `peer` at one of these addresses; `attach` makes a link of what was reached, or throws. */
  async dial(
    peer: string,
    addresses: string[],
    hashes: Uint8Array[],
    signal: AbortSignal,
    attach: (reached: ReachedReliably) => Promise<void>,
  ): Promise<void> {
    let last: unknown;
    for (const kind of this.#kinds(peer)) {
      for (const address of addresses) {
        signal.throwIfAborted();
        try {
          await attach(await this.#one(kind, address, hashes, signal));
          this.#worked.set(peer, { kind, at_ms: this.#clock.monotonic_ms() });
          return;
        } catch (error) {
          last = error;
        }
      }
    }
    throw asWayfareError(last, 'link_failed');
  }

  #kinds(peer: string): ReliableKind[] {
    const worked = this.#worked.get(peer);
    if (worked === undefined || this.#clock.monotonic_ms() - worked.at_ms > WORKED_MS) return [...RELIABLE_KINDS];
    return [worked.kind, ...RELIABLE_KINDS.filter((kind) => kind !== worked.kind)];
  }

  async #one(kind: ReliableKind, address: string, hashes: Uint8Array[], signal: AbortSignal): Promise<ReachedReliably> {
    const attempt = new AbortController();
    const dialling = this.#transports.dial(kind, address, hashes, AbortSignal.any([signal, attempt.signal]));
    try {
      const late = (reached: ReachedReliably) => reached.session.close();
      return await within(this.#clock, TCP_DIAL_MS, `dialling over ${kind}`, dialling, late);
    } catch (error) {
      attempt.abort(error);
      throw error;
    }
  }
}
