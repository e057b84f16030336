/**
 * `NodeHost` out of an engine, a clock and sessions: the host of browsers and of the simulator.
 *
 * Invariant: nothing here runs once per packet but its copy; after `close()` every call says that the node is closed.
 */
import { asWayfareError, UsageError, type WayfareError } from '../base/errors.js';
import { fromHex } from '../base/hex.js';
import type { EngineBinding, EngineEvent } from '../core/engine.js';
import type {
  CircuitSpec,
  CircuitStats,
  CreateHost,
  ExitRules,
  HostEvent,
  HostOptions,
  HostStats,
  NodeHost,
  OnionKeySeed,
} from '../core/host.js';
import type { AdoptingHost, ReachedReliably } from '../transport/reliable-ports.js';
import { ClientFlows } from './client-flows.js';
import { closedError, untilClosed } from './closing.js';
import { ended } from './errors.js';
import { ExitDesk } from './exit.js';
import { EngineFlows } from './flows.js';
import { HostLinks } from './links.js';
import type { HostParts, Transports } from './ports.js';
import { Pump } from './pump.js';
import { Waits } from './waits.js';

const ID_BYTES = 32;
const SEED_BYTES = 32;
const ONION_KEY_BYTES = 1216;

class EngineHost implements NodeHost, AdoptingHost {
  readonly id: string;
  readonly #engine: EngineBinding;
  readonly #transports: Transports;
  readonly #pump: Pump;
  readonly #links: HostLinks;
  readonly #engineFlows: EngineFlows;
  readonly #clientFlows: ClientFlows;
  readonly #exit: ExitDesk;
  readonly #circuits = new Waits<number>();
  readonly #connections = new Waits<number>();
  #events: HostEvent[] = [];
  #closing: Promise<void> | null = null;

  constructor(parts: HostParts, options: HostOptions, onEvents: (events: HostEvent[]) => void) {
    const { clock, dialler, defer } = parts;
    const origin_ms = clock.monotonic_ms();
    const engine = make(parts, options);
    this.#engine = engine;
    this.id = engine.id();
    this.#transports = parts.transports(options);
    this.#pump = new Pump({
      engine,
      clock,
      origin_ms,
      defer,
      handIn: (now_us) => this.#links.handIn(now_us),
      send: {
        packet: (link, bytes) => this.#links.sendPacket(link, bytes),
        control: (link, bytes) => this.#links.sendControl(link, bytes),
      },
      event: (event) => this.#event(event),
      flush: () => {
        const events = this.#events;
        this.#events = [];
        if (events.length > 0) onEvents(events);
      },
    });
    const ports = { engine, clock, now_us: () => this.#pump.now_us(), wake: () => this.#pump.wake() };
    const tell = (event: HostEvent) => {
      this.#events.push(event);
      this.#pump.wake();
    };
    this.#links = new HostLinks({ ...ports, transports: this.#transports, self: this.id, tell });
    this.#engineFlows = new EngineFlows(ports);
    this.#clientFlows = new ClientFlows({ flows: this.#engineFlows, clock, tell });
    this.#exit = new ExitDesk({ ...ports, flows: this.#engineFlows, dialler });
  }

  start(): Promise<string[]> {
    return this.#transports.start((reached) => this.#links.accept(reached));
  }

  linkOpen(peer: string, addresses: string[], certificateHashes: Uint8Array[] = []): Promise<number> {
    return this.#links.dial(peer, addresses, certificateHashes);
  }

  linkAdopt(peer: string, { kind: transport, ...reached }: ReachedReliably): Promise<number> {
    return this.#links.adopt(peer, { ...reached, transport });
  }

  linkClose(link: number, reason: string): void {
    this.#links.close(link, reason);
  }

  nextHopUnreachable(peer: string): void {
    this.#call((engine, now_us) => engine.nextHopUnreachable(now_us, peer));
  }

  streamOpen(link: number): Promise<number> {
    return this.#links.openStream(link);
  }

  streamRead(stream: number): Promise<Uint8Array | null> {
    return this.#links.streams.read(stream);
  }

  streamWrite(stream: number, data: Uint8Array): Promise<void> {
    return this.#links.streams.write(stream, data);
  }

  streamFinish(stream: number): void {
    this.#links.streams.finish(stream);
  }

  streamReset(stream: number): void {
    this.#links.streams.reset(stream);
  }

  datagramSend(link: number, data: Uint8Array): void {
    this.#links.get(link)?.sendApplication(data);
  }

  setOnionKeys(keys: OnionKeySeed[]): void {
    const seeds = new Uint8Array(SEED_BYTES * keys.length);
    keys.forEach(({ seed }, i) => {
      seeds.set(seed, i * SEED_BYTES);
    });
    this.#call((engine) => engine.setOnionKeys(seeds));
    seeds.fill(0);
  }

  setExitRules(rules: ExitRules): void {
    this.#exit.rules = rules;
  }

  setForwarding(on: boolean): void {
    this.#call((engine) => engine.setForwarding(on));
  }

  drain(): void {
    this.#call((engine) => engine.drain());
  }

  async circuitOpen({ hops, sizeClass = 'L', suite, flow = 0 }: CircuitSpec): Promise<number> {
    const packed = new Uint8Array((ID_BYTES + ONION_KEY_BYTES) * hops.length);
    hops.forEach(({ id, onionKey }, i) => {
      if (onionKey.length !== ONION_KEY_BYTES)
        throw new UsageError('argument_invalid', `an onion key has ${ONION_KEY_BYTES} bytes, not ${onionKey.length}`);
      packed.set(fromHex(id), i * (ID_BYTES + ONION_KEY_BYTES));
      packed.set(onionKey, i * (ID_BYTES + ONION_KEY_BYTES) + ID_BYTES);
    });
    return this.#circuits.add(
      this.#call((engine, now_us) => engine.circuitOpen(now_us, packed, sizeClass, suite ?? '', flow)),
    );
  }

  circuitClose(circuit: number): void {
    this.#call((engine, now_us) => engine.circuitClose(now_us, circuit));
  }

  circuitStats(circuit: number): CircuitStats | null {
    const json = this.#call((engine) => engine.circuitStats(circuit));
    return json === '' ? null : { circuit, role: 'client', ...JSON.parse(json) };
  }

  circuitFlow(circuit: number, creditClass: number): void {
    this.#call((engine, now_us) => engine.circuitFlow(now_us, circuit, creditClass));
  }

  credits(): string {
    return this.#call((engine, now_us) => engine.credits(now_us));
  }

  creditsCircuits(): string {
    return this.#call((engine) => engine.creditsCircuits());
  }

  creditsExport(): string {
    return this.#call((engine, now_us) => engine.creditsExport(now_us));
  }

  creditsRestore(ago_us: number, peers: string[], numbers: Float64Array): number {
    return this.#call((engine, now_us) => engine.creditsRestore(now_us, ago_us, peers.join(' '), numbers));
  }

  creditsAdd(rules: string): void {
    this.#call((engine) => engine.creditsAdd(rules));
  }

  creditsReport(): void {
    this.#call((engine, now_us) => engine.creditsReport(now_us));
  }

  creditsConfigure(json: string): void {
    this.#call((engine, now_us) => engine.creditsConfigure(now_us, json));
  }

  async connectionOpen(circuit: number): Promise<number> {
    return this.#connections.add(this.#call((engine, now_us) => engine.connectionOpen(now_us, circuit)));
  }

  connectionMove(connection: number, circuit: number): void {
    try {
      this.#call((engine, now_us) => engine.connectionMove(now_us, connection, circuit));
      this.#events.push({ type: 'connection_moved', connection, circuit });
    } catch (error) {
      this.#events.push({ type: 'connection_down', connection, reason: asWayfareError(error).code });
      this.#pump.wake();
    }
  }

  connectionClose(connection: number): void {
    this.#call((engine, now_us) => engine.connectionClose(now_us, connection));
  }

  async flowOpen(connection: number, host: string, port: number): Promise<{ flow: number; local: string }> {
    return this.#clientFlows.open(this.#call((engine, now_us) => engine.flowOpen(now_us, connection, host, port)));
  }

  flowRead(flow: number): Promise<Uint8Array | null> {
    return this.#clientFlows.read(flow);
  }

  flowWrite(flow: number, data: Uint8Array): Promise<void> {
    return this.#clientFlows.write(flow, data);
  }

  flowFinish(flow: number): void {
    this.#clientFlows.finish(flow);
  }

  flowReset(flow: number): void {
    this.#clientFlows.reset(flow);
  }

  socksListen(): Promise<never> {
    return Promise.reject(noProxy());
  }

  httpListen(): Promise<never> {
    return Promise.reject(noProxy());
  }

  // There is no proxy that these could be about.
  proxyClose(): void {}
  proxyAssign(): void {}
  proxyAccept(): void {}
  proxyRefuse(): void {}
  proxyMoved(): Promise<Float64Array> {
    return Promise.resolve(new Float64Array());
  }

  async stats(): Promise<HostStats> {
    const { relayed, circuits, reader_bytes, drops } = JSON.parse(this.#call((engine) => engine.stats())) as HostStats;
    for (const [reason, count] of Object.entries(this.#links.drops)) drops[reason] = (drops[reason] ?? 0) + count;
    return {
      links: this.#links.stats(),
      relayed,
      exit: { ...this.#exit.stats },
      client: { ...this.#clientFlows.stats },
      circuits,
      reader_bytes,
      cpu_us: 0,
      drops,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    // What was closed just before is still to be told to the neighbours.
    this.#pump.turn();
    this.#pump.close();
    const error = closedError();
    this.#circuits.rejectAll(error);
    this.#connections.rejectAll(error);
    this.#clientFlows.closeAll(error);
    this.#exit.close();
    this.#engineFlows.shut();
    this.#links.closeAll();
    this.#engine.close();
    await this.#transports.close();
  }

  #call<T>(call: (engine: EngineBinding, now_us: number) => T): T {
    const result = call(this.#engine, this.#pump.now_us());
    this.#pump.wake();
    return result;
  }

  #event(event: EngineEvent): void {
    switch (event.type) {
      case 'link_up':
      case 'link_close':
        this.#links.event(event);
        break;
      case 'circuit_up':
        this.#circuits.resolve(event.circuit, event.circuit);
        break;
      case 'circuit_down':
        if (!this.#circuits.reject(event.circuit, ended('the circuit failed', event.reason))) this.#events.push(event);
        break;
      case 'connection_up':
        this.#connections.resolve(event.connection, event.connection);
        break;
      case 'connection_down':
        if (!this.#connections.reject(event.connection, ended('the connection failed', event.reason)))
          this.#events.push(event);
        break;
      case 'flow_opened':
        this.#clientFlows.opened(event.flow, event.local ?? '');
        break;
      case 'flow_requested':
        void this.#exit.serve(event.flow, event.host, event.port);
        break;
      case 'flow_readable':
        this.#engineFlows.readable(event.flow);
        break;
      case 'flow_writable':
        this.#engineFlows.writable(event.flow);
        break;
      case 'flow_closed':
        this.#engineFlows.closed(event.flow, event.reason);
        break;
      default:
        this.#events.push(event);
    }
  }
}

function make(parts: HostParts, { roles, freshKeys = false, limits, identitySeed }: HostOptions): EngineBinding {
  const randomSeed = new Uint8Array(SEED_BYTES);
  parts.random.fill(randomSeed);
  const options = { roles, freshKeys, ...(limits !== undefined && { limits }) };
  try {
    return parts.createEngine(options, identitySeed, randomSeed, 0, Math.floor(parts.clock.now_ms()));
  } finally {
    randomSeed.fill(0);
  }
}

function noProxy(): WayfareError {
  return new UsageError('unsupported', 'this node has no sockets, so it cannot listen as a proxy', {
    hint: 'use dial() or fetch(), or run a node on Node.js',
  });
}

/** Makes hosts over these parts. */
export function engineHosts(parts: HostParts): CreateHost {
  return (options, onEvents) => untilClosed(new EngineHost(parts, options, onEvents));
}
