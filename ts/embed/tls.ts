/**
 * TLS inside the circuit: the exit carries it and cannot read it.
 *
 * Invariant: no session is resumed, since a ticket would tell a server that two connections of different circuits are one
 * client's.
 */
import { isIP } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { FlowDuplex } from './duplex.js';

/** What may be said of the TLS inside: authorities, client certificates, versions, whether to check. */
export type TlsOptions = Omit<
  ConnectionOptions,
  'socket' | 'host' | 'port' | 'path' | 'session' | 'lookup' | 'timeout' | 'allowHalfOpen' | 'pskCallback'
>;

/** TLS to `host` over a flow. Names are checked against the certificate as everywhere in Node. */
export function secure(flow: FlowDuplex, host: string, options: TlsOptions = {}): TLSSocket {
  // A server name is a name: an address is none (RFC 6066, section 3).
  const servername = options.servername ?? (isIP(host) === 0 ? host : '');
  const socket = connect({ ALPNProtocols: ['http/1.1'], ...options, host, servername, socket: flow });
  // What ends the flow ends what is in it, with the cause that the flow knows.
  flow.once('error', (error) => socket.destroy(error));
  return socket;
}
