/** `wayfare credits`: what neighbours may spend here and we there, what flows, and what it costs. */
import type { Command } from 'commander';
import { creditRate } from '../../core/credit.js';
import type { CircuitCredits, FlowCredits } from '../../core/node-credits.js';
import type { AccountReport, CreditsReport } from '../../credit/report.js';
import { shortId, table } from '../format.js';
import { type Io, print } from '../io.js';
import { client, type Flags, where } from './ask.js';

/** Circuits shown at most; `--json` has all. */
const CIRCUITS = 20;

export function credits(count: number): string {
  const units = ['', ' k', ' M', ' G', ' T', ' P'];
  let value = count;
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : value.toFixed(1)}${units[unit]}`;
}

const rate = (flowClass: number): string => (flowClass === 0 ? '-' : `${credits(creditRate(flowClass))}/s`);
const price = (each: number): string => (each === 0 ? '0' : each.toPrecision(3));

/** Why a price is what it is. */
function because({ recent, price: now }: AccountReport): string {
  if (recent === null) return '-';
  const { price_before, waited_bytes, load } = recent;
  if (waited_bytes > 0) return `${credits(load)} for load, ${credits(waited_bytes)} B had to wait`;
  return now < price_before ? 'nothing waits any more' : now > 0 ? 'nothing has waited since' : 'nothing waits';
}

function accountRows(neighbours: readonly AccountReport[]): string[][] {
  return neighbours.map((n) => {
    const { recent } = n;
    const moved =
      recent === null
        ? '-'
        : `+${credits(recent.minted)} minted, −${credits(recent.decayed)} decayed, −${credits(recent.spent)} spent, +${credits(recent.earned)} earned`;
    return [
      shortId(n.peer),
      credits(n.account),
      credits(n.mirror),
      n.report === null ? '-' : credits(n.report),
      credits(n.reputation),
      `× ${(2 ** n.value).toPrecision(3)}`,
      moved,
    ];
  });
}

function flowRows(circuit: CircuitCredits): string[][] {
  const end = (id: string | null) => (id === null ? 'this node' : shortId(id));
  const row = (way: string, flow: FlowCredits) => [
    String(circuit.circuit),
    way,
    rate(flow.in),
    credits(flow.paid),
    credits(flow.rent),
    credits(flow.always),
    credits(flow.load),
    rate(flow.out),
    flow.bytes === 0 ? '0' : price(flow.charged / flow.bytes),
    flow.throttled === 0 ? '' : `${credits(flow.throttled)} not paid`,
  ];
  return [
    row(`${end(circuit.previous)} → ${end(circuit.next)}`, circuit.forward),
    row(`${end(circuit.next)} → ${end(circuit.previous)}`, circuit.backward),
  ];
}

/** What goes round, and what comes of it. */
function circleText(circle: CreditsReport['circle']): string {
  if (circle === null) return 'none that gains';
  const { path, flow, gain } = circle;
  return `${rate(flow)} over ${path.map(shortId).join(', ')}, of which ${gain.toPrecision(3)} times comes home`;
}

export function creditsText(report: CreditsReport): string {
  const { neighbours, circuits, rewards, fill, free, books, circle } = report;
  const out = [
    table([
      ['charges', free ? 'nothing: it contributes freely' : 'load, a share always, rent where the table is half full'],
      [
        'rewards',
        `${credits(rewards.load)} for load, ${credits(rewards.always)} always, ${credits(rewards.rent)} rent`,
      ],
      ['own flows', `${credits(books.own)} spent, ${credits(books.home)} came home`],
      ['circle', circleText(circle)],
      ['table', `${Math.round(fill * 100)} % full`],
    ]),
  ];
  if (neighbours.length > 0) {
    const over = `LAST ${Math.round(report.recent_ms / 1000)} S`;
    const head = ['NEIGHBOUR', 'MAY SPEND HERE', 'WE THERE', 'IT SAYS', 'REPUTATION', 'ITS CREDIT', over];
    out.push('', table([head, ...accountRows(neighbours)]));
    const prices = neighbours.map((n) => [shortId(n.peer), `${price(n.price)} per byte`, because(n)]);
    out.push('', table([['LINK TO', 'LOAD COSTS', 'BECAUSE'], ...prices]));
  }
  const paying = circuits.filter(({ forward, backward }) => forward.in + backward.in + forward.out + backward.out > 0);
  if (paying.length > 0) {
    const head = ['CIRCUIT', 'WAY', 'ANNOUNCED', 'PAID', 'RENT', 'ALWAYS', 'LOAD', 'PASSED ON', 'PER BYTE', ''];
    out.push('', table([head, ...paying.slice(0, CIRCUITS).flatMap(flowRows)]));
    if (paying.length > CIRCUITS) out.push(`and ${paying.length - CIRCUITS} more (--json shows all)`);
  }
  return out.join('\n');
}

export function creditsCommand(program: Command, io: Io): void {
  where(program.command('credits'))
    .description('accounts with neighbours from both sides, flows, rewards and prices')
    .addHelpText(
      'after',
      '\nExamples:\n  wayfare credits\n  wayfare credits --json | jq ".neighbours[] | {peer, account, mirror, report}"',
    )
    .action(async (flags: Flags) => {
      const answer = await (await client(io, flags)).ask<CreditsReport>('/v1/credits');
      print(io, flags.json ? JSON.stringify(answer) : creditsText(answer));
    });
}
