/** A network whose links are IPv6 alone, and an origin on IPv6. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { sha256Of } from '../harness/content.js';
import { moved, type Network, startNetwork } from '../harness/network.js';
import { startOrigin } from '../harness/origin.js';
import { succeed } from '../harness/process.js';

const cleanup = new Cleanup();
let network: Network;

beforeAll(async () => {
  // No second exit joins one that is slow to answer: the flow is counted once.
  network = await startNetwork(cleanup, { host: '[::1]', client: { egress: { stagger_ms: 60_000 } } });
});
afterAll(() => cleanup.run());

test('every link is IPv6, and curl gets its bytes from an IPv6 origin', async () => {
  const origin = cleanup.keep(await startOrigin({ host: '::1' }));
  const length = 2_000_000;
  const { result, exits, path } = await moved(network, () =>
    succeed('curl', [
      '-q',
      '-sS',
      '-g',
      '--noproxy',
      '',
      '--socks5-hostname',
      network.socksText,
      `${origin.url}/bytes/6/${length}`,
    ]),
  );
  expect(createHash('sha256').update(result.stdout).digest('hex')).toBe(sha256Of(6, length));
  expect(path).toHaveLength(3);
  expect(exits.flows).toBe(1);
  expect(exits.bytes_in).toBeGreaterThanOrEqual(length);
  expect(origin.connections[0]?.address).toBe('::1');
  for (const node of network.all) {
    const { addresses, host } = await node.status();
    expect(addresses, node.name).toEqual([expect.stringMatching(/^\[::1\]:\d+$/)]);
    expect(host.links.length, node.name).toBeGreaterThan(0);
    for (const link of host.links) expect(link.address, node.name).toMatch(/^\[::1\]:/);
  }
});
