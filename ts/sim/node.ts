/** A node of the simulation: the shipping `createNode()` on virtual time, which can lose power and come back with its store. */

import { toHex } from '../base/hex.js';
import type { Log, Store } from '../base/ports.js';
import type { Core } from '../core/core.js';
import type { CreateEgress } from '../core/egress.js';
import type { CreateEngine } from '../core/engine.js';
import type { CreateHost } from '../core/host.js';
import { engineHosts } from '../host/engine-host.js';
import { createNodeOn } from '../runtime/create.js';
import { MemoryStore } from '../runtime/memory-store.js';
import type { WayfareNode } from '../runtime/node.js';
import type { BootstrapPeer } from '../session/neighbours.js';
import type { SimNetwork } from './network.js';
import { SimOrigins } from './origin.js';
import type { NodePlan } from './plan.js';
import type { SeededRandom } from './random.js';
import { NodeClock, type VirtualTime } from './time.js';
import type { Trace } from './trace.js';
import { EngineWatch } from './watch.js';

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

export interface SimNodeParts {
  plan: NodePlan;
  core: Core;
  createEngine: CreateEngine;
  createEgress: CreateEgress;
  time: VirtualTime;
  network: SimNetwork;
  random: SeededRandom;
  trace: Trace;
  fault(what: string): void;
  log?: Log;
}

export class SimNode {
  readonly plan: NodePlan;
  readonly origins: SimOrigins;
  readonly watch = new EngineWatch();
  readonly #parts: SimNodeParts;
  readonly #store: Store = new MemoryStore();
  #clock: NodeClock;
  #node: WayfareNode | null = null;
  #runs = 0;

  constructor(parts: SimNodeParts) {
    this.plan = parts.plan;
    this.#parts = parts;
    this.#clock = new NodeClock(parts.time, parts.plan.skew_ms);
    const address = parts.plan.address.replace(/:\d+$/, '');
    this.origins = new SimOrigins({ address, fault: parts.fault });
  }

  /** How often it was switched on. */
  get runs(): number {
    return this.#runs;
  }

  /** `null` while it has no power. */
  get running(): WayfareNode | null {
    return this.#node;
  }

  async start(bootstrap: BootstrapPeer[]): Promise<WayfareNode> {
    const { plan, core, time, trace, log = quiet } = this.#parts;
    this.#runs += 1;
    this.#clock = new NodeClock(time, plan.skew_ms);
    trace.record(`${plan.name} starts`);
    const random = this.#parts.random.fork(`run ${this.#runs}`);
    const node = await createNodeOn(
      { roles: [plan.role], listen: [plan.address], bootstrap, dataDir: plan.name },
      {
        core,
        createHost: this.#hosts(random),
        createEgress: this.#parts.createEgress,
        clock: this.#clock,
        random,
        log: log.child({ node: plan.name }),
        openStore: async () => ({ store: this.#store }),
      },
    );
    this.#node = node;
    return node;
  }

  /** Off, without a word to anyone. */
  async crash(): Promise<void> {
    const { plan, network, trace } = this.#parts;
    trace.record(`${plan.name} crashes`);
    this.#clock.stop();
    network.crash(plan.address);
    const node = this.#node;
    this.#node = null;
    // Nobody hears of it; it only frees memory.
    await node?.close();
  }

  async close(): Promise<void> {
    const node = this.#node;
    this.#node = null;
    await node?.close();
  }

  #hosts(random: SeededRandom): CreateHost {
    const { plan, core, createEngine, network, trace } = this.#parts;
    const clock = this.#clock;
    const create = engineHosts({
      createEngine: this.watch.watching(createEngine),
      clock,
      random,
      transports: ({ identitySeed }) =>
        network.transports(toHex(core.identityPublic(identitySeed)), plan.address, plan.proves),
      ...(plan.role === 'exit' && { dialler: this.origins }),
      defer: (turn) => clock.defer(turn),
    });
    return (options, onEvents) =>
      create(options, (events) => {
        for (const event of events) trace.record(`${plan.name} ${JSON.stringify(event)}`);
        onEvents(events);
      });
  }
}
