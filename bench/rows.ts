/** What a measurement yields: rows, each a figure of ours beside its floor from the same run. */

export interface Row {
  /** Unique; the key of its limit in limits.json. */
  name: string;
  unit: string;
  ours: number;
  /** What it is measured against, in the same unit. */
  floor?: number;
  /** Median of the rounds' ratios, ours to the floor. */
  ratio?: number;
}

export interface Limit {
  /** The ratio may be this at most, must be this at least, or both. */
  most?: number;
  least?: number;
  /** Short of `least`, but not below this: said, and no failure. */
  tolerated?: number;
  /** Likewise for a figure that stands alone: it is divided by this. */
  allowed?: number;
}

export interface Measurement {
  name: string;
  title: string;
  run(): Promise<{ rows: Row[]; rounds: unknown }>;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle];
  if (upper === undefined) throw new RangeError('the median of nothing');
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
}

/** A row of rounds that were measured in turn: medians of both, and the median of the ratios. */
export function compared(name: string, unit: string, ours: readonly number[], floor: readonly number[]): Row {
  const ratios = ours.map((value, round) => value / (floor[round] ?? Number.NaN));
  return { name, unit, ours: median(ours), floor: median(floor), ratio: median(ratios) };
}

export interface Judged extends Row {
  limit?: string;
  held?: boolean;
  /** Not held, but tolerated. */
  tolerated?: boolean;
}

export function judge(row: Row, limits: Record<string, Limit>): Judged {
  const limit = limits[row.name];
  if (limit === undefined) return row;
  const judged: Judged =
    limit.allowed === undefined ? { ...row } : { ...row, floor: limit.allowed, ratio: row.ours / limit.allowed };
  const { most, least, tolerated }: Limit = limit.allowed === undefined ? limit : { most: 1 };
  const ratio = judged.ratio ?? Number.NaN;
  judged.limit = [least === undefined ? [] : `≥ ${least}`, most === undefined ? [] : `≤ ${most}`].flat().join(', ');
  judged.held = ratio >= (least ?? Number.NEGATIVE_INFINITY) && ratio <= (most ?? Number.POSITIVE_INFINITY);
  if (!judged.held && tolerated !== undefined && ratio >= tolerated) judged.tolerated = true;
  return judged;
}

function figure(value: number | undefined): string {
  if (value === undefined) return '';
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** The table that is printed and pasted into README. */
export function table(rows: readonly Judged[], against = 'floor'): string {
  const lines = [['', 'ours', against, 'unit', 'ratio', 'limit', '']];
  for (const row of rows) {
    const held = row.held === undefined ? '' : row.held ? 'held' : row.tolerated ? 'short' : 'MISSED';
    lines.push([row.name, figure(row.ours), figure(row.floor), row.unit, figure(row.ratio), row.limit ?? '', held]);
  }
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  const right = new Set([1, 2, 4]);
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        right.has(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  return text.join('\n');
}
