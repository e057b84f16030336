/**
 * A link as a page begins it (docs/decisions/0005), written out once more and apart from the product's own code: what runs in the
 * browser is this function's source.
 */
import type { webcrypto } from 'node:crypto';

/** Of the page's WebTransport (https://www.w3.org/TR/webtransport/), what is used here. */
interface PageTransport {
  ready: Promise<void>;
  closed: Promise<unknown>;
  datagrams: {
    maxDatagramSize: number;
    readable: ReadableStream<Uint8Array>;
    writable: WritableStream<Uint8Array>;
  };
  incomingBidirectionalStreams: ReadableStream<{ readable: ReadableStream<Uint8Array> }>;
  createBidirectionalStream(): Promise<{ readable: ReadableStream<Uint8Array>; writable: WritableStream<Uint8Array> }>;
  close(info?: { closeCode: number; reason: string }): void;
}
declare const WebTransport: new (
  url: string,
  options: { serverCertificateHashes: { algorithm: 'sha-256'; value: Uint8Array }[] },
) => PageTransport;

export interface PageLink {
  url: string;
  /** SHA-256 of the certificates that the page accepts, hex. */
  hashes: string[];
  /** The relay's id, hex. */
  relay: string;
  /** How many pings to send. */
  pings: number;
  /** Whether the other end sends application datagrams back, and has opened a stream that says something. */
  echoes: boolean;
}

export interface PageResult {
  /** The page's id, hex. */
  id: string;
  /** The version that the relay's HELLO names. */
  version: number[];
  pings: boolean[];
  /** Of a datagram, and what the stream that the relay opened said. */
  echoed: string;
  heard: string;
  maxDatagramSize: number;
  /** How the session ended, when the page closed it. */
  closed: string;
}

/** Runs in the page. */
export async function linkFromPage({ url, hashes, relay, pings, echoes }: PageLink): Promise<PageResult> {
  const unhex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const join = (...parts: Uint8Array[]) => {
    const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  };
  const frame = (kind: number, content: Uint8Array) =>
    join(new Uint8Array([kind, content.length >> 8, content.length & 255]), content);
  const reader = (readable: ReadableStream<Uint8Array>) => {
    const from = readable.getReader();
    let held: Uint8Array = new Uint8Array(0);
    return async (count: number) => {
      while (held.length < count) {
        const { value, done } = await from.read();
        if (done) throw new Error('the stream ended');
        held = join(held, value);
      }
      const taken = held.subarray(0, count);
      held = held.subarray(count);
      return taken;
    };
  };
  const text = new TextEncoder();
  const equal = (a: Uint8Array, b: Uint8Array) => hex(a) === hex(b);

  const keys = (await crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
  const id = new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey));
  const nonce = crypto.getRandomValues(new Uint8Array(32));

  const session = new WebTransport(url, {
    serverCertificateHashes: hashes.map((hash) => ({ algorithm: 'sha-256', value: unhex(hash) })),
  });
  await session.ready;
  const control = await session.createBidirectionalStream();
  const write = control.writable.getWriter();
  const read = reader(control.readable);
  await write.write(frame(0x41, join(id, nonce)));
  const head = await read(3);
  if (!equal(head, new Uint8Array([0x42, 0, 160]))) throw new Error(`no proof: ${hex(head)}`);
  const [acceptor, acceptorNonce, binding, signature] = [
    await read(32),
    await read(32),
    await read(32),
    await read(64),
  ];
  if (hex(acceptor) !== relay) throw new Error('another node');
  if (!hashes.includes(hex(binding))) throw new Error('another certificate');
  const transcript = join(id, acceptor, nonce, acceptorNonce, binding);
  const key = await crypto.subtle.importKey('raw', acceptor as webcrypto.BufferSource, 'Ed25519', false, ['verify']);
  const said = join(text.encode('wayfare link 1 acceptor'), transcript);
  if (
    !(await crypto.subtle.verify('Ed25519', key, signature as webcrypto.BufferSource, said as webcrypto.BufferSource))
  )
    throw new Error('the proof does not hold');
  const answer = join(text.encode('wayfare link 1 dialler'), transcript);
  const own = new Uint8Array(await crypto.subtle.sign('Ed25519', keys.privateKey, answer as webcrypto.BufferSource));
  // HELLO: versions 1 to 1, no features.
  await write.write(join(frame(0x43, own), frame(1, new Uint8Array([1, 1, 0, 0, 0, 0]))));
  const hello = await read(3 + 6);
  if (hello[0] !== 1) throw new Error(`no HELLO: ${hex(hello)}`);

  const answered: boolean[] = [];
  if (pings > 0) {
    const stream = await session.createBidirectionalStream();
    const ask = stream.writable.getWriter();
    const heard = reader(stream.readable);
    const protocol = text.encode('ping/1');
    await ask.write(join(new Uint8Array([protocol.length]), protocol));
    for (let i = 0; i < pings; i++) {
      const sent = crypto.getRandomValues(new Uint8Array(8));
      await ask.write(sent);
      answered.push(equal(await heard(8), sent));
    }
  }
  let [echoed, heard] = ['', ''];
  if (echoes) {
    // 0 marks an application's datagram.
    await session.datagrams.writable.getWriter().write(join(new Uint8Array([0]), text.encode('datagram')));
    const { value: back = new Uint8Array(1) } = await session.datagrams.readable.getReader().read();
    echoed = back[0] === 0 ? new TextDecoder().decode(back.subarray(1)) : hex(back);
    const { value: theirs } = await session.incomingBidirectionalStreams.getReader().read();
    if (theirs !== undefined) heard = new TextDecoder().decode(await reader(theirs.readable)(7));
  }
  const { maxDatagramSize } = session.datagrams;
  // Held open until the test has looked at the relay.
  await new Promise<void>((resolve) => {
    (globalThis as unknown as { done: () => void }).done = resolve;
    (globalThis as unknown as { linked: boolean }).linked = true;
  });
  session.close({ closeCode: 0, reason: 'bye' });
  const closed = await session.closed.then(
    () => 'closed',
    (error: unknown) => `lost: ${error}`,
  );
  return { id: hex(id), version: [...hello.subarray(3, 5)], pings: answered, echoed, heard, maxDatagramSize, closed };
}

/** Runs in the page: whether a session stands, else what the browser says. */
export async function reachFromPage({ url, hashes }: { url: string; hashes: string[] }): Promise<string> {
  const unhex = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  const session = new WebTransport(url, {
    serverCertificateHashes: hashes.map((hash) => ({ algorithm: 'sha-256', value: unhex(hash) })),
  });
  session.closed.catch(() => {});
  try {
    await session.ready;
    session.close();
    return 'ready';
  } catch (error) {
    return String(error);
  }
}
