/**
 * What neighbours quote: the values that they have for credits of theirs, and what they have heard of others', so that a node sees rates
 * two links far. CBOR behind a length: `[[node, [[neighbour, low, high], …]], …]`, the sender first, values in 1/1024 octaves.
 *
 * Invariant: a quote moves no account. It says where a circle may be worth trying; what comes home says whether it is.
 */
import { encode } from 'cborg';
import { z } from 'zod';
import { parseCbor } from '../base/cbor.js';
import { fromHex, toHex } from '../base/hex.js';
import type { Quotes } from './circles.js';

/** A neighbour's credit at some node: log2 of its value, the lower and the higher of what it is and was lately. */
export interface Quote {
  /** Whose credit. */
  peer: string;
  low: number;
  high: number;
}

/** One node's. */
export interface NodeQuotes {
  node: string;
  quotes: Quote[];
}

export const QUOTES_BYTES_MAX = 64 * 1024;
/** Of a node, and of all in one message: a quote takes about 43 bytes. */
const QUOTES_MAX = 128;
const QUOTES_SENT_MAX = 1024;
/** Nodes of which quotes are kept. */
const NODES_MAX = 1024;
/** Heard longer ago, they say nothing: values follow traffic within minutes. */
export const QUOTES_FRESH_MS = 180_000;
const PARTS = 1024;
const OCTAVES_MAX = 10;
/** What hops are taken to keep of what passes: what they keep unless their owners say otherwise. */
const KEPT_LOG2 = Math.log2(1 - 0.01);

const id = z.instanceof(Uint8Array).refine((bytes) => bytes.length === 32);
const value = z
  .int()
  .min(-OCTAVES_MAX * PARTS)
  .max(OCTAVES_MAX * PARTS);
const Wire = z
  .array(z.tuple([id, z.array(z.tuple([id, value, value])).max(QUOTES_MAX)]))
  .min(1)
  .max(QUOTES_SENT_MAX);

export function encodeQuotes(all: readonly NodeQuotes[]): Uint8Array {
  let room = QUOTES_SENT_MAX;
  const sent: unknown[] = [];
  for (const { node, quotes } of all) {
    const some = quotes.slice(0, Math.min(QUOTES_MAX, room));
    room -= some.length + 1;
    // Rounded to what makes a rate less, so that no circle gains by rounding.
    sent.push([
      fromHex(node),
      some.map(({ peer, low, high }) => [fromHex(peer), Math.floor(low * PARTS), Math.ceil(high * PARTS) + 0]),
    ]);
    if (room <= 0) break;
  }
  return encode(sent);
}

/** `null`: it does not parse, or is not of this node first. */
export function decodeQuotes(from: string, data: Uint8Array): NodeQuotes[] | null {
  if (data.length > QUOTES_BYTES_MAX) return null;
  const all = parseCbor(data, Wire)?.map(([node, quotes]) => ({
    node: toHex(node),
    quotes: quotes.map(([peer, low, high]) => ({ peer: toHex(peer), low: low / PARTS, high: high / PARTS })),
  }));
  if (all === undefined) return null;
  const fit = all[0]?.node === from && all.every(({ quotes }) => quotes.every(({ low, high }) => low <= high));
  return fit ? all : null;
}

interface Heard {
  quotes: Map<string, Quote>;
  /** From itself, and not from one who heard it. */
  direct: boolean;
  at_ms: number;
}

/** Rates as a node sees them: nodes are numbers, this one is 0. */
export interface Sight extends Quotes {
  ids: readonly string[];
  /** What this node itself makes of a credit that comes home from one neighbour and was spent at another: log2. */
  own: (from: string, to: string) => number;
}

/** What this node has heard. */
export class QuoteBook {
  readonly #self: string;
  readonly #heard = new Map<string, Heard>();

  constructor(self: string) {
    this.#self = self;
  }

  /** What a neighbour said. What it heard of others counts for less than what they say themselves, and nothing of what it says of us. */
  take(said: readonly NodeQuotes[], now_ms: number): void {
    this.#forget(now_ms);
    said.forEach(({ node, quotes }, at) => {
      const known = this.#heard.get(node);
      if (node === this.#self || (at > 0 && known?.direct === true)) return;
      if (known === undefined && this.#heard.size >= NODES_MAX) return;
      this.#heard.set(node, {
        quotes: new Map(quotes.map((quote) => [quote.peer, quote])),
        direct: at === 0,
        at_ms: now_ms,
      });
    });
  }

  /** What it tells neighbours: its own, and what others have told it of theirs. */
  tell(own: readonly Quote[], now_ms: number): NodeQuotes[] {
    this.#forget(now_ms);
    const direct = [...this.#heard].filter(([, { direct }]) => direct);
    return [
      { node: this.#self, quotes: [...own] },
      ...direct.map(([node, { quotes }]) => ({ node, quotes: [...quotes.values()] })),
    ];
  }

  /** The rates between nodes of which both ends are known, but those of `without`, as `from to`. */
  sight(own: readonly Quote[], now_ms: number, without: ReadonlySet<string> = new Set()): Sight {
    this.#forget(now_ms);
    const ids = [this.#self, ...this.#heard.keys()];
    const number = new Map(ids.map((node, at) => [node, at]));
    const ours = new Map(own.map((quote) => [quote.peer, quote]));
    const books = [ours, ...[...this.#heard.values()].map((h) => h.quotes)];
    const rates = books.map((quotes, at) => {
      const from = ids[at] as string;
      const rates = new Map<number, number>();
      for (const { peer, high } of quotes.values()) {
        const to = number.get(peer);
        const there = to === undefined ? undefined : books[to]?.get(from);
        if (to === undefined || there === undefined || without.has(`${from} ${peer}`)) continue;
        // Worth so much where it comes to, so much less where it left, less what the hop keeps.
        rates.set(to, there.low - high + KEPT_LOG2);
      }
      return rates;
    });
    const neighbours = rates.map((of) => [...of.keys()]);
    return {
      ids,
      own: (from, to) => (ours.get(from)?.low ?? 0) - (ours.get(to)?.high ?? 0),
      nodes: ids.length,
      neighbours: (node) => neighbours[node] as number[],
      log2: (from, to) => rates[from]?.get(to) ?? Number.NEGATIVE_INFINITY,
    };
  }

  #forget(now_ms: number): void {
    for (const [node, { at_ms }] of this.#heard)
      if (now_ms - at_ms > QUOTES_FRESH_MS || now_ms < at_ms) this.#heard.delete(node);
  }
}
