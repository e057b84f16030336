/** Threat 18: an exit that was not told otherwise reaches nothing of its own machine or network, however it is spelled. */
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { type Network, startNetwork } from '../harness/network.js';
import { type Listener, listen, startUdpEcho, type UdpEcho, Wire } from '../harness/sockets.js';
import { REPLY, SocksUdp, socksConnect } from '../harness/socks.js';
import { until } from '../harness/wait.js';

const cleanup = new Cleanup();
let network: Network;
/** On every address of this machine. */
let trap: Listener;
let trap4: Listener;
let udpTrap: UdpEcho;

beforeAll(async () => {
  // One exit a connection: a second one would say the same, and count it again.
  network = await startNetwork(cleanup, { exit: { exit: {} }, client: { egress: { race_most: 1 } } });
  trap = cleanup.keep(await listen('::'));
  trap4 = cleanup.keep(await listen('127.0.0.1'));
  udpTrap = cleanup.keep(await startUdpEcho());
});
afterAll(() => cleanup.run());

async function refusals(): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (const exit of network.exits) {
    for (const [reason, count] of Object.entries(await exit.drops())) sum[reason] = (sum[reason] ?? 0) + count;
  }
  return sum;
}

const own = Object.values(networkInterfaces())
  .flatMap((all) => all ?? [])
  // A link-local address means nothing without its interface.
  .filter(({ internal, address }) => !internal && !address.startsWith('fe80'))
  .map(({ address }) => address);

const ADDRESSES = [
  '127.0.0.1',
  '127.255.255.254',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '192.168.0.1',
  '169.254.169.254',
  '100.64.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::1',
  '::',
  '::ffff:127.0.0.1',
  '::127.0.0.1',
  '64:ff9b::7f00:1',
  '2002:7f00:1::',
  'fe80::1',
  'fc00::1',
  'ff02::1',
  ...own,
];
const SPELLINGS = [
  '127.0.0.1',
  'localhost',
  'LocalHost',
  'localhost.',
  '127.1',
  '127.0.1',
  '0x7f000001',
  '0X7F.0.0.1',
  '2130706433',
  '017700000001',
  '0177.0.0.1',
  '127.0.0.1.',
  '[::1]',
  '::1',
  '[::ffff:127.0.0.1]',
  '::ffff:7f00:1',
  '[0:0:0:0:0:ffff:127.0.0.1]',
  '0',
  '10.1',
  '0xa9fea9fe',
];

test.each([
  ...ADDRESSES.map((host) => ({ how: 'address', host, literal: true })),
  ...SPELLINGS.map((host) => ({ how: 'name', host, literal: false })),
])('SOCKS CONNECT to the $how $host is refused, and counted', async ({ host, literal }) => {
  const before = (await refusals()).exit_address_denied ?? 0;
  const { code, wire } = await socksConnect(network.socks, { host, port: trap.port }, { literal });
  wire.close();
  expect(code).toBe(REPLY.notAllowed);
  expect((await refusals()).exit_address_denied).toBe(before + 1);
});

test.each(['127.0.0.1', 'localhost', '0x7f000001', '2130706433', '[::1]', '[::ffff:127.0.0.1]'])(
  'HTTP CONNECT and GET for %s are answered 403',
  async (host) => {
    for (const head of [
      `CONNECT ${host}:${trap.port} HTTP/1.1\r\nHost: ${host}:${trap.port}\r\n\r\n`,
      `GET http://${host}:${trap.port}/ HTTP/1.1\r\nHost: ${host}:${trap.port}\r\n\r\n`,
    ]) {
      const wire = cleanup.keep(await Wire.open(network.http.host, network.http.port));
      wire.write(head);
      expect((await wire.rest()).toString('latin1')).toMatch(/^HTTP\/1\.1 403 /);
    }
  },
);

test('UDP to loopback is dropped and counted', async () => {
  const before = (await refusals()).exit_address_denied ?? 0;
  const udp = await SocksUdp.open(network.socks);
  try {
    udp.send(udpTrap, Buffer.from('hello'));
    udp.send({ host: '::1', port: udpTrap.port }, Buffer.from('hello'));
    await until('both being counted', async () => ((await refusals()).exit_address_denied ?? 0) >= before + 2);
    expect(udpTrap.seen).toEqual([]);
  } finally {
    await udp.close();
  }
});

test('port 25 is refused whatever the address', async () => {
  const before = (await refusals()).exit_port_denied ?? 0;
  for (const host of ['192.0.2.1', 'mail.example.net', '1.1.1.1']) {
    const { code, wire } = await socksConnect(network.socks, { host, port: 25 });
    wire.close();
    expect(code, host).toBe(REPLY.notAllowed);
  }
  expect((await refusals()).exit_port_denied).toBe(before + 3);
});

test('through all of this nothing was dialled', async () => {
  // The listeners are alive: what is dialled directly does arrive.
  const direct = await Promise.all([Wire.open('127.0.0.1', trap.port), Wire.open('127.0.0.1', trap4.port)]);
  for (const wire of direct) cleanup.keep(wire);
  await until('the direct connections', () => trap.accepted > 0 && trap4.accepted > 0);
  expect([trap.accepted, trap4.accepted, udpTrap.seen.length]).toEqual([1, 1, 0]);
  for (const exit of network.exits)
    expect((await exit.status()).host.exit).toMatchObject({ flows_total: 0, udp_out: 0 });
});
