/**
 * The self-check: content goes from a local origin through the SOCKS proxy and every hop, and each claim about its way is
 * held against what the parties counted themselves.
 *
 * Invariant: the path is the one named before the transfer began. If a hop stops forwarding, the client may well save the
 * transfer by another path, and the check fails all the same: the hop named did not carry it.
 */
import { createHash } from 'node:crypto';
import { type HostPort, joinHostPort } from '../base/config/index.js';
import { asWayfareError, NetworkError } from '../base/errors.js';
import type { NodeStatus } from '../platform/node.js';
import { httpGet } from './http-get.js';
import type { Member, Network } from './network.js';
import { startOrigin } from './origin.js';

export const CHECK_BYTES = 64 << 20;
/** No byte for so long ends the transfer. */
const SILENCE_MS = 15_000;

export interface CheckHop {
  name: string;
  role: 'relay' | 'exit';
  id: string;
  address: string;
  /** Packets that this hop counted while the content went by, both directions. */
  packets: number;
  /** Bytes on their way to the client that this hop counted. */
  bytes: number;
}

export interface CheckResult {
  schema: 'wayfare.check';
  version: 1;
  ok: boolean;
  /** One sentence each; empty when `ok`. */
  failures: string[];
  hops: CheckHop[];
  bytes: number;
  sha256: string | null;
  sha256_expected: string;
  ttfb_ms: number | null;
  duration_ms: number | null;
  throughput_mbit_per_s: number | null;
  /** The peer that the origin saw, and the socket that the exit says is its own. */
  origin_peer: string | null;
  exit_socket: string | null;
}

export interface CheckOptions {
  socks: HostPort;
  credentials?: { user: string; password: string };
  /** Content length; default 64 MiB. */
  bytes?: number;
  signal?: AbortSignal;
  onProgress?: (received: number, total: number) => void;
  /** Called when the path is drawn and before the transfer begins. */
  onPath?: (path: Member[]) => void;
}

interface Transfer {
  sha256: string;
  received: number;
  ttfb_ms: number;
  duration_ms: number;
  bound: string;
}

async function transfer(url: URL, options: CheckOptions): Promise<Transfer> {
  const silence = new AbortController();
  const arm = () =>
    setTimeout(() => silence.abort(new NetworkError('timeout', `no byte came for ${SILENCE_MS / 1000} s`)), SILENCE_MS);
  let timer = arm();
  const signal = options.signal === undefined ? silence.signal : AbortSignal.any([silence.signal, options.signal]);
  try {
    const { response, bound, started_ms } = await httpGet(options.socks, url, {
      signal,
      ...(options.credentials && { credentials: options.credentials }),
    });
    if (response.statusCode !== 200)
      throw new NetworkError('check_failed', `the origin answered ${response.statusCode}`);
    const hash = createHash('sha256');
    let received = 0;
    let ttfb_ms = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (received === 0) ttfb_ms = performance.now() - started_ms;
      received += chunk.length;
      hash.update(chunk);
      clearTimeout(timer);
      timer = arm();
      options.onProgress?.(received, options.bytes ?? CHECK_BYTES);
    }
    return { sha256: hash.digest('hex'), received, ttfb_ms, duration_ms: performance.now() - started_ms, bound };
  } catch (caught) {
    options.signal?.throwIfAborted();
    throw silence.signal.aborted ? silence.signal.reason : caught;
  } finally {
    clearTimeout(timer);
  }
}

/** What one node counted between two statuses: its packets, and bytes on their way to the client. */
function carried(role: CheckHop['role'], before: NodeStatus, after: NodeStatus): { packets: number; bytes: number } {
  if (role === 'relay') {
    const [a, b] = [before.host.relayed, after.host.relayed];
    const packets = b.packets_forward - a.packets_forward + b.packets_backward - a.packets_backward;
    return { packets, bytes: b.bytes_backward - a.bytes_backward };
  }
  const total = (status: NodeStatus) =>
    status.host.links.reduce((sum, link) => sum + link.packets_sent + link.packets_received, 0);
  return { packets: total(after) - total(before), bytes: after.host.exit.bytes_in - before.host.exit.bytes_in };
}

export async function selfCheck(network: Network, options: CheckOptions): Promise<CheckResult> {
  const bytes = options.bytes ?? CHECK_BYTES;
  const origin = await startOrigin(bytes);
  const failures: string[] = [];
  try {
    const path = await network.client.connect();
    const members = path.map((hop) => network.member(hop.id)!);
    const before = await Promise.all(members.map((member) => member.node.status()));
    options.onPath?.(members);
    let result: Transfer | null = null;
    try {
      result = await transfer(new URL(`http://${joinHostPort('localhost', origin.port)}${origin.path}`), options);
    } catch (caught) {
      options.signal?.throwIfAborted();
      failures.push(`the transfer failed: ${asWayfareError(caught).sentence}`);
    }
    const after = await Promise.all(members.map((member) => member.node.status()));
    const hops = path.map((hop, i): CheckHop => {
      const { name } = members[i]!;
      return { name, role: hop.role, id: hop.id, address: hop.address, ...carried(hop.role, before[i]!, after[i]!) };
    });
    for (const hop of hops) {
      if (hop.bytes < bytes) failures.push(`${hop.name} is on the path and counted ${hop.bytes} of ${bytes} bytes`);
    }
    if (new Set(path.map((hop) => hop.id)).size !== path.length) failures.push('a node is on the path twice');
    if (result !== null && result.received !== bytes) failures.push(`${result.received} of ${bytes} bytes came`);
    if (result !== null && result.sha256 !== origin.sha256) failures.push('the SHA-256 differs');
    const [peer = null] = origin.seen;
    if (result !== null && peer !== result.bound)
      failures.push(`the origin saw ${peer}, and the exit says its socket is ${result.bound}`);
    if (origin.seen.length > 1) failures.push(`the origin was asked ${origin.seen.length} times`);
    return {
      schema: 'wayfare.check',
      version: 1,
      ok: failures.length === 0,
      failures,
      hops,
      bytes,
      sha256: result?.sha256 ?? null,
      sha256_expected: origin.sha256,
      ttfb_ms: result === null ? null : round(result.ttfb_ms),
      duration_ms: result === null ? null : round(result.duration_ms),
      throughput_mbit_per_s: result === null ? null : round((result.received * 8) / (result.duration_ms * 1000)),
      origin_peer: peer,
      exit_socket: result?.bound ?? null,
    };
  } finally {
    await origin.close();
  }
}

const round = (value: number) => Math.round(value * 10) / 10;
