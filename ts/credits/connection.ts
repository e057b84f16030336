/** A connection over a path of simulated nodes, with data in one direction. */
import { CREDIT_BACKWARD, CREDIT_FORWARD } from '../core/credit.js';
import type { FluidFlow } from './fluid.js';
import type { SimulatedNode } from './node.js';

/** The connection at one node. */
export interface Hop {
  connection: Connection;
  node: SimulatedNode;
  /** Position on the path; 0 is the client. */
  at: number;
  /** The kernel's. */
  id: number;
}

export interface ConnectionOptions {
  /** Nodes, the client first, the server last. Where they are not distinct, a node has several hops. */
  path: readonly number[];
  /** What the client announces. */
  own: number;
  /** Whether data go to the server or come from it. */
  up?: boolean;
  /** Bytes per second asked for, at most. */
  demand?: number;
  /** Bytes to move; then it ends. */
  bytes?: number;
  /** When it ends whatever has been moved. */
  until_us?: number;
  /** What the server adds. */
  serverOwn?: number;
  /** Whom it is counted under. */
  group?: number;
  /** The last node keeps what comes to it instead of turning it round: credits only, no data. */
  keeps?: boolean;
}

export class Connection {
  readonly path: readonly number[];
  readonly hops: Hop[] = [];
  readonly up: boolean;
  readonly flow: FluidFlow;
  readonly group: number;
  readonly until_us: number;
  readonly opened_us: number;
  /** Left to move, and moved. */
  left: number;
  moved = 0;
  /** Position in the network's list; -1 once it is closed. */
  place = -1;
  readonly keeps: boolean;
  /** By a node that dropped it. */
  dropped = false;

  constructor(options: ConnectionOptions, now_us: number, link: (from: number, to: number) => number) {
    const { path, up = true, demand = Number.MAX_VALUE, bytes = Number.POSITIVE_INFINITY } = options;
    this.path = path;
    this.up = up;
    this.left = bytes;
    this.until_us = options.until_us ?? Number.POSITIVE_INFINITY;
    this.group = options.group ?? 0;
    this.keeps = options.keeps ?? false;
    this.opened_us = now_us;
    const way = up ? path : [...path].reverse();
    const links: number[] = [];
    for (let i = 1; i < way.length; i++) links.push(link(way[i - 1] as number, way[i] as number));
    this.flow = { links, weights: links.map(() => 1), demand, rate: 0, waits: -1 };
  }

  get direction(): number {
    return this.up ? CREDIT_FORWARD : CREDIT_BACKWARD;
  }

  /** Which of the flow's links a hop sends to; -1 for the one that only receives. */
  linkOf(hop: Hop): number {
    const at = this.up ? hop.at : this.path.length - 1 - hop.at;
    return at < this.flow.links.length ? at : -1;
  }

  /** The other way round. */
  hopOf(link: number): Hop {
    return this.hops[this.up ? link : this.path.length - 1 - link] as Hop;
  }
}
