/**
 * What TypeScript itself drops or refuses, counted by reason. `HostStats.drops` counts the rest; `merge` joins both.
 */

export type DropReason =
  | 'descriptor_forged'
  | 'descriptor_stale'
  | 'descriptor_oversized'
  | 'descriptor_malformed'
  /** Its node signs new editions faster than they are taken. */
  | 'descriptor_rate'
  /** The table of descriptors is full. */
  | 'descriptor_table_full'
  | 'control_malformed'
  /** The host takes packets slower than they come. */
  | 'queue_full'
  | 'link_refused';

export class Drops {
  readonly #counts = new Map<DropReason, number>();

  count(reason: DropReason): void {
    this.#counts.set(reason, this.get(reason) + 1);
  }

  get(reason: DropReason): number {
    return this.#counts.get(reason) ?? 0;
  }

  /** The host's counts with ours added. */
  merge(host: Record<string, number>): Record<string, number> {
    const all: Record<string, number> = { descriptor_rate: 0, descriptor_table_full: 0, ...host };
    for (const [reason, count] of this.#counts) all[reason] = (all[reason] ?? 0) + count;
    return all;
  }
}
