/**
 * The node whose connections these are: the shipping policy over the shipping statistics, told what a sender sees and nothing else.
 * Records go down in batches, as a node's do.
 */

import { Chance } from '../base/chance.js';
import { type CreateEgress, EGRESS_RECORD, EGRESS_SOURCE_BYTES, type EgressBinding } from '../core/egress.js';
import { EntrySet } from '../egress/entries.js';
import { type EnumerateOptions, Enumerator, type HopPlan } from '../egress/enumerate.js';
import type { EgressPolicyChoice } from '../egress/options.js';
import { type Choice, EgressPolicy } from '../egress/policy.js';
import { type WindowHop, windowFloor } from '../egress/window.js';
import type { World } from './world.js';

const ENUMERATES = 301;
const SECRET = 302;
const RECORDS = 2048;

/** A hop of the window as the world knows it. */
export interface Way {
  serial: number;
  exit: number;
  intermediary: number;
  /** Round trip to the exit. */
  path_us: number;
}

export interface SenderOptions {
  choice: EgressPolicyChoice;
  /** Which estimate an untried hop weighs. */
  estimate?: EnumerateOptions['estimate'];
  /** Tells what the directory says of an exit; for exits that lie. */
  told?: (plan: HopPlan) => HopPlan;
  /** Instead of the draw: a hop of the window. For what knows more than a sender does. */
  pick?: (now_us: number, destination: number) => number;
}

export class Sender {
  readonly policy: EgressPolicy;
  readonly #egress: EgressBinding;
  readonly #world: World;
  readonly #options: SenderOptions;
  readonly #ways: (Way | undefined)[] = [];
  readonly #keys: string[] = [];
  readonly #source = new Uint8Array(EGRESS_SOURCE_BYTES);
  readonly #records = new Float64Array(RECORDS * EGRESS_RECORD);
  #recorded = 0;

  constructor(createEgress: CreateEgress, world: World, options: SenderOptions) {
    const { exits, stall_us, rate, firstRate } = world.options;
    this.#world = world;
    this.#options = options;
    const secret = new Uint8Array(32);
    new Chance(world.seed, SECRET).fill(secret);
    const window = options.choice.window ?? {};
    const kernel = { window_us: window.window_us ?? stall_us, sequence_us: window.sequence_us ?? 6 * stall_us };
    // Room for what is live while everything stalls, several times over.
    const tuples = Math.max(32_768, (32 * (rate + firstRate) * stall_us) / 10_000_000);
    this.#egress = createEgress({ ...kernel, limits: { tuples, log: 0 } }, secret, 0);
    const random = new Chance(world.seed, ENUMERATES);
    const entries = new EntrySet(world.entryIds(), 2, random);
    const hops = new Enumerator(random, entries, {
      relays: 1,
      ...(options.estimate && { estimate: options.estimate }),
    });
    for (const info of world.intermediaryInfos()) hops.relayPut(info);
    for (const info of world.exitInfos()) hops.exitPut(info);
    const told = options.told ?? ((plan: HopPlan) => plan);
    const supply = {
      hops: (count: number, now_us: number) => hops.hops(Math.min(count, exits), now_us).map(told),
      release: (exit: string, until_us?: number) => hops.release(exit, until_us),
    };
    this.policy = new EgressPolicy(this.#egress, supply, 0, options.choice);
    // ::ffff:10.0.0.0/104, TCP.
    this.#source.set([0xff, 0xff, 10, 0, 0, 0, 0, 0, 6], 10);
  }

  /** A try of a connection, from a source port that no other has: 256 connections to an address, 256 ports to a connection. */
  open(now_us: number, connection: number, tried: number, destination: number): Choice {
    const source = this.#source;
    source[13] = connection >>> 24;
    source[14] = connection >>> 16;
    source[15] = connection >>> 8;
    source[16] = connection;
    source[17] = tried;
    const hop = this.#options.pick?.(now_us, destination) ?? -1;
    return this.policy.open(now_us, source, this.#key(destination), hop);
  }

  #key(destination: number): string {
    if (destination >= this.#world.options.destinations) return `d${destination}.test:443`;
    let key = this.#keys[destination];
    if (key === undefined) {
      key = `d${destination}.test:443`;
      this.#keys[destination] = key;
    }
    return key;
  }

  /** N + (c / R) × S at this moment, or what the directory has where that is less. */
  floor(now_us: number): number {
    const floor = windowFloor(this.policy.options.window, this.#egress.connectionsPeak(now_us));
    return Math.min(floor, this.#world.options.exits);
  }

  /** Of a hop in the window, or one that was until just now. */
  way(hop: number): Way {
    const known = this.#ways[hop];
    const held = this.policy.window.get(hop);
    if (held === undefined || known?.serial === held.serial) return known as Way;
    const way = this.#made(held);
    this.#ways[hop] = way;
    return way;
  }

  #made({ path, serial }: WindowHop): Way {
    const [entry, intermediary, exit] = path.map((id) => Number(id.slice(1))) as [number, number, number];
    return { serial, exit, intermediary, path_us: this.#world.path_us(entry, intermediary, exit) };
  }

  record(at_us: number, flow: number, sent: number, received: number): void {
    const records = this.#records;
    const at = this.#recorded * EGRESS_RECORD;
    records[at] = flow;
    records[at + 1] = at_us;
    records[at + 2] = sent;
    records[at + 3] = received;
    records[at + 4] = Math.ceil(sent / 1202);
    records[at + 5] = Math.ceil(received / 1202);
    if (++this.#recorded === RECORDS) this.flush(at_us);
  }

  flush(now_us: number): void {
    if (this.#recorded === 0) return;
    this.#egress.record(now_us, this.#records, this.#recorded);
    this.#recorded = 0;
  }

  close(): void {
    this.#egress.close();
  }
}
