/** What was measured, as rows: ours beside each peer's from the same rounds. */
import { compared, median, type Row } from '../rows.js';
import { type Datagrams, jain, type Transfer } from './measure.js';

/** What one peer showed, round by round; rounds of all peers were taken in turn. */
export interface Shown {
  downloads: Transfer[];
  uploads: Transfer[];
  /** Medians of a round's connections. */
  first_byte_us: number[];
}

export interface At {
  mtu: number;
  peers: Record<string, Shown>;
  fairness: Transfer | undefined;
  datagrams: Datagrams[];
  /** What our nodes said of themselves at the end. */
  state?: unknown;
}

/** Loss up to this is what a call or a game does not notice. */
const LOSS_MOST = 0.01;

const rates = (transfers: readonly Transfer[]) => transfers.map((t) => t.gbit_per_s);
const chain_ns = (t: Transfer) => Object.values(t.cpu_ns_per_byte).reduce((a, b) => a + b, 0);

export function rowsOf({ mtu, peers, fairness, datagrams }: At): Row[] {
  const { ours, ...others } = peers;
  if (ours === undefined) return Object.entries(others).map(([name, shown]) => alone(mtu, name, shown));
  const against = (kind: string, unit: string, of: (shown: Shown) => number[]): Row[] => {
    const mine = of(ours);
    if (mine.length === 0) return [];
    const rows = Object.entries(others).flatMap(([name, shown]) =>
      of(shown).length === 0 ? [] : [compared(`${kind}_${name}`, unit, mine, of(shown))],
    );
    return rows.length > 0 ? rows : [{ name: kind, unit, ours: median(mine) }];
  };
  const rows = [
    ...against(`download_${mtu}`, 'Gbit/s', (s) => rates(s.downloads)),
    ...against(`upload_${mtu}`, 'Gbit/s', (s) => rates(s.uploads)),
    ...against('first_byte', 'µs', (s) => s.first_byte_us),
  ];
  if (ours.uploads.length > 0) {
    rows.push(compared('upload_to_download', 'Gbit/s', rates(ours.uploads), rates(ours.downloads)));
  }
  if (fairness !== undefined) {
    const ratio = jain(fairness.flows_bytes);
    rows.push({ name: 'fairness_50', unit: 'Jain', ours: ratio, floor: 1, ratio });
  }
  const good = datagrams.filter((d) => d.loss <= LOSS_MOST);
  const best = good.toSorted((a, b) => b.per_s - a.per_s)[0];
  if (best !== undefined) {
    rows.push({ name: 'udp_arrived', unit: '1/s', ours: best.per_s });
    rows.push({ name: 'udp_loss', unit: '%', ours: best.loss * 100 });
  }
  // What is spent is told apart from how fast it goes: it hardly moves with what else the machine does.
  rows.push(...against(`cpu_${mtu}`, 'ns/B', (s) => s.downloads.map(chain_ns).filter((ns) => ns > 0)));
  // Whose hosts have the same part in it.
  const likeOurs = others.shadowsocks;
  for (const role of Object.keys(ours.downloads[0]?.cpu_ns_per_byte ?? {})) {
    const spent = ({ downloads }: Shown) => downloads.map((t) => t.cpu_ns_per_byte[role] ?? 0);
    const name = `cpu_${mtu}_at_${role}`;
    if (likeOurs === undefined) rows.push({ name, unit: 'ns/B', ours: median(spent(ours)) });
    else rows.push(compared(`${name}_shadowsocks`, 'ns/B', spent(ours), spent(likeOurs)));
  }
  return rows;
}

function alone(mtu: number, name: string, { downloads }: Shown): Row {
  return { name: `download_${mtu} of ${name}`, unit: 'Gbit/s', ours: median(rates(downloads)) };
}
