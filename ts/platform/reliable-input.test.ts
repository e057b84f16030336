/** What strangers do to a listener for links over TCP: it goes on for everyone else. */
import { connect as connectHttp2, constants } from 'node:http2';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ReachedReliably, ReliableListener } from '../transport/reliable-ports.js';
import { newCertificate } from './native.js';
import { reliableTransports } from './reliable.js';

const SIGNAL = new AbortController().signal;
const now_s = Math.floor(Date.now() / 1000);
const certificate = newCertificate(now_s - 3600, now_s + 3600);
let listener: ReliableListener;
const came: ReachedReliably[] = [];

beforeAll(async () => {
  listener = await reliableTransports.listen('127.0.0.1:0', certificate, (reached) => came.push(reached));
});
afterAll(() => listener.close());

function tls(protocol: string): Promise<TLSSocket> {
  const [host = '', port] = listener.address.split(':');
  const socket = connect({ host, port: Number(port), ALPNProtocols: [protocol], rejectUnauthorized: false });
  socket.on('error', () => {});
  return new Promise((resolve) => socket.once('secureConnect', () => resolve(socket)));
}

const UPGRADE = [
  'GET /wayfare HTTP/1.1',
  'host: relay',
  'connection: upgrade',
  'upgrade: websocket',
  'sec-websocket-version: 13',
  'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  'sec-websocket-protocol: webtransport_kDraft2',
  '',
  '',
].join('\r\n');

async function upgraded(): Promise<TLSSocket> {
  const socket = await tls('http/1.1');
  socket.write(UPGRADE);
  await new Promise((resolve) => socket.once('data', resolve));
  return socket;
}

const closed = (socket: TLSSocket) => new Promise((resolve) => socket.resume().once('close', resolve));

async function works(): Promise<void> {
  const there = await reliableTransports.dial('http2', listener.address, [certificate.hash], SIGNAL);
  const stream = await there.session.createBidirectionalStream();
  await stream.writable.getWriter().write(new Uint8Array([1]));
  there.session.close();
}

describe('a listener for links over TCP', () => {
  it('survives junk instead of TLS, HTTP and frames', async () => {
    for (const protocol of ['h2', 'http/1.1']) {
      const socket = await tls(protocol);
      socket.write(Buffer.alloc(4_000, 0xff));
      await closed(socket);
    }
    // Frames of every opcode, with lengths that do not hold what they announce.
    for (let first = 0x80; first <= 0x8f; first++) {
      const socket = await upgraded();
      socket.write(Buffer.from([first, 0x80 | 3, 0, 0, 0, 0, 0xff, 0xff, 0xff]));
      socket.write(Buffer.from([0x82, 0x80 | 1, 0, 0, 0, 0, 0xff]));
      socket.end();
      await closed(socket);
    }
    await works();
  });

  it('ends a connection that feeds it one endless frame', async () => {
    const socket = await upgraded();
    const head = Buffer.alloc(14);
    head[0] = 0x82;
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(1n << 30n, 2);
    socket.write(head);
    const feeding = setInterval(() => socket.write(Buffer.alloc(65_536)), 1);
    await closed(socket).finally(() => clearInterval(feeding));
    await works();
  });

  it('ends a connection that sends a message in pieces', async () => {
    const socket = await upgraded();
    socket.write(Buffer.from([0x02, 0x80 | 2, 0, 0, 0, 0, 0, 7]));
    await closed(socket);
    await works();
  });

  it('refuses other paths and methods', async () => {
    const session = connectHttp2(`https://${listener.address}`, { rejectUnauthorized: false });
    await new Promise((resolve) => session.once('remoteSettings', resolve));
    const ask = (headers: Record<string, string>) =>
      new Promise((resolve) => {
        let status: number | undefined;
        const stream = session.request(headers);
        stream.on('response', (answer) => {
          status = answer[':status'];
        });
        stream.on('error', () => {});
        stream.on('close', () => resolve([status, stream.rstCode]));
        stream.resume().end();
      });
    const refused = constants.NGHTTP2_REFUSED_STREAM;
    expect(await ask({ ':path': '/wayfare' })).toEqual([undefined, refused]);
    const connecting = { ':method': 'CONNECT', ':protocol': 'webtransport', ':scheme': 'https' };
    expect(await ask({ ...connecting, ':path': '/other' })).toEqual([404, constants.NGHTTP2_NO_ERROR]);
    session.destroy();
    await works();
  });

  it('shows no other certificate than it names, and a dialler takes no other', async () => {
    for (const kind of ['http2', 'websocket'] as const) {
      const other = new Uint8Array(32).fill(9);
      await expect(reliableTransports.dial(kind, listener.address, [other], SIGNAL)).rejects.toMatchObject({
        code: 'link_failed',
      });
      const { session, bindings } = await reliableTransports.dial(kind, listener.address, [], SIGNAL);
      expect(bindings).toEqual([Buffer.from(certificate.hash)]);
      session.close();
    }
    expect(came.every(({ bindings }) => Buffer.compare(bindings[0] as Uint8Array, certificate.hash) === 0)).toBe(true);
  });

  it('shows a new certificate from the moment it has one', async () => {
    const next = newCertificate(now_s - 1800, now_s + 1800);
    listener.update(next);
    const { session, bindings } = await reliableTransports.dial('http2', listener.address, [next.hash], SIGNAL);
    expect(bindings).toEqual([next.hash]);
    session.close();
  });

  it('says when its address is taken', async () => {
    await expect(reliableTransports.listen(listener.address, certificate, () => {})).rejects.toMatchObject({
      code: 'address_in_use',
    });
  });
});
