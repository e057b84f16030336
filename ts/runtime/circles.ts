/**
 * A relay's part in keeping values in line (docs/credits.md): it asks neighbours what they value credits at, and runs the circle that
 * gains, if there is one.
 *
 * Invariant: what it asks for is bounded in bytes and time, and one circle runs at most.
 */
import type { Descriptor } from '../base/directory.js';
import { asWayfareError, WayfareError } from '../base/errors.js';
import type { Clock, Log, Random } from '../base/ports.js';
import { BUILD_MS_MAX, hopsOf, suiteOf } from '../circuit/builder.js';
import type { NodeHost } from '../core/host.js';
import type { NeighbourCredits } from '../core/node-credits.js';
import { every, within } from '../core/timing.js';
import { CircleRunner } from '../credit/circle-runner.js';
import { decodeQuotes, encodeQuotes, QUOTES_BYTES_MAX, type Quote, QuoteBook } from '../credit/quotes.js';
import type { CreditCircle } from '../credit/report.js';
import { openProtocol } from '../session/protocols.js';
import { FrameReader, frame } from '../transport/frames.js';
import type { BidirectionalStream, Session } from '../transport/session.js';

export const QUOTES_PROTOCOL = 'quotes/1';
/** As in the simulation whose figures docs/credits.md tells. */
const LOOK_EVERY_MS = 60_000;
const ANSWER_MS_MAX = 5_000;
/** Neighbours that are asked, at most. */
const ASKED_MAX = 64;

export interface CirclesParts {
  self: string;
  host: NodeHost;
  clock: Clock;
  random: Random;
  log: Log;
  /** This node's own, `null` where it serves nobody: then it neither asks nor answers. */
  descriptor(): Descriptor | null;
  descriptorOf(id: string): Descriptor | undefined;
  /** Neighbours' accounts, as they are now. */
  accounts(): readonly NeighbourCredits[];
  session(peer: string): Session | undefined;
}

export class Circles {
  readonly #parts: CirclesParts;
  readonly #book: QuoteBook;
  readonly #runner: CircleRunner;
  #accounts: readonly NeighbourCredits[] = [];
  #stop: () => void = () => {};

  constructor(parts: CirclesParts) {
    this.#parts = parts;
    const { host, clock } = parts;
    this.#book = new QuoteBook(parts.self);
    this.#runner = new CircleRunner({
      now_ms: () => clock.monotonic_ms(),
      sight: (without) => this.#book.sight(quotesOf(this.#accounts), clock.monotonic_ms(), without),
      mirror: (peer) => this.#accounts.find((account) => account.peer === peer)?.mirror ?? 0,
      open: (path, flow) => this.#open(path, flow),
      announce: (circuit, flow) => host.circuitFlow(circuit, flow),
      stats: (circuit) => host.circuitStats(circuit),
      close: (circuit) => host.circuitClose(circuit),
    });
  }

  /** The circle that runs. */
  get running(): CreditCircle | null {
    return this.#runner.running;
  }

  start(): void {
    const { clock, random, log } = this.#parts;
    const byte = new Uint8Array(1);
    // Not in step with others who began at the same time.
    const next_ms = () => {
      random.fill(byte);
      return LOOK_EVERY_MS * (0.75 + (byte[0] as number) / 512);
    };
    this.#stop = every(clock, next_ms, () => {
      this.look().catch((error) => log.debug('no look at circles', { code: asWayfareError(error).code }));
    });
  }

  close(): void {
    this.#stop();
    this.#runner.close();
  }

  /** Asks neighbours, and goes on with the circle that runs or looks for one. */
  async look(): Promise<void> {
    if (this.#parts.descriptor() === null) return;
    this.#accounts = this.#parts.accounts();
    // A circle goes over two neighbours at least; the most uneven values say most.
    const uneven = [...this.#accounts].sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
    if (uneven.length < 2) return;
    await Promise.all(uneven.slice(0, ASKED_MAX).map(({ peer }) => this.#ask(peer)));
    await this.#runner.look();
  }

  /** A neighbour asks. */
  async answer(stream: BidirectionalStream): Promise<void> {
    const { clock, descriptor, accounts } = this.#parts;
    if (descriptor() === null) throw new WayfareError('control_malformed', 'a node that serves nobody quotes nothing');
    const writer = stream.writable.getWriter();
    const own = quotesOf(accounts());
    await writer.write(frame(encodeQuotes(this.#book.tell(own, clock.monotonic_ms()))));
    await writer.close();
  }

  async #ask(peer: string): Promise<void> {
    const { clock, session, log } = this.#parts;
    const over = session(peer);
    if (over === undefined) return;
    let reader: FrameReader | undefined;
    try {
      const asking = async () => {
        const stream = await openProtocol(over, QUOTES_PROTOCOL);
        reader = new FrameReader(stream.readable, QUOTES_BYTES_MAX);
        await stream.writable.close();
        return reader.next();
      };
      const answer = await within(clock, ANSWER_MS_MAX, 'an answer', asking());
      const quotes = answer === null ? null : decodeQuotes(peer, answer);
      if (quotes === null) throw new WayfareError('control_malformed', 'quotes that do not parse');
      this.#book.take(quotes, clock.monotonic_ms());
    } catch (error) {
      // A client, or one that keeps its values to itself.
      log.debug('no quotes', { code: asWayfareError(error).code });
      await reader?.cancel(error).catch(() => {});
    }
  }

  async #open(path: readonly string[], flow: number): Promise<number> {
    const { clock, host, descriptor, descriptorOf } = this.#parts;
    const now_s = clock.now_ms() / 1000;
    const nodes = [...path.map(descriptorOf), descriptor() ?? undefined].map((node) => {
      if (node === undefined) throw new WayfareError('peer_unknown', 'a node of the circle is not known');
      return node;
    });
    const opening = host.circuitOpen({ hops: hopsOf(nodes, now_s), flow, ...suiteOf(nodes) });
    return within(clock, BUILD_MS_MAX, 'a circuit', opening, (late) => host.circuitClose(late));
  }
}

function quotesOf(accounts: readonly NeighbourCredits[]): Quote[] {
  return accounts.map(({ peer, value, valueLately }) => ({
    peer,
    low: Math.min(value, valueLately),
    high: Math.max(value, valueLately),
  }));
}
