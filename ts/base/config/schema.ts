/**
 * What a node can be told: the shape of its configuration, with every key's meaning and valid values in one table.
 *
 * Invariant: `KEYS` names exactly the leaves of `Schema` (tested), so that the commented file, the error messages and the
 * environment variables never fall behind.
 */
import { z } from 'zod';
import { isNodeId } from '../hex.js';
import { isCidr, isHostPort, isIpPort, isLoopback, isNamePort } from './address.js';
import { isAddition, isPriority } from './priority.js';

const ipPort = z.string().refine(isIpPort);
const port = z.int().min(1).max(65535);
const cidr = z.string().refine(isCidr);
const orOff = z.union([z.literal('off'), ipPort]);

export function isBootstrap(text: string): boolean {
  const at = text.indexOf('@');
  return at === 64 && isNodeId(text.slice(0, at)) && isHostPort(text.slice(at + 1));
}

export const ROLES = ['client', 'relay', 'exit'] as const;
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;

export const Schema = z.strictObject({
  data_dir: z.string().min(1).default('wayfare-data'),
  listen: z.array(ipPort).min(1).default(['0.0.0.0:4600']),
  listen_reliable: z.array(ipPort).default([]),
  advertise: z.array(ipPort).default([]),
  roles: z.array(z.enum(ROLES)).min(1).default(['client']),
  bootstrap: z.array(z.string().refine(isBootstrap)).default([]),
  web: z
    .strictObject({
      host: z.string().refine(isNamePort).optional(),
      certificate_file: z.string().min(1).optional(),
      key_file: z.string().min(1).optional(),
    })
    .prefault({}),
  proxy: z
    .strictObject({
      socks: orOff.default('off'),
      http: orOff.default('off'),
      credentials_file: z.string().min(1).optional(),
    })
    .prefault({}),
  exit: z
    .strictObject({
      allow_loopback: z.boolean().default(false),
      deny_ports: z.array(port).default([25]),
      deny: z.array(cidr).default([]),
      allow: z.array(cidr).default([]),
      drop: z.array(cidr).default([]),
    })
    .prefault({}),
  path: z.strictObject({ hops: z.int().min(1).max(5).default(3) }).prefault({}),
  egress: z
    .strictObject({
      hops: z.int().min(1).max(1024).default(8),
      step: z.int().min(0).max(256).default(2),
      per: z.int().min(1).max(1_000_000).default(4),
      window_s: z.int().min(1).max(62).default(10),
      sequence_s: z.int().min(1).max(62).default(60),
      race: z.int().min(1).max(8).default(1),
      race_explore: z.int().min(1).max(8).default(1),
      race_most: z.int().min(1).max(16).default(4),
      stagger_ms: z.int().min(0).max(60_000).default(500),
      ahead: z.int().min(0).max(64).default(8),
      entries: z.int().min(1).max(64).default(3),
    })
    .prefault({}),
  credit: z
    .strictObject({
      free: z.boolean().default(false),
      flow: z.int().min(0).max(1e9).default(1000),
      priorities: z.array(z.string().refine(isPriority)).default([]),
      add: z.array(z.string().refine(isAddition)).default([]),
      circles: z.boolean().default(true),
      increase: z.int().min(0).max(1e12).default(1_000_000),
      half_life_s: z.int().min(1).max(1_000_000).default(600),
      always_share: z.number().min(0).max(1).default(0.01),
      rent: z.int().min(0).max(1e9).default(1000),
    })
    .prefault({}),
  limits: z
    .strictObject({
      circuits: z.int().min(1).default(100_000),
      setups_per_second: z.int().min(1).default(200),
      reader_bytes: z
        .int()
        .min(1 << 20)
        .default(64 << 20),
      window_bytes_max: z
        .int()
        .min(1 << 16)
        .default(16 << 20),
      link_idle_ms: z.int().min(500).max(60_000).default(3000),
      fast_links: z.boolean().default(true),
      offload: z.boolean().default(true),
      link_bytes_per_second: z.int().min(0).default(0),
      shards: z.int().min(1).max(8).default(1),
    })
    .prefault({}),
  admin: z
    .strictObject({
      listen: z.union([z.literal('off'), ipPort.refine(isLoopback)]).default('127.0.0.1:0'),
      token_file: z.string().min(1).optional(),
    })
    .prefault({}),
  log: z.strictObject({ level: z.enum(LOG_LEVELS).default('info') }).prefault({}),
});

export type Config = z.infer<typeof Schema>;

export interface KeyInfo {
  /** What it does, for the commented file. */
  doc: string;
  /** What may stand there, for error messages. */
  valid: string;
  /** How a variable's text becomes a value. */
  kind: 'text' | 'list' | 'number' | 'fraction' | 'boolean' | 'numbers';
  /** Shown, commented out, where there is no default. */
  sample?: string;
}

const BLOCKS = 'CIDR blocks such as "203.0.113.0/24" or "2001:db8::/32"';

export const KEYS: Record<string, KeyInfo> = {
  data_dir: {
    doc: "Where the node keeps its identity, onion keys and token; relative to this file's folder. Readable by you alone.",
    valid: 'a folder',
    kind: 'text',
  },
  listen: {
    doc: 'UDP addresses to listen on; port 0 picks one. IPv4, IPv6 or both.',
    valid: 'addresses such as "0.0.0.0:4600" or "[::]:4600"',
    kind: 'list',
  },
  listen_reliable: {
    doc: 'TCP addresses where a relay or exit takes links of nodes whose UDP is blocked, by HTTP/2 and WebSocket; port 0: as UDP.',
    valid: 'addresses such as "0.0.0.0:4600" or "[::]:4600"',
    kind: 'list',
    sample: '["0.0.0.0:4600"]',
  },
  advertise: {
    doc: 'Addresses that others reach this node at, when they differ from `listen` (behind NAT).',
    valid: 'addresses such as "198.51.100.7:4600" or "[2001:db8::7]:4600"',
    kind: 'list',
    sample: '["198.51.100.7:4600"]',
  },
  roles: {
    doc: 'client: opens circuits for you. relay: forwards for others. exit: connects to destinations for others.',
    valid: '"client", "relay", "exit", in any mix',
    kind: 'list',
  },
  bootstrap: {
    doc: 'Peers that are asked first who is there.',
    valid: 'ID@HOST:PORT, the id being 64 hex digits as `wayfare keygen` prints it',
    kind: 'list',
    sample: `["${'0123456789abcdef'.repeat(4)}@relay.example:4600"]`,
  },
  'web.host': {
    doc: 'The name and port at which browsers whose UDP is blocked reach listen_reliable, by WebSocket; they pin no certificate there.',
    valid: 'NAME:PORT such as "relay.example:443", the name as the certificate has it',
    kind: 'text',
    sample: '"relay.example:443"',
  },
  'web.certificate_file': {
    doc: "PEM, this relay's certificate for that name and then those between it and its authority. Read again when it changes.",
    valid: 'a file such as "/etc/letsencrypt/live/relay.example/fullchain.pem"',
    kind: 'text',
    sample: '"fullchain.pem"',
  },
  'web.key_file': {
    doc: 'PEM, the private key of that certificate, not encrypted.',
    valid: 'a file such as "/etc/letsencrypt/live/relay.example/privkey.pem"',
    kind: 'text',
    sample: '"privkey.pem"',
  },
  'proxy.socks': {
    doc: 'Where the SOCKS5 proxy listens; anything but loopback demands credentials_file.',
    valid: 'an address such as "127.0.0.1:1080", or "off"',
    kind: 'text',
  },
  'proxy.http': {
    doc: 'Where the HTTP proxy listens; anything but loopback demands credentials_file.',
    valid: 'an address such as "127.0.0.1:8118", or "off"',
    kind: 'text',
  },
  'proxy.credentials_file': {
    doc: 'A file that holds USER:PASSWORD, asked of every client of both proxies.',
    valid: 'a file that holds USER:PASSWORD on one line',
    kind: 'text',
    sample: '"proxy-credentials"',
  },
  'exit.allow_loopback': {
    doc: "Lets clients of the network reach 127.0.0.0/8 and ::1 of THIS machine through this exit. For trials on one's own\n# machine only: it opens every service that listens on loopback to strangers.",
    valid: 'true or false',
    kind: 'boolean',
  },
  'exit.deny_ports': {
    doc: 'Ports this exit never connects to.',
    valid: 'port numbers from 1 to 65535',
    kind: 'numbers',
  },
  'exit.deny': {
    doc: 'Blocks this exit refuses besides private, loopback, link-local and all other non-global ones.',
    valid: BLOCKS,
    kind: 'list',
  },
  'exit.allow': {
    doc: 'Blocks this exit allows although they are not global.',
    valid: BLOCKS,
    kind: 'list',
  },
  'exit.drop': {
    doc: 'Blocks of which clients hear nothing: neither connected to nor refused, as behind a firewall that drops.',
    valid: BLOCKS,
    kind: 'list',
  },
  'path.hops': {
    doc: 'Hops of a circuit, the exit included.',
    valid: 'a number from 1 to 5',
    kind: 'number',
  },
  'egress.hops': {
    doc: 'Exits that flows are spread over at least, as far as so many are known (N in docs/decisions/0009).',
    valid: 'a number from 1 to 1024',
    kind: 'number',
  },
  'egress.step': {
    doc: 'How many exits join where one destination is asked for often (S).',
    valid: 'a number from 0 to 256',
    kind: 'number',
  },
  'egress.per': {
    doc: 'Connections to one destination within window_s above which they join (R).',
    valid: 'a number from 1 to 1000000',
    kind: 'number',
  },
  'egress.window_s': {
    doc: 'Seconds for which what an exit has carried weighs (K); not more than sequence_s.',
    valid: 'a number from 1 to 62',
    kind: 'number',
  },
  'egress.sequence_s': {
    doc: 'Seconds over which connections to one destination are counted (L).',
    valid: 'a number from 1 to 62',
    kind: 'number',
  },
  'egress.race': {
    doc: 'Exits asked at once for a destination that has not answered within window_s. More are faster, and learn of it.',
    valid: 'a number from 1 to 8',
    kind: 'number',
  },
  'egress.race_explore': {
    doc: 'Exits asked at once where one is tried although another is known to serve.',
    valid: 'a number from 1 to 8',
    kind: 'number',
  },
  'egress.race_most': {
    doc: 'Exits asked for one connection at most, one after the other.',
    valid: 'a number from 1 to 16',
    kind: 'number',
  },
  'egress.stagger_ms': {
    doc: 'An exit that has not answered for so many milliseconds gets company; 0: never.',
    valid: 'a number from 0 to 60000',
    kind: 'number',
  },
  'egress.ahead': {
    doc: 'Circuits built ahead while there are connections, one to each exit.',
    valid: 'a number from 0 to 64',
    kind: 'number',
  },
  'egress.entries': {
    doc: 'First hops that all paths begin with: drawn once and kept, whatever fails.',
    valid: 'a number from 1 to 64',
    kind: 'number',
  },
  'credit.free': {
    doc: 'Charges nothing for what this node does for others: a free contribution.',
    valid: 'true or false',
    kind: 'boolean',
  },
  'credit.flow': {
    doc: "Credits per second that this node's own streams announce (docs/credits.md); rounded down to 0, 1000, 4000, 16000 and so on, times 4 each. Relays that are more than half full let in nobody who announces nothing.",
    valid: 'a number from 0 to 1000000000',
    kind: 'number',
  },
  'credit.priorities': {
    doc: 'Other announcements for some of them; the first that fits decides. They are limited by the credits there are.',
    valid:
      '"port 22 = 256000", "host *.example.org = 1000", "user alice = 64000" or "inlet http = 4000", credits per second at the end',
    kind: 'list',
    sample: '["port 22 = 256000", "user alice = 64000"]',
  },
  'credit.add': {
    doc: 'Credits per second that this node, where circuits end at it, adds to what it sends back, by the destination of what runs on them; the first that fits decides.',
    valid: '"port 8080 = 64000", "host *.example.org = 16000" or "any = 1000", credits per second at the end',
    kind: 'list',
    sample: '["port 8080 = 64000"]',
  },
  'credit.circles': {
    doc: 'Looks for circles of credits that gain, as a relay or exit, and tells neighbours what it values their credits at, as they need it for the same.',
    valid: 'true or false',
    kind: 'boolean',
  },
  'credit.increase': {
    doc: 'Credits per second that all neighbours together get here without having done anything yet.',
    valid: 'a number from 0 to 1000000000000',
    kind: 'number',
  },
  'credit.half_life_s': {
    doc: 'Seconds in which what is on an account halves.',
    valid: 'a number from 1 to 1000000',
    kind: 'number',
  },
  'credit.always_share': {
    doc: 'What this node keeps of the credits that pass through it, however idle it is.',
    valid: 'a number from 0 to 1',
    kind: 'fraction',
  },
  'credit.rent': {
    doc: 'Credits per second that a circuit pays for its place while the table is full; less from half full on.',
    valid: 'a number from 0 to 1000000000',
    kind: 'number',
  },
  'limits.circuits': { doc: 'Circuits carried for others at most.', valid: 'a number from 1', kind: 'number' },
  'limits.setups_per_second': {
    doc: 'Circuit set-ups accepted per link and second (burst twice that).',
    valid: 'a number from 1',
    kind: 'number',
  },
  'limits.reader_bytes': {
    doc: 'Bytes that readers who do not read may hold before the worst is dropped.',
    valid: 'a number from 1048576',
    kind: 'number',
  },
  'limits.window_bytes_max': {
    doc: 'Largest window of one flow, in bytes.',
    valid: 'a number from 65536',
    kind: 'number',
  },
  'limits.link_idle_ms': {
    doc: 'A link without a sign of life for this long is lost.',
    valid: 'a number from 500 to 60000',
    kind: 'number',
  },
  'limits.fast_links': {
    doc: 'Whether packets go beside QUIC, sealed once and not twice, where both ends have AES in hardware.',
    valid: 'true or false',
    kind: 'boolean',
  },
  'limits.offload': {
    doc: 'Whether one system call moves many datagrams where the system can; off to look for faults in that.',
    valid: 'true or false',
    kind: 'boolean',
  },
  'limits.link_bytes_per_second': {
    doc: 'Bytes per second that may leave on each link beside QUIC; 0 is as much as goes. More waits in a short queue.',
    valid: 'a number from 0',
    kind: 'number',
  },
  'limits.shards': {
    doc: 'Threads that move packets beside QUIC, each for a share of the neighbours. More than 1 on Linux only, and not with link_bytes_per_second.',
    valid: 'a number from 1 to 8',
    kind: 'number',
  },
  'admin.listen': {
    doc: 'Where `wayfare status` and metrics are served; loopback only; port 0 picks one (data_dir/admin.json says which).',
    valid: 'a loopback address such as "127.0.0.1:4601" or "[::1]:4601", or "off"',
    kind: 'text',
  },
  'admin.token_file': {
    doc: 'The file that holds the token of the admin port; made with mode 0600 when missing. Default: data_dir/admin-token.',
    valid: 'a file',
    kind: 'text',
    sample: '"admin-token"',
  },
  'log.level': {
    doc: 'What is written to standard error. No level names a destination.',
    valid: LOG_LEVELS.map((level) => `"${level}"`).join(', '),
    kind: 'text',
  },
};

/** `proxy.socks` is `WAYFARE_PROXY_SOCKS`. */
export const variableOf = (key: string): string => `WAYFARE_${key.replace('.', '_').toUpperCase()}`;
