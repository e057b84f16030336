/** Bytes that no honest client sends, to both proxies and to the UDP sockets of a running network: a defined answer each, a count, and nobody else notices. */

import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Cleanup } from '../harness/cleanup.js';
import { bytes, sha256Of } from '../harness/content.js';
import { type Network, startNetwork } from '../harness/network.js';
import { type Origin, startOrigin } from '../harness/origin.js';
import { succeed } from '../harness/process.js';
import { closeUdp, Wire } from '../harness/sockets.js';
import { type Endpoint, endpoint } from '../harness/socks.js';
import { until } from '../harness/wait.js';

const cleanup = new Cleanup();
let network: Network;
let origin: Origin;

beforeAll(async () => {
  network = await startNetwork(cleanup);
  origin = cleanup.keep(await startOrigin());
});
afterAll(() => cleanup.run());

async function answerTo(proxy: Endpoint, input: Uint8Array | string): Promise<Buffer> {
  const wire = await Wire.open(proxy.host, proxy.port);
  try {
    wire.write(typeof input === 'string' ? Buffer.from(input, 'latin1') : input);
    return await wire.rest(5_000);
  } finally {
    wire.close();
  }
}

async function stillServes(): Promise<void> {
  const { stdout } = await succeed('curl', [
    '-q',
    '-sS',
    '--noproxy',
    '',
    '--socks5-hostname',
    network.socksText,
    `${origin.url}/bytes/5/1000000`,
  ]);
  expect(createHash('sha256').update(stdout).digest('hex')).toBe(sha256Of(5, 1_000_000));
}

const HELLO = '050100';
const CHOSEN = '0500';
const UNSPECIFIED = '00' + '01' + '00000000' + '0000';
const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

// Answers are those of RFC 1928 (sections 3 and 6) and, for SOCKS4, of its own specification.
test.each([
  { what: 'no version of SOCKS', input: '00 01 00', answer: '', reason: 'proxy_malformed' },
  { what: 'SOCKS4', input: '04 01 0050 7f000001 00', answer: '005b000000000000', reason: 'proxy_unsupported' },
  { what: 'no method offered', input: '05 00', answer: '05ff', reason: 'proxy_unsupported' },
  { what: 'GSSAPI alone', input: '05 01 01', answer: '05ff', reason: 'proxy_unsupported' },
  {
    what: 'another version in the request',
    input: `${HELLO} 04 01 00 01 7f000001 0050`,
    answer: `${CHOSEN}0501${UNSPECIFIED}`,
    reason: 'proxy_malformed',
  },
  {
    what: 'BIND',
    input: `${HELLO} 05 02 00 01 7f000001 0050`,
    answer: `${CHOSEN}0507${UNSPECIFIED}`,
    reason: 'proxy_unsupported',
  },
  {
    what: 'an unknown command',
    input: `${HELLO} 05 99 00 01 7f000001 0050`,
    answer: `${CHOSEN}0507${UNSPECIFIED}`,
    reason: 'proxy_unsupported',
  },
  {
    what: 'an unknown address type',
    input: `${HELLO} 05 01 00 09 7f000001 0050`,
    answer: `${CHOSEN}0508${UNSPECIFIED}`,
    reason: 'proxy_unsupported',
  },
  {
    what: 'an empty name',
    input: `${HELLO} 05 01 00 03 00 0050`,
    answer: `${CHOSEN}0501${UNSPECIFIED}`,
    reason: 'proxy_malformed',
  },
  {
    what: 'a name with a line break',
    input: `${HELLO} 05 01 00 03 03 610d0a 0050`,
    answer: `${CHOSEN}0501${UNSPECIFIED}`,
    reason: 'proxy_malformed',
  },
  {
    what: 'port 0',
    input: `${HELLO} 05 01 00 01 7f000001 0000`,
    answer: `${CHOSEN}0501${UNSPECIFIED}`,
    reason: 'proxy_malformed',
  },
  {
    what: 'a TLS ClientHello',
    input: `1603010200010001fc0303${'00'.repeat(100)}`,
    answer: '',
    reason: 'proxy_malformed',
  },
])('SOCKS, $what: answered, counted, closed', async ({ input, answer, reason }) => {
  const before = (await network.client.drops())[reason] ?? 0;
  expect((await answerTo(network.socks, hex(input))).toString('hex')).toBe(answer);
  await until('the count', async () => (await network.client.drops())[reason] === before + 1);
});

test('SOCKS, HTTP sent by mistake: told in a sentence', async () => {
  expect((await answerTo(network.socks, 'GET / HTTP/1.1\r\n\r\n')).toString()).toMatch(
    /^HTTP\/1\.1 400 [\s\S]*This is a SOCKS5 proxy/,
  );
});

// Status codes are those of RFC 9110 and 9112; 431 is RFC 6585.
test.each([
  { what: 'no request line', input: '\x00\x01\x02\x03\r\n\r\n', status: 400 },
  { what: 'origin form', input: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { what: 'another scheme', input: 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { what: 'CONNECT without a port', input: 'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  { what: 'CONNECT to port 0', input: 'CONNECT a:0 HTTP/1.1\r\nHost: a:0\r\n\r\n', status: 400 },
  { what: 'a port that is none', input: 'CONNECT a:99999 HTTP/1.1\r\nHost: a\r\n\r\n', status: 400 },
  {
    what: 'two lengths',
    input: 'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx',
    status: 400,
  },
  {
    what: 'a length and chunks',
    input: 'POST http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    status: 400,
  },
  { what: 'a space before the colon', input: 'GET http://a/ HTTP/1.1\r\nHost : a\r\n\r\n', status: 400 },
  { what: 'a folded field', input: 'GET http://a/ HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n', status: 400 },
  { what: 'a head without end', input: `GET http://a/ HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(70_000)}`, status: 431 },
  {
    what: 'a thousand fields',
    input: `GET http://a/ HTTP/1.1\r\nHost: a\r\n${'X: y\r\n'.repeat(1_000)}\r\n`,
    status: 431,
  },
])('HTTP, $what: $status, counted, closed', async ({ input, status }) => {
  const refused = async () => {
    const drops = await network.client.drops();
    return (drops.proxy_malformed ?? 0) + (drops.proxy_unsupported ?? 0);
  };
  const before = await refused();
  expect((await answerTo(network.http, input)).toString('latin1')).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  await until('the count', async () => (await refused()) === before + 1);
});

test('none of it reached an exit, and the proxies serve', async () => {
  for (const exit of network.exits) expect((await exit.status()).host.exit.flows_total).toBe(0);
  await stillServes();
});

test('clients that leave in the middle of their words leave nothing behind', async () => {
  const words = [
    hex('05'),
    hex(HELLO),
    hex(`${HELLO} 05 01 00 03 20`),
    Buffer.from('CONNECT local'),
    Buffer.from('GET http://'),
  ];
  for (let round = 0; round < 20; round++) {
    for (const word of words) {
      for (const proxy of [network.socks, network.http]) {
        const wire = await Wire.open(proxy.host, proxy.port);
        wire.write(word);
        if (round % 2 === 0) wire.socket.resetAndDestroy();
        else wire.close();
      }
    }
  }
  await stillServes();
  await until('no flow being open', async () => (await network.client.status()).host.client.flows_open === 0);
});

test('ten thousand datagrams of noise to every node: nobody answers more than it got, and all serve', async () => {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  let answered = 0;
  socket.on('message', (message) => {
    answered += message.length;
  });
  let sent = 0;
  try {
    for (const node of network.all) {
      const { host, port } = endpoint(node.up.addresses[0] ?? '');
      for (let i = 0; i < 10_000; i++) {
        const noise = bytes(i, 1 + ((i * 37) % 1_472));
        // The first byte of long and short QUIC headers, of our packets' versions, and whatever comes.
        if (i % 4 === 0) noise[0] = 0xc0 | (i & 0x3f);
        if (i % 4 === 1) noise[0] = 0x40 | (i & 0x3f);
        if (i % 4 === 2) noise[0] = i % 5;
        sent += noise.length;
        await new Promise<void>((resolve) => socket.send(noise, port, host, () => resolve()));
      }
    }
    await stillServes();
    expect(answered).toBeLessThanOrEqual(sent);
  } finally {
    await closeUdp(socket);
  }
  for (const node of network.all) {
    expect(node.process.running, node.name).toBe(true);
    expect((await node.drops()).packet_forged, node.name).toBe(0);
  }
});
