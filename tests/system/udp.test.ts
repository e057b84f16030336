/** SOCKS5 UDP ASSOCIATE over three hops: datagrams as large as Ethernet carries them, to destinations of both families. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { bytes } from '../harness/content.js';
import { moved, type Network, startNetwork } from '../harness/network.js';
import { inverted, startUdpEcho, type UdpEcho } from '../harness/sockets.js';
import { SocksUdp } from '../harness/socks.js';
import { until } from '../harness/wait.js';

const cleanup = new Cleanup();
let network: Network;
let echo: UdpEcho;

beforeAll(async () => {
  network = await startNetwork(cleanup);
  echo = cleanup.keep(await startUdpEcho());
});
afterAll(() => cleanup.run());

test.each([1, 512, 1_200, 1_472])('%i bytes go there and come back, counted by the exit', async (length) => {
  const udp = await SocksUdp.open(network.socks);
  try {
    const payload = bytes(length, length);
    const seen = echo.seen.length;
    const { result, exits } = await moved(network, async () => {
      udp.send(echo, payload);
      return udp.receive();
    });
    expect(result.payload.equals(inverted(payload))).toBe(true);
    expect(result.from).toEqual({ host: echo.host, port: echo.port });
    expect(echo.seen.slice(seen)).toMatchObject([{ length, address: '127.0.0.1' }]);
    expect(exits).toMatchObject({ udp_in: 1, udp_out: 1 });
  } finally {
    await udp.close();
  }
});

test('five hundred datagrams of 1,472 bytes, a few at a time, come back whole and once', async () => {
  const udp = await SocksUdp.open(network.socks);
  const count = 500;
  const numbered = (index: number) => {
    const payload = bytes(1_000 + index, 1_472);
    payload.writeUInt32BE(index, 0);
    return payload;
  };
  const came = new Map<number, number>();
  let wrong = 0;
  try {
    const { exits } = await moved(network, async () => {
      for (let index = 0; index < count; index++) {
        udp.send(echo, numbered(index));
        // Never more than eight under way: nobody promises a queue for more.
        if (index < 8) continue;
        await take();
      }
      while ([...came.values()].reduce((sum, times) => sum + times, 0) < count) await take();
    });
    expect(wrong).toBe(0);
    expect([...came.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(new Set(came.values())).toEqual(new Set([1]));
    expect(exits).toMatchObject({ udp_in: count, udp_out: count });
  } finally {
    await udp.close();
  }

  async function take(): Promise<void> {
    const { payload } = await udp.receive();
    const plain = inverted(payload);
    const index = plain.readUInt32BE(0);
    if (!plain.equals(numbered(index))) wrong += 1;
    came.set(index, (came.get(index) ?? 0) + 1);
  }
});

test('two associations get their own answers only, and end with their connection', async () => {
  const udps = await Promise.all([SocksUdp.open(network.socks), SocksUdp.open(network.socks)]);
  const payloads = udps.map((_, i) => Buffer.alloc(100, i + 1));
  udps.forEach((udp, i) => {
    udp.send(echo, payloads[i]!);
  });
  for (const [i, udp] of udps.entries())
    expect((await udp.receive()).payload.equals(inverted(payloads[i]!))).toBe(true);
  for (const udp of udps) await udp.close();
  await until('the exits holding no association', async () => {
    const open = await Promise.all(network.exits.map(async (exit) => (await exit.status()).host.exit.flows_open));
    return open.every((count) => count === 0);
  });
});

test('an IPv6 destination answers too', async () => {
  const echo6 = cleanup.keep(await startUdpEcho('::1'));
  const udp = await SocksUdp.open(network.socks);
  try {
    const payload = bytes(6, 1_472);
    udp.send(echo6, payload);
    const answer = await udp.receive();
    expect(answer.payload.equals(inverted(payload))).toBe(true);
    expect(answer.from.port).toBe(echo6.port);
    expect(echo6.seen).toMatchObject([{ length: 1_472, address: '::1' }]);
  } finally {
    await udp.close();
  }
});
