/**
 * What TypeScript asks of the machine below it: links, circuits, connections, flows and proxies.
 *
 * The Node root satisfies `NodeHost` with the native driver (bindings/node), which moves every byte of relays, exits and
 * proxies without JavaScript; a browser root satisfies it with the engine in WASM and its own sessions.
 *
 * Invariant: nothing here is called once per packet. Bytes cross only where JavaScript itself is the reader or writer.
 * Ids (`LinkId`, `CircuitId`, …) are numbers that one host never uses twice.
 */

import type { CreditOptions } from './credit.js';

export type LinkId = number;
export type StreamId = number;
export type CircuitId = number;
export type ConnectionId = number;
export type FlowId = number;
export type ProxyRequestId = number;
export type ProxyId = number;

/** The roles a node plays; any mix. */
export interface Roles {
  client: boolean;
  relay: boolean;
  exit: boolean;
  /** Takes streams to itself. Default: no. */
  listener?: boolean;
}

/** An onion key this node holds: seed and validity in unix seconds. */
export interface OnionKeySeed {
  seed: Uint8Array;
}

export interface HostOptions {
  /** The Ed25519 seed (32 bytes) that is this node's identity. */
  identitySeed: Uint8Array;
  /** UDP addresses, `ip:port`; port 0 picks one. IPv4, IPv6 or both. */
  listen: string[];
  roles: Roles;
  /** Where the set-ups seen are kept; without it, in memory only. */
  replayFile?: string;
  /**
   * The onion keys are made in this run, so that no set-up sealed to them can have been seen before. Where they are older and
   * the file is missing, set-ups stamped before the start are refused for some minutes.
   */
  freshKeys?: boolean;
  limits?: Partial<HostLimits>;
  /** How accounts with neighbours are kept (docs/decisions/0011); `capacity` is `limits.circuits`. */
  credits?: Omit<CreditOptions, 'capacity'>;
}

/** What a node does at most. */
export interface HostLimits {
  /** Circuits this relay carries at most. Default 100000. */
  circuits: number;
  /** Set-ups accepted per link and second, burst twice that. Default 200. */
  setupsPerSecond: number;
  /** Bytes that stalled readers may hold at this node before the worst is dropped. Default 64 MiB. */
  readerBytes: number;
  /** Largest window of one flow. Default 16 MiB. */
  windowBytesMax: number;
  /** A link without a sign of life for this long is lost. Default 3000. */
  linkIdleMs: number;
  /** Whether packets go beside QUIC's where both ends can (docs/decisions/0008). Default true. */
  fastLinks: boolean;
  /** Whether system calls move many datagrams at once where the system can. Default true. */
  offload: boolean;
  /** Bytes per second that may leave on each fast link; 0 is as much as goes. Default 0. */
  linkBytesPerSecond: number;
  /** Threads that move fast packets, 1 to 8, each for a share of the neighbours; more than 1 on Linux only. Default 1. */
  shards: number;
}

export interface HopSpec {
  /** Node id, 64 hex digits. */
  id: string;
  /** X-Wing public key, 1216 bytes. */
  onionKey: Uint8Array;
}

/** Payload per packet: 1202 (M), 1314 (L), and the jumbo classes of fast links, 8854 (J) and 16,238 bytes (X). */
export type SizeClass = 'M' | 'L' | 'J' | 'X';

export interface CircuitSpec {
  /** 1 to 5 hops; the first must be a neighbour with a link up, the last an exit. */
  hops: HopSpec[];
  /**
   * Default `L`. Links that are too small for `M` or `L` carry packets in halves; where a link of the path does not carry a jumbo
   * class, the set-up is refused as `setup_class`.
   */
  sizeClass?: SizeClass;
  /** Default: AES-128-GCM where this CPU has AES, else ChaCha20-Poly1305. */
  suite?: 'aes128gcm' | 'aes256gcm' | 'chacha20poly1305';
  /** The class of credits per second that it begins with, 0 (the default: none) to 8. */
  flow?: number;
}

export interface ExitRules {
  /** Lets the exit dial 127/8 and ::1. Off unless said. */
  allowLoopback?: boolean;
  /** Ports refused. Default [25]. */
  denyPorts?: number[];
  /** CIDR blocks refused besides every non-global one. */
  deny?: string[];
  /** CIDR blocks allowed although non-global. */
  allow?: string[];
  /** CIDR blocks of which nothing is heard: neither dialled nor refused. */
  drop?: string[];
}

/** A proxy on this machine. */
export interface ProxyOptions {
  /** `ip:port`; port 0 picks one. */
  listen: string;
  /** Asked of every client of the proxy. Beyond loopback there must be some. */
  credentials?: {
    /** 1 to 255 bytes. */
    user: string;
    /** 1 to 255 bytes. */
    password: string;
  };
}

/** What carries a link. */
export type LinkTransport = 'quic' | 'webtransport' | 'http2' | 'websocket' | 'memory';

/** What a browser is shown: a self-signed P-256 certificate. */
export interface WebCertificate {
  /** DER. */
  certificate: Uint8Array;
  /** PKCS#8. */
  key: Uint8Array;
}

/** Makes one that is valid between these unix seconds, at most 14 days. `hash` is the SHA-256 that browsers pin. */
export type NewCertificate = (notBefore_s: number, notAfter_s: number) => WebCertificate & { hash: Uint8Array };

/** A session that is to become a link. */
export interface LinkAttachment {
  /** Whom we dialled; left out where someone called. */
  peer?: string;
  /** SHA-256 of the certificate that the caller was shown; for a dialler, of those that it accepts. */
  bindings: Uint8Array[];
  /** Where the other end is, `ip:port`. */
  address: string;
  transport: LinkTransport;
  /** The largest packet that the session carries, bytes. */
  mtu: number;
}

export const GIVE_PACKET = 1;
export const GIVE_CONTROL = 2;

/** What the host tells TypeScript, in order. */
export type HostEvent =
  | {
      type: 'link_up';
      link: LinkId;
      peer: string;
      address: string;
      incoming: boolean;
      version: number;
      /** Said by hosts that have more than one. */
      transport?: LinkTransport;
    }
  | { type: 'link_down'; link: LinkId; peer: string; reason: string }
  /** A set-up names a next hop to which no link is up: dial it, or answer with `nextHopUnreachable`. */
  | { type: 'next_hop_wanted'; peer: string }
  /** The peer opened a bidirectional session stream. */
  | { type: 'stream_opened'; link: LinkId; stream: StreamId }
  /** An application datagram of the session. Base64. */
  | { type: 'datagram'; link: LinkId; data: string }
  | { type: 'circuit_down'; circuit: CircuitId; reason: string }
  | { type: 'connection_down'; connection: ConnectionId; reason: string }
  /** Streams live, and nothing came back for `silent_ms`: move the connection to another circuit. */
  | { type: 'connection_stalled'; connection: ConnectionId; circuit: CircuitId; silent_ms: number }
  | { type: 'connection_moved'; connection: ConnectionId; circuit: CircuitId }
  /** A key nears its end: build another circuit and move. */
  | { type: 'circuit_worn'; circuit: CircuitId }
  /** A client wants a stream to this node itself, at this port; answer with `inboundAccept` or `inboundRefuse`. */
  | { type: 'inbound_requested'; flow: FlowId; port: number }
  | { type: 'flow_closed'; flow: FlowId; reason: string; received: number; sent: number }
  /**
   * A proxy client wants `host:port`; answer with `proxyAssign` or `proxyRefuse`. `udp` asks for an association: answer with
   * `proxyAccept`; each destination that it then sends to is a request of kind `datagrams`.
   */
  | {
      type: 'proxy_request';
      request: ProxyRequestId;
      kind: 'tcp' | 'udp' | 'datagrams';
      protocol: 'socks5' | 'http';
      host: string;
      port: number;
      /** User and password of the client, by which streams are kept apart. */
      user?: string;
      /** The client's own address, `ip:port`. It goes to nobody. */
      source: string;
      /** The decision made ahead that it has taken: its connection is tried already. */
      ahead?: number;
    }
  /** An exit has connected, or a first datagram has come: the request is carried there, and its other attempts are over. */
  | { type: 'proxy_opened'; request: ProxyRequestId; connection: ConnectionId }
  /** The attempt over this connection failed; assign another one, or refuse. */
  | { type: 'proxy_failed'; request: ProxyRequestId; connection: ConnectionId; reason: string }
  /** The request's flow ended (or its client left). `moved`: what `proxyMoved` has not told yet. */
  | {
      type: 'proxy_closed';
      request: ProxyRequestId;
      received: number;
      sent: number;
      reason: string;
      moved?: ProxyMoved;
    };

/**
 * Which connection the next TCP request like this takes first, decided before it comes: equal in protocol, user, host as the
 * client spells it, and port. A request whose source had a connection to there before is asked about all the same.
 */
export interface ProxyAhead {
  /** The caller's, never used twice. */
  id: number;
  protocol: 'socks5' | 'http';
  user?: string;
  host: string;
  port: number;
  connection: ConnectionId;
}

/** What a proxied request has moved since it was last asked. Times are ages, microseconds. */
export interface ProxyMoved {
  first_us: number;
  last_us: number;
  sent: number;
  received: number;
  /** In so many pieces: reads of a stream, datagrams. */
  pieces_sent: number;
  pieces_received: number;
}

/** Numbers per row of `proxyMoved`: the request, then those of `ProxyMoved` in their order. */
export const PROXY_MOVED = 7;

/** Counts of one link since it is up. */
export interface LinkStats {
  /** Its number at this node. */
  link: LinkId;
  /** The neighbour's id, 64 hex digits. */
  peer: string;
  /** Where the neighbour is, `ip:port`. */
  address: string;
  /** Whether the neighbour dialled. */
  incoming: boolean;
  /** What carries it. */
  transport?: LinkTransport;
  /** The smoothed round trip, microseconds. */
  rtt_us: number;
  /** The largest UDP payload that passes, bytes. */
  mtu: number;
  /** The largest onion packet that goes beside the session, header included; 0 where all go as its datagrams. */
  fast_bytes?: number;
  /** Onion packets that came. */
  packets_received: number;
  /** Onion packets that left. */
  packets_sent: number;
  /** Bytes of UDP payload that came. */
  bytes_received: number;
  /** Bytes of UDP payload that left. */
  bytes_sent: number;
  /** How long it is up, milliseconds. */
  age_ms: number;
}

export interface CircuitStats {
  circuit: CircuitId;
  role: 'client' | 'relay' | 'exit';
  packets_forward: number;
  packets_backward: number;
  bytes_forward: number;
  bytes_backward: number;
  /** Credits that it was given here, and that came home of it, as of the latest settlement. */
  credits_paid: number;
  credits_home: number;
}

/** What a node counts, since it has started. */
export interface HostStats {
  /** The links that are up. */
  links: LinkStats[];
  /** Totals at this node, all circuits, past ones included. */
  relayed: {
    /** Packets on their way from clients. */
    packets_forward: number;
    /** Packets on their way to clients. */
    packets_backward: number;
    /** Payload bytes on their way from clients. */
    bytes_forward: number;
    /** Payload bytes on their way to clients. */
    bytes_backward: number;
  };
  /** What this node did as an exit. */
  exit: {
    /** Connections to destinations that are open. */
    flows_open: number;
    /** All there have been. */
    flows_total: number;
    /** Bytes that destinations sent. */
    bytes_in: number;
    /** Bytes that were sent to destinations. */
    bytes_out: number;
    /** UDP datagrams that destinations sent. */
    udp_in: number;
    /** UDP datagrams that were sent to destinations. */
    udp_out: number;
  };
  /** What this node did as a client. */
  client: {
    /** Connections through the network that are open. */
    flows_open: number;
    /** All there have been. */
    flows_total: number;
    /** Bytes that came for applications. */
    bytes_in: number;
    /** Bytes that applications sent. */
    bytes_out: number;
  };
  /** Circuits that stand. */
  circuits: {
    /** Its own. */
    client: number;
    /** Those it forwards. */
    relay: number;
    /** Those that end here. */
    exit: number;
  };
  /** Bytes held for readers that have not read them. */
  reader_bytes: number;
  /** CPU time of the driver's threads, microseconds. */
  cpu_us: number;
  /** How much was dropped or refused, by reason; every reason is there. */
  drops: Record<string, number>;
  /** Of a node with several shards: each one's, the main thread's first. The totals above include them. */
  shards?: ShardStats[];
}

/** Counts of one of the threads that move packets. */
export interface ShardStats {
  /** Packets passed on, both ways. */
  relayed: number;
  /** Circuit ids at home there; a circuit that passes through has two. */
  circuit_ids: number;
  /** CPU time, microseconds. */
  cpu_us: number;
}

/** Rejections are `WayfareError`s whose `code` is a drop reason or one of `ErrorCode`. */
export interface NodeHost {
  readonly id: string;
  /** Binds the socket; resolves with the bound addresses. */
  start(): Promise<string[]>;

  /**
   * Resolves when the link is up. `certificateHashes`: SHA-256 of the certificates that the peer may show, for hosts that dial by
   * WebTransport.
   */
  linkOpen(peer: string, addresses: string[], certificateHashes?: Uint8Array[]): Promise<LinkId>;
  linkClose(link: LinkId, reason: string): void;
  /**
   * Begins a link over a session whose bytes the caller moves, on hosts that can: it then calls `linkGive` for what is to go out, again
   * and again, and `linkTake` with what came. `link_up` follows, or `linkGive` rejects with why there is no link.
   */
  linkAttach?(attachment: LinkAttachment): Promise<LinkId>;
  /** Bytes of the control stream, and packets, each behind its length (u16). Resolves when the next batch may come. */
  linkTake?(link: LinkId, control: Uint8Array, packets: Uint8Array): Promise<void>;
  /** Resolves when something is to go out: records `kind u8 | length u32 | bytes`, kinds `GIVE_PACKET` and `GIVE_CONTROL`. */
  linkGive?(link: LinkId): Promise<Uint8Array | null>;
  nextHopUnreachable(peer: string): void;

  streamOpen(link: LinkId): Promise<StreamId>;
  /** `null` at the end. At most 64 KiB. */
  streamRead(stream: StreamId): Promise<Uint8Array | null>;
  streamWrite(stream: StreamId, data: Uint8Array): Promise<void>;
  streamFinish(stream: StreamId): void;
  streamReset(stream: StreamId, code: number): void;
  datagramSend(link: LinkId, data: Uint8Array): void;

  /** Keys that set-ups may be sealed to, the current one first. In force once a later call that returns a promise is answered. */
  setOnionKeys(keys: OnionKeySeed[]): void;
  /**
   * Certificates for browsers, the current one first: from now on whoever speaks WebTransport is let in and shown that one. On
   * hosts that can listen to browsers.
   */
  setCertificates?(certificates: WebCertificate[]): void;
  setExitRules(rules: ExitRules): void;
  /** For the self-check and for draining: a relay that stops forwarding drops by reason `forwarding_stopped`. */
  setForwarding(on: boolean): void;
  /** No new circuits and flows from now on. */
  drain(): void;

  circuitOpen(spec: CircuitSpec): Promise<CircuitId>;
  circuitClose(circuit: CircuitId): void;
  circuitStats(circuit: CircuitId): CircuitStats | null;
  /**
   * What this node adds to a circuit that begins here (its flow of credits to the exit) or that ends here (back to the client, beside
   * what comes): a class from 0, none, to 8, 1,000 · 4^(c − 1) credits per second.
   */
  circuitFlow(circuit: CircuitId, creditClass: number): void;
  /** JSON of `NodeCredits` (ts/core/node-credits.ts): the accounts with all neighbours, and the books. */
  credits(): string;
  /** JSON of `CircuitCredits[]`: the flows of all circuits. As long as there are circuits: for who asks for them. */
  creditsCircuits(): string;
  /** JSON of `KeptAccount[]`: what is to be kept of accounts through a restart, of neighbours that are away, too. */
  creditsExport(): string;
  /**
   * Takes accounts as they were `ago_us` microseconds ago, of neighbours to whom no link is up yet: five numbers for each, those of
   * `KeptAccount` in their order. What they hold has decayed since; a time below zero is none. How many were taken.
   */
  creditsRestore(ago_us: number, peers: string[], numbers: Float64Array): number;
  /**
   * What this node adds to what it sends back on circuits that end here, for what begins to run on them: rules, a line each, the first
   * that fits decides: `any CLASS`, `port NUMBER CLASS`, `host NAME CLASS`, `host *.NAME CLASS`. Of all that runs on one, the largest.
   */
  creditsAdd(rules: string): void;
  /** Tells neighbours what they have here: once that is where a crash cannot take it back. */
  creditsReport(): void;
  /** JSON of `CreditOptions`: other settings from now on, what is left out as by default. Half-life, periods and capacity stay. */
  creditsConfigure(json: string): void;
  /** Inner QUIC to the circuit's exit, whose identity is proven before it resolves. */
  connectionOpen(circuit: CircuitId): Promise<ConnectionId>;
  /** Moves a running connection to another circuit to the same exit. */
  connectionMove(connection: ConnectionId, circuit: CircuitId): void;
  connectionClose(connection: ConnectionId): void;

  /** A TCP flow; resolves when the exit has connected, with the exit's own socket address. */
  flowOpen(connection: ConnectionId, host: string, port: number): Promise<{ flow: FlowId; local: string }>;
  flowRead(flow: FlowId): Promise<Uint8Array | null>;
  flowWrite(flow: FlowId, data: Uint8Array): Promise<void>;
  flowFinish(flow: FlowId): void;
  flowReset(flow: FlowId): void;

  /** Takes a stream to this node: from now on a flow as any that was opened here. On hosts that can listen. */
  inboundAccept?(flow: FlowId, port: number): void;
  /** `overloaded`: it would be taken at another time. */
  inboundRefuse?(flow: FlowId, overloaded: boolean): void;

  /** Resolves with the bound address. */
  socksListen(options: ProxyOptions): Promise<{ proxy: ProxyId; address: string }>;
  httpListen(options: ProxyOptions): Promise<{ proxy: ProxyId; address: string }>;
  proxyClose(proxy: ProxyId): void;
  /** Tries the request over this connection, beside those under way; of datagrams, in the place of the one before. */
  proxyAssign(request: ProxyRequestId, connection: ConnectionId): void;
  /** Takes a request for an association. */
  proxyAccept(request: ProxyRequestId): void;
  /** `code`: a drop reason or error code; the proxy answers its protocol's nearest. */
  proxyRefuse(request: ProxyRequestId, code: string): void;
  /** Decides on the next request like this, on hosts that can: used once, and told by `ahead` in the request's event. */
  proxyAhead?(ahead: ProxyAhead): void;
  /** Takes that back. Whether it stood; if not, a request has it, whose event may still be on its way. */
  proxyAheadRevoke?(id: number): Promise<boolean>;
  /** Rows of `PROXY_MOVED` numbers of those requests that have moved something since this was last asked. */
  proxyMoved(): Promise<Float64Array>;

  stats(): Promise<HostStats>;
  /** Closes everything; resolves when the thread has ended. */
  close(): Promise<void>;
}

/** Makes a host; events come in batches, in order. */
export type CreateHost = (options: HostOptions, onEvents: (events: HostEvent[]) => void) => NodeHost;
