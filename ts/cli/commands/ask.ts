/** `wayfare status`, `peers`, `paths` and `ping`: what a running node says of itself. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { PathsReport } from '../../egress/report.js';
import type { NodePeer, NodeStatus } from '../../runtime/options.js';
import { AdminClient } from '../admin-client.js';
import { bytes, duration, micros, shortId, table } from '../format.js';
import { type Io, print } from '../io.js';
import { loadSettings, wholeNumber } from '../settings.js';

export interface Flags {
  config?: string;
  dataDir?: string;
  json?: boolean;
}

export async function client(io: Io, flags: Flags): Promise<AdminClient> {
  return AdminClient.of(
    flags.dataDir === undefined ? (await loadSettings(io, flags.config)).dataDir : resolve(io.cwd, flags.dataDir),
  );
}

export function where(command: Command): Command {
  return command
    .option('--config <FILE>', "the node's configuration (default: wayfare.toml here)")
    .option('--data-dir <DIR>', "the node's data directory itself")
    .option('--json', 'print one JSON object');
}

export function statusText(status: NodeStatus): string {
  const { host } = status;
  const drops = Object.entries(host.drops).filter(([, count]) => count > 0);
  const rows = [
    ['node', status.id],
    ['state', status.draining ? 'draining' : status.ready ? 'ready' : `not ready: ${status.reasons.join('; ')}`],
    ['roles', status.roles.join(', ')],
    ['listening', status.addresses.join(', ')],
    ['up', duration(status.uptime_ms)],
    ['known nodes', String(status.descriptors)],
    ['links', String(host.links.length)],
    ['circuits', `${host.circuits.client} own, ${host.circuits.relay} relayed, ${host.circuits.exit} ending here`],
  ];
  if (status.path.length > 0)
    rows.push(['path', status.path.map((hop) => `${hop.role} ${shortId(hop.id)}`).join(' → ')]);
  const { relayed, exit, client: own } = host;
  rows.push(
    ['relayed', `${bytes(relayed.bytes_forward)} forward, ${bytes(relayed.bytes_backward)} backward`],
    [
      'exit',
      `${exit.flows_open} flows open, ${exit.flows_total} in all, ${bytes(exit.bytes_in)} in, ${bytes(exit.bytes_out)} out`,
    ],
    [
      'own flows',
      `${own.flows_open} open, ${own.flows_total} in all, ${bytes(own.bytes_in)} in, ${bytes(own.bytes_out)} out`,
    ],
    ['drops', drops.length === 0 ? 'none' : drops.map(([reason, count]) => `${reason} ${count}`).join(', ')],
  );
  return table(rows);
}

function peersText(peers: NodePeer[]): string {
  if (peers.length === 0) return 'no links';
  const head = ['NODE', 'ADDRESS', 'ROLES', 'RTT', 'RECEIVED', 'SENT', 'OVER', 'DIALLED'];
  const rows = peers.map((peer) => [
    shortId(peer.id),
    peer.address,
    peer.roles.join('+') || '-',
    micros(peer.rtt_us),
    bytes(peer.bytes_received),
    bytes(peer.bytes_sent),
    over(peer),
    peer.incoming ? 'by it' : 'by us',
  ]);
  return table([head, ...rows]);
}

/** What carries a link, and how large a packet goes beside it. */
function over({ transport, fast_bytes }: NodePeer): string {
  return fast_bytes > 0 ? `${transport}, fast to ${fast_bytes} B` : (transport ?? '-');
}

export function pathsText(report: PathsReport): string {
  const { window, hops, verdicts, flows, entries, counts } = report;
  const rows = [
    ['window', `${window.size} of ${window.exits} exits, at least ${window.floor}, ${window.draining} draining`],
    ['first hops', entries.map(shortId).join(', ') || '-'],
    ['connections', `${counts.connections} wanted, ${counts.attempts} exits asked, ${counts.answered} answered`],
  ];
  const seconds = (ms: number) => `${Math.round(ms / 1000)} s`;
  const out = [table(rows)];
  if (hops.length > 0) {
    const head = ['EXIT', 'BY', 'RTT', 'WEIGHT', 'DATA', 'SPEED', 'TRIED', 'FAILED', 'FLOWS', 'SINCE'];
    const lines = hops.map((hop) => [
      shortId(hop.exit),
      hop.path.slice(0, -1).map(shortId).join(' → ') || '-',
      // Nobody has pinged it: what the landmarks say.
      hop.latency_ms === null ? '?' : `~${hop.latency_ms.toFixed(1)} ms`,
      hop.untried ? 'untried' : bytes(Math.round(hop.weight)),
      bytes(hop.data),
      `${bytes(Math.round(hop.speed))}/s`,
      String(hop.opened),
      String(hop.failed),
      `${hop.flows}${hop.draining ? ', draining' : ''}`,
      seconds(hop.age_ms),
    ]);
    out.push('', table([head, ...lines]));
  }
  if (verdicts.length > 0) {
    const head = ['VERDICT', 'EXIT', 'DESTINATION', 'SINCE IT WAS', 'FOR'];
    const lines = verdicts.map(({ kind, exit, destination, evidence, left_ms }) => [
      kind,
      shortId(exit),
      destination ?? 'all',
      `${evidence.what}${evidence.strikes > 1 ? `, ${evidence.strikes} times` : ''}`,
      `${seconds(left_ms)} more`,
    ]);
    out.push('', table([head, ...lines]));
  }
  if (flows.length > 0) {
    const head = ['FLOW TO', 'EXIT', 'OVER', 'SENT', 'RECEIVED', 'SINCE'];
    const lines = flows.map((flow) => [
      flow.destination,
      shortId(flow.exit),
      flow.protocol,
      bytes(flow.sent),
      bytes(flow.received),
      seconds(flow.age_ms),
    ]);
    out.push('', table([head, ...lines]));
  }
  return out.join('\n');
}

export function ask(program: Command, io: Io): void {
  where(program.command('status'))
    .description('what the running node is at')
    .addHelpText('after', '\nExamples:\n  wayfare status --config relay.toml\n  wayfare status --json | jq .host.drops')
    .action(async (flags: Flags) => {
      const status = await (await client(io, flags)).ask<NodeStatus>('/v1/status');
      print(io, flags.json ? JSON.stringify(status) : statusText(status));
    });

  where(program.command('peers'))
    .description('the links of the running node')
    .addHelpText('after', '\nExamples:\n  wayfare peers\n  wayfare peers --json | jq -r .peers[].id')
    .action(async (flags: Flags) => {
      const answer = await (await client(io, flags)).ask<{ peers: NodePeer[] }>('/v1/peers');
      print(io, flags.json ? JSON.stringify(answer) : peersText(answer.peers));
    });

  where(program.command('paths'))
    .description('the exits that own flows are spread over: paths, weights, verdicts, flows')
    .addHelpText('after', '\nExamples:\n  wayfare paths\n  wayfare paths --json | jq .verdicts')
    .action(async (flags: Flags) => {
      const answer = await (await client(io, flags)).ask<PathsReport>('/v1/paths');
      print(io, flags.json ? JSON.stringify(answer) : pathsText(answer));
    });

  where(program.command('ping'))
    .argument('<NODE>', 'node id, 64 hex digits (`wayfare peers --json` lists some)')
    .option('--count <N>', 'round trips', wholeNumber('--count', 1, 100), 3)
    .description('round trips from the running node to another over their link')
    .addHelpText('after', '\nExample:\n  wayfare ping $(wayfare peers --json | jq -r .peers[0].id)')
    .action(async (id: string, flags: Flags & { count: number }) => {
      const answer = await (await client(io, flags)).ask<{ rtt_us: number; rtts_us: number[] }>('/v1/ping', {
        id,
        count: flags.count,
      });
      if (flags.json) return print(io, JSON.stringify(answer));
      print(io, `${shortId(id)}: ${answer.rtts_us.map(micros).join(', ')}; least ${micros(answer.rtt_us)}`);
    });
}
