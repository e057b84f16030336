/** A node's figures as Prometheus text (exposition format 0.0.4). No label names a peer or a destination. */
import type { AccountsReport } from '../credit/report.js';
import type { PathsReport } from '../egress/report.js';
import type { NodeStatus } from '../runtime/options.js';

type Sample = [labels: Record<string, string>, value: number];

const quoted = (text: string) => text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n');

export function renderMetrics(
  status: NodeStatus,
  paths: PathsReport,
  credits: AccountsReport,
  version: string,
): string {
  const out: string[] = [];
  const metric = (name: string, type: 'counter' | 'gauge', help: string, samples: Sample[]) => {
    out.push(`# HELP wayfare_${name} ${help}`, `# TYPE wayfare_${name} ${type}`);
    for (const [labels, value] of samples) {
      const pairs = Object.entries(labels).map(([label, text]) => `${label}="${quoted(text)}"`);
      out.push(`wayfare_${name}${pairs.length > 0 ? `{${pairs.join(',')}}` : ''} ${value}`);
    }
  };
  const one = (value: number): Sample[] => [[{}, value]];
  const both = (forward: number, backward: number): Sample[] => [
    [{ direction: 'forward' }, forward],
    [{ direction: 'backward' }, backward],
  ];
  const inOut = (inward: number, outward: number): Sample[] => [
    [{ direction: 'in' }, inward],
    [{ direction: 'out' }, outward],
  ];
  const { host } = status;
  const { relayed, exit, client } = host;
  metric('info', 'gauge', 'The version that runs.', [[{ version }, 1]]);
  metric('ready', 'gauge', 'Whether the node is ready.', one(status.ready ? 1 : 0));
  metric('uptime_seconds', 'gauge', 'Since the start.', one(status.uptime_ms / 1000));
  metric('descriptors', 'gauge', 'Nodes known.', one(status.descriptors));
  metric('links', 'gauge', 'Links that are up.', one(host.links.length));
  metric('circuits', 'gauge', 'Circuits that are open, by this node’s part in them.', [
    [{ role: 'client' }, host.circuits.client],
    [{ role: 'relay' }, host.circuits.relay],
    [{ role: 'exit' }, host.circuits.exit],
  ]);
  metric(
    'relayed_packets_total',
    'counter',
    'Packets passed on.',
    both(relayed.packets_forward, relayed.packets_backward),
  );
  metric('relayed_bytes_total', 'counter', 'Bytes passed on.', both(relayed.bytes_forward, relayed.bytes_backward));
  metric('exit_flows_open', 'gauge', 'Connections to destinations.', one(exit.flows_open));
  metric('exit_flows_total', 'counter', 'Connections to destinations since the start.', one(exit.flows_total));
  metric(
    'exit_bytes_total',
    'counter',
    'Bytes from (in) and to (out) destinations.',
    inOut(exit.bytes_in, exit.bytes_out),
  );
  metric('exit_datagrams_total', 'counter', 'Datagrams from and to destinations.', inOut(exit.udp_in, exit.udp_out));
  metric('client_flows_open', 'gauge', 'Own flows.', one(client.flows_open));
  metric('client_flows_total', 'counter', 'Own flows since the start.', one(client.flows_total));
  metric('client_bytes_total', 'counter', 'Bytes of own flows.', inOut(client.bytes_in, client.bytes_out));
  const { window, verdicts, counts } = paths;
  metric('egress_exits', 'gauge', 'Exits that the directory has.', one(window.exits));
  metric('egress_window_hops', 'gauge', 'Exits that flows are spread over, and those that only keep what they have.', [
    [{ state: 'open' }, window.size],
    [{ state: 'draining' }, window.draining],
  ]);
  metric('egress_window_floor', 'gauge', 'The least that the window may hold by now.', one(window.floor));
  metric('egress_flows', 'gauge', 'Own flows through exits of the window.', one(paths.flows.length));
  metric('egress_connections_total', 'counter', 'Connections wanted.', one(counts.connections));
  metric('egress_attempts_total', 'counter', 'Exits asked for them.', one(counts.attempts));
  metric('egress_answered_total', 'counter', 'Connections that an exit made.', one(counts.answered));
  const kinds = ['bad', 'blocked', 'disappeared'] as const;
  metric(
    'egress_verdicts',
    'gauge',
    'What is held against exits now.',
    kinds.map((kind): Sample => [{ kind }, verdicts.filter((verdict) => verdict.kind === kind).length]),
  );
  metric(
    'egress_verdicts_total',
    'counter',
    'Verdicts passed since the start.',
    kinds.map((kind): Sample => [{ kind }, counts[kind]]),
  );
  metric('egress_forced_total', 'counter', 'Draws in which every exit was excluded.', one(counts.forced));
  metric('egress_evicted_total', 'counter', 'What was forgotten to make room.', [
    [{ what: 'tuples' }, counts.tuples_evicted],
    [{ what: 'destinations' }, counts.destinations_evicted],
  ]);
  metric('egress_memory_bytes', 'gauge', 'Memory of the choice of exits.', one(counts.memory_bytes));
  const { books, neighbours } = credits;
  const sum = (of: (n: (typeof neighbours)[number]) => number): number => neighbours.reduce((all, n) => all + of(n), 0);
  metric('credits_balance', 'gauge', 'Credits on all accounts: what neighbours may spend here, and this node there.', [
    [{ account: 'here' }, sum((n) => n.account)],
    [{ account: 'there' }, sum((n) => n.mirror)],
  ]);
  metric('credits_total', 'counter', 'What has moved the accounts here.', [
    [{ by: 'minted' }, books.minted],
    [{ by: 'decayed' }, books.decayed],
    [{ by: 'spent' }, books.spent],
    [{ by: 'earned' }, books.earned],
  ]);
  metric('credits_rewards_total', 'counter', 'What this node has kept of what passed.', [
    [{ for: 'load' }, books.load],
    [{ for: 'always' }, books.always],
    [{ for: 'rent' }, books.rent],
  ]);
  metric('credits_own_total', 'counter', 'What own flows spent, and what came home of it.', [
    [{ way: 'out' }, books.own],
    [{ way: 'home' }, books.home],
  ]);
  metric('credits_throttled_total', 'counter', 'Announced by neighbours and not paid.', one(sum((n) => n.throttled)));
  metric(
    'credits_price_max',
    'gauge',
    'Credits per byte of the dearest link.',
    one(Math.max(0, ...neighbours.map((n) => n.price))),
  );
  metric('circuit_table_fill', 'gauge', 'How full the table of circuits is, 0 to 1.', one(credits.fill));
  metric('reader_bytes', 'gauge', 'Bytes held for readers that have not read them.', one(host.reader_bytes));
  metric('cpu_seconds_total', 'counter', 'CPU time of the packet thread.', one(host.cpu_us / 1e6));
  const drops = Object.entries(host.drops).map(([reason, count]): Sample => [{ reason }, count]);
  metric('drops_total', 'counter', 'What was dropped or refused, by reason.', drops);
  return `${out.join('\n')}\n`;
}
