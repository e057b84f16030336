/** Engines joined in memory, on virtual time: what one says is what the other hears, at once. */
import type { Core } from '../core/core.js';
import {
  type CreateEngine,
  type EngineBinding,
  type EngineEvent,
  type EngineOptions,
  OUTPUT_BYTES_MIN,
  OUTPUT_CONTROL,
  OUTPUT_HEADER_BYTES,
} from '../core/engine.js';

const START_MS = 1_800_000_000_000;
const MTU = 1400;

export const EVERY_ROLE: EngineOptions = { roles: { client: true, relay: true, exit: true }, freshKeys: true };

const seed = (byte: number) => new Uint8Array(32).fill(byte);

/** A datagram behind its length, as `handlePackets` takes it. */
export function behindLength(packet: Uint8Array): Uint8Array {
  const batch = new Uint8Array(2 + packet.length);
  new DataView(batch.buffer).setUint16(0, packet.length);
  batch.set(packet, 2);
  return batch;
}

export interface EngineNetwork {
  readonly nodes: EngineBinding[];
  readonly events: EngineEvent[][];
  now_us: number;
  /** Joins two nodes by a link of this number at both. */
  link(number: number, dialler: number, acceptor: number): void;
  /** `hops` of a path through these nodes. */
  hops(...path: number[]): Uint8Array;
  /** Moves what is due, and time when nothing is, until `done` says so; whether it did within ten seconds of virtual time. */
  run(done: () => boolean): boolean;
  /** The first event of a type, past or to come, taken out. */
  wait<T extends EngineEvent['type']>(node: number, type: T): Extract<EngineEvent, { type: T }>;
  close(): void;
}

export function engineNetwork(create: CreateEngine, core: Core, count: number): EngineNetwork {
  const nodes: EngineBinding[] = [];
  const events: EngineEvent[][] = [];
  const ends = new Map<number, [number, number]>();
  const buffer = new Uint8Array(OUTPUT_BYTES_MIN);
  for (let i = 0; i < count; i++) {
    const node = create(EVERY_ROLE, seed(i + 1), seed(i + 51), 0, START_MS);
    node.setOnionKeys(seed(i + 101));
    nodes.push(node);
    events.push([]);
  }

  const deliver = (from: number, bytes: Uint8Array) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const link = view.getUint32(at + 1);
      const end = at + OUTPUT_HEADER_BYTES + view.getUint32(at + 5);
      const data = bytes.subarray(at + OUTPUT_HEADER_BYTES, end);
      const [a, b] = ends.get(link) as [number, number];
      const to = nodes[from === a ? b : a] as EngineBinding;
      if (view.getUint8(at) === OUTPUT_CONTROL) to.handleControl(network.now_us, link, data);
      else to.handlePackets(network.now_us, link, behindLength(data));
      at = end;
    }
  };

  const network: EngineNetwork = {
    nodes,
    events,
    now_us: 0,
    link(number, dialler, acceptor) {
      const [a, b] = [nodes[dialler] as EngineBinding, nodes[acceptor] as EngineBinding];
      ends.set(number, [dialler, acceptor]);
      b.linkStart(network.now_us, number, false, '', '', seed(7), MTU);
      a.linkStart(network.now_us, number, true, b.id(), '', seed(7), MTU);
    },
    hops(...path) {
      const all = new Uint8Array(path.length * 1248);
      path.forEach((node, i) => {
        all.set(core.identityPublic(seed(node + 1)), i * 1248);
        all.set(core.onionPublic(seed(node + 101)), i * 1248 + 32);
      });
      return all;
    },
    run(done) {
      const end_us = network.now_us + 10e6;
      for (;;) {
        let moved = false;
        nodes.forEach((node, i) => {
          for (let n = node.outputs(network.now_us, buffer); n > 0; n = node.outputs(network.now_us, buffer)) {
            moved = true;
            deliver(i, buffer.slice(0, n));
          }
          const json = node.events();
          if (json !== '') events[i]?.push(...(JSON.parse(json) as EngineEvent[]));
        });
        if (done()) return true;
        if (moved) continue;
        const due = nodes.map((node) => node.nextTimeout(network.now_us)).filter((at) => at >= 0);
        const next = Math.max(Math.min(...due), network.now_us + 1);
        if (next > end_us) return false;
        network.now_us = next;
        for (const node of nodes) node.handleTimeout(next, START_MS + next / 1000);
      }
    },
    wait<T extends EngineEvent['type']>(node: number, type: T) {
      const list = events[node] as EngineEvent[];
      const index = () => list.findIndex((event) => event.type === type);
      if (!network.run(() => index() >= 0)) throw new Error(`${type} never came; had ${JSON.stringify(list)}`);
      return list.splice(index(), 1)[0] as Extract<EngineEvent, { type: T }>;
    },
    close() {
      for (const node of nodes) node.close();
    },
  };
  return network;
}
