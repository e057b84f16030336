/**
 * One seed: a network of whole nodes through faults and back to health, with what must hold checked all the way.
 *
 * - nothing is delivered twice or altered, at either end;
 * - once the network is well, every stream ends, well or with an error, and new ones work;
 * - no circuit, flow or origin's connection is left when it is over;
 * - every packet that reached a node was passed on, delivered, or dropped for a reason that is counted.
 */
import type { Log } from '../base/ports.js';
import type { Core } from '../core/core.js';
import type { CreateEgress } from '../core/egress.js';
import type { CreateEngine } from '../core/engine.js';
import type { BootstrapPeer } from '../session/neighbours.js';
import { type Outcome, runFlow } from './fetch.js';
import { SimNetwork } from './network.js';
import { SimNode } from './node.js';
import { type Fault, type FlowPlan, planOf } from './plan.js';
import { SeededRandom } from './random.js';
import { VirtualTime } from './time.js';
import { Trace } from './trace.js';

/** However wrong the clocks are, within what one may be. */
const READY_MS = 20_000;
/** Within this after the network is well again, every stream has ended. */
const SETTLE_MS = 90_000;
/** And a new one works: an exit that came back refuses set-ups of the minutes before it (docs/threats.md). */
const WORKS_MS = 300_000;
/** After the client has left, its exits hear so by their idle timeout (30 s). */
const FORGET_MS = 45_000;
/** A client closes its circuits after five minutes without streams. */
const UNUSED_MS = 330_000;
/** Of streams whose end could not be told, an exit hears by its inner idle timeout (30 s). */
const LET_GO_MS = 35_000;

export interface SeedResult {
  seed: number;
  hash: string;
  /** What did not hold; empty for a good run. */
  failures: string[];
  outcomes: Record<Outcome, number>;
  virtual_ms: number;
  events: number;
  datagrams: { delivered: number; lost: number; blocked: number; duplicated: number };
  drops: Record<string, number>;
}

export interface SimParts {
  core: Core;
  createEngine: CreateEngine;
  createEgress: CreateEgress;
  log?: Log;
  /** Takes every line of the trace. */
  sink?: (line: string) => void;
}

export async function runSeed(seed: number, parts: SimParts): Promise<SeedResult> {
  const run = new Run(seed, parts);
  try {
    await run.all();
  } catch (error) {
    run.fault(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  await run.close();
  return run.result();
}

class Run {
  readonly #seed: number;
  readonly #time = new VirtualTime();
  readonly #trace: Trace;
  readonly #network: SimNetwork;
  readonly #nodes = new Map<string, SimNode>();
  readonly #failures: string[] = [];
  readonly #outcomes = new Map<number, Outcome>();
  readonly #drops: Record<string, number> = {};
  readonly #plan;

  constructor(seed: number, parts: SimParts) {
    this.#seed = seed;
    this.#trace = new Trace(this.#time, parts.sink);
    this.#plan = planOf(seed);
    const random = new SeededRandom(`run ${seed}`);
    const { weather, mtu } = this.#plan;
    this.#network = new SimNetwork({ time: this.#time, random: random.fork('net'), trace: this.#trace, weather, mtu });
    for (const plan of this.#plan.nodes) {
      this.#nodes.set(
        plan.name,
        new SimNode({
          plan,
          ...parts,
          time: this.#time,
          network: this.#network,
          random: random.fork(plan.name),
          trace: this.#trace,
          fault: (what) => this.fault(what),
        }),
      );
    }
  }

  fault(what: string): void {
    this.#trace.record(`FAULT ${what}`);
    if (this.#failures.length < 20) this.#failures.push(`at ${Math.round(this.#time.now_us / 1000)} ms: ${what}`);
  }

  async all(): Promise<void> {
    const bootstrap: BootstrapPeer[] = [];
    for (const node of this.#nodes.values()) {
      const started = await this.#finish(node.start(bootstrap), 1_000, `${node.plan.name} starts`);
      if (bootstrap.length < 2) bootstrap.push({ id: started.id, address: node.plan.address });
    }
    const client = this.#client();
    await this.#finish(client.ready(), READY_MS, 'the client finds a path');
    this.#trace.record('the client has a path');
    for (const fault of this.#plan.faults) this.#schedule(fault, bootstrap);
    for (const flow of this.#plan.flows) this.#time.schedule(flow.at_ms * 1000, () => void this.#fetch(flow));
    await this.#time.pass(this.#plan.heal_ms * 1000);
    this.#trace.record('the network is well');
    this.#network.heal();

    await this.#time.pass(SETTLE_MS * 1000, () => this.#outcomes.size === this.#plan.flows.length);
    for (const { key, kind } of this.#plan.flows)
      if (!this.#outcomes.has(key)) this.fault(`flow ${key} (${kind}) hangs`);
    await this.#works();
    await this.#leaves();
  }

  /** A new stream does what it should. */
  async #works(): Promise<void> {
    const end_us = this.#time.now_us + WORKS_MS * 1000;
    const again: FlowPlan = {
      key: 1000,
      kind: 'echo',
      at_ms: 0,
      bytes: 20_000,
      isolation: undefined,
      pace: undefined,
      abort_ms: undefined,
    };
    let last: Outcome = 'hangs';
    while (this.#time.now_us < end_us) {
      last = 'hangs';
      void runFlow(this.#client(), again, this.#time, (what) => this.fault(what)).then((outcome) => {
        last = outcome;
      });
      await this.#time.pass(end_us - this.#time.now_us, () => last !== 'hangs');
      this.#trace.record(`a new flow: ${last}`);
      if (last === 'done') return;
      await this.#time.pass(1_000_000);
    }
    this.fault(`no new flow works: ${last}`);
  }

  /** Nothing is left of the client's streams, nor of its circuits once it needs none or is gone. */
  async #leaves(): Promise<void> {
    for (const node of this.#nodes.values()) await this.#accounts(node);
    await this.#time.pass(LET_GO_MS * 1000);
    await this.#forgotten('after the last stream', false);
    const [client] = this.#of('client');
    if (this.#plan.end === 'close') await client?.close();
    if (this.#plan.end === 'crash') await client?.crash();
    await this.#time.pass((this.#plan.end === 'idle' ? UNUSED_MS : FORGET_MS) * 1000);
    await this.#forgotten(`after the client's ${this.#plan.end}`, true);
  }

  async #forgotten(when: string, circuitsToo: boolean): Promise<void> {
    for (const { plan, running, watch, origins } of this.#nodes.values()) {
      if (running === null) continue;
      const { host } = await running.status();
      const { circuits, reader_bytes } = watch.stats();
      const kept = { origins: origins.open, flows: host.exit.flows_open + host.client.flows_open, reader_bytes };
      const all = circuitsToo ? { ...kept, ...circuits } : kept;
      if (Object.values(all).some((count) => count > 0))
        this.fault(`${when} ${plan.name} keeps ${JSON.stringify(all)}`);
    }
  }

  /** What came at a node, against what it says became of it. */
  async #accounts(node: SimNode): Promise<void> {
    const { name, address } = node.plan;
    const { came, told } = node.watch.accounts();
    if (came > told) this.fault(`${name} lost ${came - told} of ${came} packets without a reason`);
    const drops: Record<string, number> = (await node.running?.status())?.host.drops ?? {};
    for (const [reason, count] of Object.entries(drops)) {
      if (count > 0) this.#drops[reason] = (this.#drops[reason] ?? 0) + count;
    }
    // Of a node that lost power, so did what it had counted.
    if (node.runs > 1) return;
    const { arrived, overflowed } = this.#network.given(address);
    const taken = node.watch.whole + node.watch.halves + (drops.link_gone ?? 0);
    if (arrived - overflowed > taken) this.fault(`${name} was given ${arrived - overflowed} datagrams, took ${taken}`);
  }

  async #fetch(plan: FlowPlan): Promise<void> {
    this.#trace.record(`flow ${plan.key} begins: ${plan.kind} ${plan.bytes}`);
    const outcome = await runFlow(this.#client(), plan, this.#time, (what) => this.fault(what));
    this.#trace.record(`flow ${plan.key}: ${outcome}`);
    this.#outcomes.set(plan.key, outcome);
  }

  #schedule(fault: Fault, bootstrap: BootstrapPeer[]): void {
    const during = (begin: () => void, end: () => void) => {
      const text = JSON.stringify(fault);
      this.#time.schedule(fault.at_ms * 1000, () => {
        this.#trace.record(`begins ${text}`);
        begin();
      });
      this.#time.schedule(fault.until_ms * 1000, () => {
        this.#trace.record(`ends ${text}`);
        end();
      });
    };
    const network = this.#network;
    if (fault.kind === 'partition') {
      const block = (blocked: boolean) => network.block(fault.from, fault.to, blocked);
      during(
        () => block(true),
        () => block(false),
      );
      return;
    }
    const node = this.#nodes.get(fault.node);
    if (node === undefined) return;
    if (fault.kind === 'crash') {
      const peers = bootstrap.filter((peer) => peer.address !== node.plan.address);
      during(
        () => {
          if (node.running !== null) void node.crash();
        },
        () => {
          if (node.running === null) void node.start(peers).catch((error) => this.fault(`no restart: ${error}`));
        },
      );
      return;
    }
    const block = (blocked: boolean) => {
      for (const other of this.#nodes.values()) {
        const [from, to] = fault.kind === 'deaf' ? [other, node] : [node, other];
        if (other !== node) network.block(from.plan.address, to.plan.address, blocked);
      }
    };
    during(
      () => block(true),
      () => block(false),
    );
  }

  async #finish<T>(promise: Promise<T>, within_ms: number, what: string): Promise<T> {
    let over = false;
    const ended = promise.finally(() => {
      over = true;
    });
    ended.catch(() => {});
    await this.#time.pass(within_ms * 1000, () => over);
    if (!over) throw new Error(`${what}: not within ${within_ms} ms`);
    return ended;
  }

  #client() {
    const running = this.#of('client')[0]?.running;
    if (running === null || running === undefined) throw new Error('there is no client');
    return running;
  }

  #of(role: string): SimNode[] {
    return [...this.#nodes.values()].filter((node) => node.plan.role === role);
  }

  async close(): Promise<void> {
    for (const node of this.#nodes.values()) await node.close().catch((error) => this.fault(`no end: ${error}`));
  }

  result(): SeedResult {
    const datagrams = { delivered: 0, lost: 0, blocked: 0, duplicated: 0 };
    for (const { counts } of this.#network.paths()) {
      for (const name of Object.keys(datagrams) as (keyof typeof datagrams)[]) datagrams[name] += counts[name];
    }
    const outcomes: Record<Outcome, number> = {};
    for (const outcome of this.#outcomes.values()) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    this.#trace.record(JSON.stringify([outcomes, datagrams, this.#drops]));
    return {
      seed: this.#seed,
      hash: this.#trace.digest(),
      failures: this.#failures,
      outcomes,
      virtual_ms: Math.round(this.#time.now_us / 1000),
      events: this.#trace.lines,
      datagrams,
      drops: this.#drops,
    };
  }
}
