/**
 * Sessions over TCP, by HTTP/2 or WebSocket, to and from other nodes.
 *
 * The certificate is the one that browsers are shown as well. A dialler takes no other than those it was given hashes of; without
 * any it takes whatever it is shown, and says which that was: the proofs at the link's beginning are bound to it, so
 * whoever sits between fails there (docs/decisions/0005).
 */
import { createHash, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Agent, WebSocket as UndiciWebSocket } from 'undici';
import { errorOf, NetworkError } from '../base/errors.js';
import type { WebCertificate } from '../core/host.js';
import { ReliableSession } from '../transport/reliable.js';
import type {
  AuthorityCertificate,
  ReachedReliably,
  ReliableKind,
  ReliableListener,
  ReliableTransports,
} from '../transport/reliable-ports.js';
import { carrierOf, type LibraryClient, type LibraryStream, library } from './reliable-library.js';

/** Where a relay offers its links. */
const PATH = '/wayfare';
const CONNECTIONS_MAX = 1024;
/** Its streams are not used, so that little may be sent on them. */
const LIBRARY_LIMITS = {
  initialStreamFlowControlWindow: 16_384,
  streamFlowControlWindowSizeLimit: 16_384,
  initialSessionFlowControlWindow: 65_536,
  sessionFlowControlWindowSizeLimit: 65_536,
  initialBidirectionalStreams: 1,
  initialUnidirectionalStreams: 1,
  initialBidirectionalSendStreams: 1,
  initialUnidirectionalSendStreams: 1,
};

export const reliableTransports: ReliableTransports = { dial, listen };

async function dial(
  kind: ReliableKind,
  address: string,
  hashes: Uint8Array[],
  signal: AbortSignal,
): Promise<ReachedReliably> {
  const { WebTransport, WebTransportPonyfill } = await library();
  signal.throwIfAborted();
  const accepted = hashes.length > 0 ? hashes : [await certificateAt(address, signal)];
  const url = `https://${address}${PATH}`;
  let client: LibraryClient;
  if (kind === 'http2') {
    const serverCertificateHashes = accepted.map((value) => ({ algorithm: 'sha-256', value }));
    client = new WebTransport(url, { forceReliable: true, serverCertificateHashes, ...LIBRARY_LIMITS });
  } else {
    // The library makes its WebSocket within this call, out of the global one, which cannot be told of certificates.
    const global = globalThis.WebSocket;
    globalThis.WebSocket = pinnedWebSocket(accepted, signal) as unknown as typeof WebSocket;
    try {
      client = new WebTransportPonyfill(url, LIBRARY_LIMITS);
    } finally {
      globalThis.WebSocket = global;
    }
  }
  const destroy = () => {
    const connection = client.sessionint.parentobj.transportInt?.clientInt;
    if (connection?.destroy !== undefined) connection.destroy();
    else connection?.close();
  };
  client.closed.catch(() => {});
  signal.addEventListener('abort', destroy, { once: true });
  try {
    await Promise.race([client.ready, aborted(signal)]);
  } catch (cause) {
    destroy();
    throw new NetworkError('link_failed', `no session over ${kind} at ${address}`, { cause });
  } finally {
    signal.removeEventListener('abort', destroy);
  }
  const session = new ReliableSession(carrierOf(client, client.sessionint, destroy), true);
  return { kind, session, address, bindings: accepted };
}

async function listen(
  address: string,
  certificate: WebCertificate,
  take: (reached: ReachedReliably) => void,
  authority?: AuthorityCertificate,
): Promise<ReliableListener> {
  const { Http2Server } = await library();
  const { host, port } = split(address);
  const server = new Http2Server({
    host,
    port,
    // It asks for one, for its HTTP/3 alone.
    secret: 'unused',
    cert: pem('CERTIFICATE', certificate.certificate),
    privKey: pem('PRIVATE KEY', certificate.key),
    ...LIBRARY_LIMITS,
  });
  let shown = hashOf(certificate.certificate);
  const open = new Set<ReliableSession>();
  const sessions = server.sessionStream(PATH);
  server.startServer();
  try {
    await server.ready;
  } catch (cause) {
    throw (cause as { code?: string }).code === 'EADDRINUSE'
      ? errorOf('address_in_use', `TCP ${address} is taken by another program`, { cause })
      : errorOf('address_unavailable', `cannot listen on TCP ${address}`, { cause });
  }
  const below = server.transportInt?.serverInt;
  // Nodes ask for no name, since they dial addresses: they are shown the certificate that descriptors name.
  let named = authority?.host;
  const name = ({ host, chain, key }: AuthorityCertificate) => {
    named = host;
    below?.addContext(host, { cert: chain, key });
  };
  if (below !== undefined) {
    if (authority !== undefined) name(authority);
    below.maxConnections = CONNECTIONS_MAX;
    // A frame's header and its body are two writes: without this the second waits for an acknowledgement of the first, 40 ms.
    below.on('secureConnection', (socket) => socket.setNoDelay(true));
  }
  const serve = async () => {
    const reader = sessions.getReader();
    for (;;) {
      const { value: session, done } = await reader.read();
      if (done) return;
      const stream = session.objint?.stream;
      if (stream === undefined) continue;
      const kind: ReliableKind = stream.session === undefined ? 'websocket' : 'http2';
      const reliable = new ReliableSession(
        carrierOf(session, session, () => destroyOf(stream)),
        false,
      );
      open.add(reliable);
      const over = () => open.delete(reliable);
      reliable.closed.then(over, over);
      const { servername } = stream.session?.socket ?? stream;
      // A browser tells a page nothing of the certificate, so that no proof can be bound to it (docs/decisions/0005).
      const bindings = named !== undefined && servername === named ? [] : [shown];
      take({ kind, session: reliable, address: session.peerAddress ?? '', bindings });
    }
  };
  void serve().catch(() => {});
  const bound = server.address();
  return {
    address: isIP(host) === 6 ? `[${host}]:${bound?.port ?? port}` : `${host}:${bound?.port ?? port}`,
    update(next) {
      shown = hashOf(next.certificate);
      server.updateCert(pem('CERTIFICATE', next.certificate), pem('PRIVATE KEY', next.key));
    },
    updateAuthority: name,
    close() {
      server.stopServer();
      for (const session of open) session.close({ reason: 'closed' });
    },
  };
}

function destroyOf(stream: LibraryStream): void {
  if (stream.session === undefined) stream.destroy();
  else stream.session.destroy();
}

/** The hash of the certificate that whoever is at `address` shows. */
async function certificateAt(address: string, signal: AbortSignal): Promise<Uint8Array> {
  const socket = openTls(address, ['h2', 'http/1.1'], signal);
  try {
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return hashOf(socket.getPeerCertificate().raw);
  } catch (cause) {
    throw new NetworkError('link_failed', `nobody answers TLS at ${address}`, { cause });
  } finally {
    socket.destroy();
  }
}

function openTls(address: string, protocols: string[], signal: AbortSignal): TLSSocket {
  const { host, port } = split(address);
  const socket = connectTls({ host, port, ALPNProtocols: protocols, rejectUnauthorized: false });
  socket.setNoDelay(true);
  const destroy = () => void socket.destroy(new Error('aborted'));
  signal.addEventListener('abort', destroy, { once: true });
  socket.once('close', () => signal.removeEventListener('abort', destroy));
  return socket;
}

/** A WebSocket that takes these certificates only. */
function pinnedWebSocket(accepted: Uint8Array[], signal: AbortSignal) {
  const wanted = new Set(accepted.map((hash) => Buffer.from(hash).toString('hex')));
  const dispatcher = new Agent({
    connect: (options, callback) => {
      const port = options.port === '' ? '443' : options.port;
      const socket = openTls(`${options.hostname}:${port}`, ['http/1.1'], signal);
      socket.once('error', (error) => callback(error, null));
      socket.once('secureConnect', () => {
        const { raw } = socket.getPeerCertificate();
        if (wanted.has(Buffer.from(hashOf(raw)).toString('hex')) && isCurrent(raw)) callback(null, socket);
        else socket.destroy(new Error('another certificate than the relay has named'));
      });
    },
  });
  return class extends UndiciWebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, { protocols, dispatcher });
    }
  };
}

function isCurrent(raw: Uint8Array): boolean {
  const { validFromDate, validToDate } = new X509Certificate(raw);
  return validFromDate.getTime() <= Date.now() && Date.now() <= validToDate.getTime();
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function hashOf(certificate: Uint8Array): Uint8Array {
  return createHash('sha256').update(certificate).digest();
}

function pem(name: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${name}-----\n${lines.join('\n')}\n-----END ${name}-----\n`;
}

function split(address: string): { host: string; port: number } {
  const { hostname, port } = new URL(`tcp://${address}`);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}
