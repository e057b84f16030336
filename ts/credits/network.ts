/**
 * Nodes that count credits with the shipping kernel, connections between them, and links as a fluid, on virtual time.
 *
 * Each step of `step_us`: every node with connections settles and says what it announces from now on; neighbours hear it; links
 * divide themselves by the kernels' weights; what waits is charged its weight times the time, and everybody is told its bytes.
 */

import { Chance } from '../base/chance.js';
import {
  CREDIT_ANNOUNCE,
  CREDIT_CHANGE,
  CREDIT_FORWARD,
  type CreateCredit,
  CreditChange,
  type CreditOptions,
} from '../core/credit.js';
import { Connection, type ConnectionOptions, type Hop } from './connection.js';
import { Fluid } from './fluid.js';
import { type Opening, SimulatedNode } from './node.js';

const S = 1_000_000;
/** Of the links' division in one step. */
const PASSES = 8;
/** No link: never saturated. */
export const FREE = -1;

export interface NetworkOptions {
  seed: number;
  create: CreateCredit;
  nodes: number;
  /** Of the kernels, by node. */
  credit?: (node: number) => CreditOptions;
  /** Which link data from one node to another take; `FREE` for one that is never full. */
  link?: (from: number, to: number) => number;
  /** Bytes per second of each link. */
  capacity?: ArrayLike<number>;
  step_us?: number;
  /** How often neighbours hear what is minted for them; left out: never. */
  reports_us?: number;
}

export interface Ended {
  connection: Connection;
  /** It has moved what it was to move, or stood as long as it was to. */
  done: boolean;
}

/** What a node hears of a neighbour: the ids of each at the other, what was told last, and which revision of the teller that was of. */
interface Heard {
  of: SimulatedNode;
  there: number;
  here: number;
  told: number;
  seen: number;
}

const changes = new Float64Array(CREDIT_CHANGE * 1024);
let weights = new Uint32Array(2048);

export class Network {
  now_us = 0;
  readonly step_us: number;
  readonly fluid: Fluid;
  readonly connections: Connection[] = [];
  readonly #options: NetworkOptions;
  readonly #nodes: (SimulatedNode | undefined)[];
  /** What each node hears of its neighbours, where there are reports. */
  readonly #heard = new Map<SimulatedNode, Heard[]>();
  readonly #active = new Map<SimulatedNode, number>();
  /** Announcements on their way: hop, direction, class. */
  #announced: { hop: Hop; direction: number; class: number }[] = [];
  opened = 0;
  refused = 0;
  onEnd: (ended: Ended) => void = () => {};
  /** Bytes by group of connections, since it was last emptied. */
  moved: number[] = [];

  constructor(options: NetworkOptions) {
    this.#options = options;
    this.step_us = options.step_us ?? S;
    this.fluid = new Fluid(options.capacity ?? [], PASSES);
    this.#nodes = new Array(options.nodes);
  }

  node(which: number): SimulatedNode {
    let node = this.#nodes[which];
    if (node === undefined) {
      const seed = new Uint8Array(32);
      new Chance(this.#options.seed, 1000 + which).fill(seed);
      const credit = { period_us: this.step_us, ...this.#options.credit?.(which) };
      node = new SimulatedNode(this.#options.create, credit, seed, this.now_us);
      this.#nodes[which] = node;
    }
    return node;
  }

  /** Two become neighbours; `a` keeps `ofB` of b. */
  meet(a: number, b: number, ofB: Opening = {}, ofA: Opening = {}): void {
    const [one, other] = [this.node(a), this.node(b)];
    one.meet(this.now_us, b, ofB);
    other.meet(this.now_us, a, ofA);
    if (this.#options.reports_us === undefined) return;
    const [here, there] = [one.id(b), other.id(a)];
    this.#hears(one, { of: other, there, here, told: -1, seen: -1 });
    this.#hears(other, { of: one, there: here, here: there, told: -1, seen: -1 });
  }

  #hears(node: SimulatedNode, heard: Heard): void {
    const all = this.#heard.get(node);
    if (all === undefined) this.#heard.set(node, [heard]);
    else all.push(heard);
  }

  /** What each mints for the other, heard by the other: what neighbours' reports are for. What is heard again changes nothing. */
  #report(): void {
    for (const [node, all] of this.#heard) {
      for (const heard of all) {
        const { of, there, here } = heard;
        if (of.revision === heard.seen) continue;
        heard.seen = of.revision;
        const increase = of.increase(this.now_us, there);
        if (increase === heard.told) continue;
        heard.told = increase;
        node.credit.neighbourExpect(this.now_us, here, increase);
      }
    }
  }

  /** `null` where a node on the way refuses it. */
  open(options: ConnectionOptions): Connection | null {
    const { link = () => FREE } = this.#options;
    const connection = new Connection(options, this.now_us, link);
    const { path } = connection;
    let announced = options.own;
    for (let at = 0; at < path.length; at++) {
      const node = this.node(path[at] as number);
      const id = node.credit.connectionOpen(this.now_us, node.id(path[at - 1]), node.id(path[at + 1]), announced);
      if (id < 0) {
        this.refused += 1;
        this.#leave(connection);
        return null;
      }
      const hop: Hop = { connection, node, at, id };
      connection.hops.push(hop);
      node.hops[id] = hop;
      node.open += 1;
      this.#active.set(node, path[at] as number);
      announced = 0;
      this.#take(node, (of, direction, announcedClass) => {
        if (of === hop && direction === CREDIT_FORWARD) announced = announcedClass;
        else this.#announced.push({ hop: of, direction, class: announcedClass });
      });
    }
    const end = connection.hops.at(-1) as Hop;
    if (connection.keeps) end.node.credit.connectionKeep(this.now_us, end.id);
    if (options.serverOwn !== undefined) end.node.credit.connectionOwn(this.now_us, end.id, options.serverOwn);
    connection.place = this.connections.push(connection) - 1;
    this.opened += 1;
    for (const hop of connection.hops) this.#weighOne(hop);
    return connection;
  }

  own(connection: Connection, own: number): void {
    const [client] = connection.hops;
    client?.node.flush();
    client?.node.credit.connectionOwn(this.now_us, client.id, own);
  }

  close(connection: Connection): void {
    if (connection.place < 0) return;
    const last = this.connections.pop() as Connection;
    if (last !== connection) {
      this.connections[connection.place] = last;
      last.place = connection.place;
    }
    connection.place = -1;
    this.#leave(connection);
  }

  #leave(connection: Connection): void {
    for (const { node, id } of connection.hops) {
      if (node.hops[id]?.connection !== connection) continue;
      node.flush();
      node.hops[id] = undefined;
      node.open -= 1;
      node.credit.connectionClose(this.now_us, id);
      if (node.open === 0) this.#active.delete(node);
    }
  }

  /** One step; links divide themselves as they stand at its end. */
  step(): void {
    this.now_us += this.step_us;
    const announce = (hop: Hop, direction: number, announced: number) =>
      this.#announced.push({ hop, direction, class: announced });
    // All that is asked of a node at a time is asked at once: its memory is far from that of the one before.
    for (const node of this.#active.keys()) {
      node.flush();
      node.revision += 1;
      if (node.credit.settle(this.now_us) > 0) this.#take(node, announce);
      this.#weigh(node);
    }
    this.#hear();
    const { reports_us } = this.#options;
    if (reports_us !== undefined && this.now_us % reports_us === 0) this.#report();
    this.#flow();
    this.#end();
  }

  /** What a node announces or drops. */
  #take(node: SimulatedNode, announce: (hop: Hop, direction: number, announced: number) => void): void {
    for (;;) {
      const count = node.credit.changes(changes);
      for (let i = 0; i < count; i++) {
        const at = CREDIT_CHANGE * i;
        const id = changes[at + CreditChange.connection] as number;
        const hop = node.hops[id];
        if (hop === undefined) continue;
        if (changes[at + CreditChange.kind] === CREDIT_ANNOUNCE)
          announce(hop, changes[at + CreditChange.direction] as number, changes[at + CreditChange.class] as number);
        else {
          node.hops[id] = undefined;
          node.open -= 1;
          hop.connection.dropped = true;
        }
      }
      if (count * CREDIT_CHANGE < changes.length) return;
    }
  }

  #hear(): void {
    const heard = this.#announced;
    this.#announced = [];
    for (const { hop, direction, class: announced } of heard) {
      const { connection, at } = hop;
      const other = connection.hops[direction === CREDIT_FORWARD ? at + 1 : at - 1];
      if (other === undefined || other.node.hops[other.id] !== other) continue;
      other.node.credit.connectionAnnounced(this.now_us, other.id, direction, announced);
      this.#weighOne(other);
    }
  }

  #weigh({ credit, hops }: SimulatedNode): void {
    const needed = 2 * hops.length;
    if (weights.length < needed) weights = new Uint32Array(2 * needed);
    credit.weights(weights);
    for (let id = 0; id < hops.length; id++) {
      const hop = hops[id];
      if (hop === undefined) continue;
      const { connection } = hop;
      const link = connection.linkOf(hop);
      if (link >= 0) connection.flow.weights[link] = Math.max(1, weights[2 * id + connection.direction] as number);
    }
  }

  #weighOne(hop: Hop): void {
    const { connection } = hop;
    const link = connection.linkOf(hop);
    if (link >= 0) connection.flow.weights[link] = Math.max(1, hop.node.credit.weight(hop.id, connection.direction));
  }

  #flow(): void {
    const dt = this.step_us / S;
    this.fluid.divide(this.connections.map(({ flow }) => flow));
    for (const connection of this.connections) {
      const { flow } = connection;
      if (connection.keeps) continue;
      const bytes = flow.rate * dt;
      connection.left -= bytes;
      connection.moved += bytes;
      this.moved[connection.group] = (this.moved[connection.group] ?? 0) + bytes;
      if (bytes === 0) continue;
      for (let link = 0; link < flow.links.length; link++) {
        const { node, id } = connection.hopOf(link);
        const credits = link === flow.waits ? (flow.weights[link] as number) * dt : 0;
        if (node.hops[id]?.connection === connection) node.charge(id, connection.direction, credits, Math.round(bytes));
      }
    }
  }

  #end(): void {
    for (let i = this.connections.length - 1; i >= 0; i--) {
      const connection = this.connections[i] as Connection;
      const done = connection.left <= 0 || this.now_us >= connection.until_us;
      if (!done && !connection.dropped) continue;
      this.close(connection);
      this.onEnd({ connection, done });
    }
  }

  /** Nodes that have connections. */
  active(each: (which: number, node: SimulatedNode) => void): void {
    for (const [node, which] of this.#active) each(which, node);
  }

  dispose(): void {
    for (const node of this.#nodes) node?.credit.close();
  }
}
