/** A relay of the path dies without a word while a large download runs over it. */
import { createHash } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { sha256Of } from '../harness/content.js';
import { moved, type Network, startNetwork } from '../harness/network.js';
import type { Node } from '../harness/node.js';
import { type Origin, startOrigin } from '../harness/origin.js';
import { Child } from '../harness/process.js';
import { until, within } from '../harness/wait.js';

/** How long streams may stand still. */
const GAP_MS_MAX = 5_000;

const cleanup = new Cleanup();
let network: Network;
let origin: Origin;

// One network a test: a dead relay stays dead, and a path needs two.
beforeEach(async () => {
  // No second exit joins one that is slow to answer: each flow is counted once.
  network = await startNetwork(cleanup, { client: { egress: { stagger_ms: 60_000 } } });
  origin = cleanup.keep(await startOrigin());
});
afterEach(() => cleanup.run());

/** Hashes what comes, and remembers the longest time in which nothing came. */
class Download {
  readonly curl: Child;
  readonly #hash = createHash('sha256');
  received = 0;
  gap_ms = 0;
  #last_ms: number | undefined;

  constructor(url: string) {
    const args = ['-q', '--silent', '--show-error', '--fail', '--noproxy', '', '--socks5-hostname', network.socksText];
    this.curl = cleanup.keep(new Child('curl', [...args, url], {}, (chunk) => this.#take(chunk)));
  }

  #take(chunk: Buffer): void {
    const now_ms = performance.now();
    if (this.#last_ms !== undefined) this.gap_ms = Math.max(this.gap_ms, now_ms - this.#last_ms);
    this.#last_ms = now_ms;
    this.received += chunk.length;
    this.#hash.update(chunk);
  }

  get sha256(): string {
    return this.#hash.digest('hex');
  }
}

test.each([
  { name: 'middle', hop: 1, length: 1_000_000_000 },
  { name: 'first', hop: 0, length: 400_000_000 },
])(
  'a download of $length bytes outlives kill -9 of its $name relay: the right SHA-256, on one flow',
  async ({ name, hop, length }) => {
    const expected = sha256Of(11, length);
    const { result, exits, path, relays } = await moved(network, async () => {
      const download = new Download(`${origin.url}/bytes/11/${length}`);
      await until('a tenth of the download', () => download.received > length / 10, 30_000);
      const hops = (await network.client.status()).path.map(({ id }) => network.byId(id));
      expect(hops).toHaveLength(3);
      const victim = hops[hop] as Node;
      const carried = (await victim.status()).host.relayed.bytes_backward;
      const before_ms = download.gap_ms;
      await victim.kill();
      const at = download.received;
      const ended = await within('the download', 90_000, download.curl.ended);
      return { download, hops, victim, carried, at, ended, before_ms };
    });
    const { download, hops, victim, carried, at, ended, before_ms } = result;
    const [gap, before] = [download.gap_ms, before_ms].map(Math.round);
    console.info(`${name} relay killed after ${at} bytes: longest silence ${gap} ms (until then: ${before} ms)`);
    expect([ended.code, ended.stderr]).toEqual([0, '']);
    expect(download.received).toBe(length);
    expect(download.sha256).toBe(expected);
    // It was on the path and at work, and much was still to come.
    expect(carried).toBeGreaterThan(length / 10);
    expect(at).toBeLessThan(length * 0.9);
    expect(download.gap_ms).toBeLessThan(GAP_MS_MAX);
    // The same exit, the same connection to the origin; another relay in the place of the dead one.
    expect(exits.flows).toBe(1);
    expect(origin.connections).toHaveLength(1);
    expect(path.at(-1)).toBe(hops[2]);
    expect(path).not.toContain(victim);
    const survivors = network.relays.filter((relay) => relay !== victim);
    for (const relay of survivors) expect(relays.get(relay)?.bytes_backward, relay.name).toBeGreaterThan(length / 20);
  },
  150_000,
);

test('kill -9 of the exit ends its flows with an error, and the next one takes another exit', async () => {
  const download = new Download(`${origin.url}/bytes/12/2000000000`);
  await until('the download under way', () => download.received > 10_000_000, 30_000);
  const hops = (await network.client.status()).path.map(({ id }) => network.byId(id));
  const exit = hops[2] as Node;
  await exit.kill();
  const ended = await within('the end of the download', 30_000, download.curl.ended);
  expect(ended.code).not.toBe(0);
  expect(download.received).toBeLessThan(2_000_000_000);
  const { exits, path } = await moved(network, async () => {
    const next = new Download(`${origin.url}/bytes/13/1000000`);
    const { code, stderr } = await within('the next download', 20_000, next.curl.ended);
    expect([code, stderr]).toEqual([0, '']);
    expect(next.sha256).toBe(sha256Of(13, 1_000_000));
  });
  expect(exits.flows).toBe(1);
  expect(path).toHaveLength(3);
  expect(path).not.toContain(exit);
}, 90_000);
