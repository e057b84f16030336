/** Where UDP is blocked: a download over HTTP/2, and what a datagram over WebSocket takes. */

import { Cleanup } from '../tests/harness/cleanup.js';
import { startNetwork } from '../tests/harness/network.js';
import { startOrigin } from '../tests/harness/origin.js';
import { run } from '../tests/harness/process.js';
import { newCertificate } from '../ts/platform/native.js';
import { reliableTransports } from '../ts/platform/reliable.js';
import type { ReachedReliably } from '../ts/transport/reliable-ports.js';
import { type Measurement, median, type Row } from './rows.js';

const ROUNDS = 5;
const BYTES = 50_000_000;
const DATAGRAMS = 500;
const DATAGRAM_BYTES = 1_200;
/** What a user of such a network should have at least. */
const WANTED_MBIT_PER_S = 100;

/** A client that has no UDP in common with its relays, so that its links are TCP's. */
async function downloads(): Promise<number[]> {
  const cleanup = new Cleanup();
  try {
    const origin = cleanup.keep(await startOrigin());
    const log = { level: 'warn' };
    const relay = { listen_reliable: ['127.0.0.1:0'], log };
    const client = { listen: ['[::1]:0'], log };
    const network = await startNetwork(cleanup, { relays: 2, exits: 1, relay, exit: { log }, client });
    const mbit_per_s: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const options = ['-q', '-sS', '--noproxy', '', '-o', '/dev/null', '-w', '%{speed_download}'];
      const url = `${origin.url}/bytes/${round}/${BYTES}`;
      const { code, stdout, stderr } = await run('curl', [...options, '--socks5-hostname', network.socksText, url]);
      if (code !== 0) throw new Error(`the download failed: ${stderr}`);
      mbit_per_s.push((Number(stdout) * 8) / 1e6);
    }
    const links = (await network.client.status()).host.links.map((link) => link.transport);
    if (links.some((transport) => transport !== 'http2')) throw new Error(`links over ${links.join()}`);
    return mbit_per_s;
  } finally {
    await cleanup.run();
  }
}

/** Round trips of single datagrams, one after the other: nothing that waits for company may hold them up. */
async function roundTrips_us(): Promise<number[]> {
  const now_s = Math.floor(Date.now() / 1000);
  const certificate = newCertificate(now_s - 3600, now_s + 3600);
  const came = Promise.withResolvers<ReachedReliably>();
  const listener = await reliableTransports.listen('127.0.0.1:0', certificate, came.resolve);
  const { signal } = new AbortController();
  const { session } = await reliableTransports.dial('websocket', listener.address, [certificate.hash], signal);
  const there = (await came.promise).session;
  void there.datagrams.readable.pipeTo(there.datagrams.writable).catch(() => {});
  const reader = session.datagrams.readable.getReader();
  const writer = session.datagrams.writable.getWriter();
  const spent_us: number[] = [];
  for (let i = 0; i < DATAGRAMS; i++) {
    const start = process.hrtime.bigint();
    await writer.write(new Uint8Array(DATAGRAM_BYTES));
    await reader.read();
    spent_us.push(Number(process.hrtime.bigint() - start) / 1e3);
  }
  session.close();
  listener.close();
  return spent_us;
}

export const fallback: Measurement = {
  name: 'fallback',
  title: 'links over TCP, where UDP is blocked',
  async run() {
    const datagrams_us = await roundTrips_us();
    const mbit_per_s = await downloads();
    const ours = median(mbit_per_s);
    const rows: Row[] = [
      { name: 'http2_download', unit: 'Mbit/s', ours, floor: WANTED_MBIT_PER_S, ratio: ours / WANTED_MBIT_PER_S },
      { name: 'websocket_datagram', unit: 'µs', ours: median(datagrams_us) },
    ];
    return { rows, rounds: { mbit_per_s, datagrams_us } };
  },
};
