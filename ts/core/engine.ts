/**
 * The sans-IO engine as both bindings export it (`crates/embed`): flat calls, bytes in batches. `ts/host` makes a `NodeHost` of it.
 *
 * `now_us` counts microseconds from an origin of the caller's and never falls. Bytes are copied in and out. After any call that
 * changed something: take `outputs` until there are none, then `events`, then sleep until `nextTimeout`.
 *
 * Errors are thrown as `code: text`, codes as everywhere (drop reasons or error codes).
 */

import type { CreditOptions } from './credit.js';

/** Records of `outputs`: `kind u8 | link u32 | length u32 | bytes`, integers big-endian. */
export const OUTPUT_PACKET = 1;
export const OUTPUT_CONTROL = 2;
export const OUTPUT_HEADER_BYTES = 9;
/** A buffer for `outputs` must hold at least this much: the largest record. */
export const OUTPUT_BYTES_MIN = 16 * 1024;

/** Results of `flowRead` and `flowWrite` that are no byte counts. */
export const FLOW_BLOCKED = 0;
export const FLOW_FINISHED = -1;
export const FLOW_CLOSED = -2;

export interface EngineOptions {
  roles: { client: boolean; relay: boolean; exit: boolean };
  /** The onion keys are made in this run; else set-ups stamped before the start are refused. */
  freshKeys: boolean;
  limits?: { circuits?: number; setupsPerSecond?: number; readerBytes?: number; windowBytesMax?: number };
  /** How accounts with neighbours are kept; `capacity` is `limits.circuits`. */
  credits?: CreditOptions;
}

export type EngineEvent =
  /** Both identities are proven and a version is agreed on: packets may flow. */
  | { type: 'link_up'; link: number; peer: string; version: number }
  /** Close the session: the link cannot begin, or its peer broke the rules. The engine has forgotten it. */
  | { type: 'link_close'; link: number; reason: string }
  | { type: 'next_hop_wanted'; peer: string }
  | { type: 'circuit_up'; circuit: number }
  | { type: 'circuit_down'; circuit: number; reason: string }
  | { type: 'circuit_worn'; circuit: number }
  | { type: 'connection_up'; connection: number }
  | { type: 'connection_down'; connection: number; reason: string }
  | { type: 'connection_stalled'; connection: number; circuit: number; silent_ms: number }
  | { type: 'flow_opened'; flow: number; local: string | null }
  /** At an exit: a client wants this; answer with `flowAccept` or `flowRefuse`. */
  | { type: 'flow_requested'; flow: number; host: string; port: number }
  | { type: 'flow_readable'; flow: number }
  | { type: 'flow_writable'; flow: number }
  | { type: 'flow_closed'; flow: number; reason: string };

export interface EngineBinding {
  /** This node's id, 64 hex digits. */
  id(): string;

  /**
   * A session stands. `peer` is whom we dialled, or '' for one who called; `binding` holds the hashes (32 bytes each) of the
   * certificates that a dialler's transport accepts, or the one hash of our own certificate, or nothing. `proven` is the peer's id
   * where the transport itself has proven it, else ''. Datagrams carry up to `mtu` bytes.
   */
  linkStart(
    now_us: number,
    link: number,
    dialling: boolean,
    peer: string,
    proven: string,
    binding: Uint8Array,
    mtu: number,
  ): void;
  linkMtu(link: number, mtu: number): void;
  /** The session is gone. */
  linkStop(now_us: number, link: number): void;
  /** Bytes that came on the control stream. */
  handleControl(now_us: number, link: number, bytes: Uint8Array): void;
  /** Datagrams that came, each behind its length (u16). */
  handlePackets(now_us: number, link: number, batch: Uint8Array): void;
  handleTimeout(now_us: number, unix_ms: number): void;

  /** Fills `buffer` with whole records; how many bytes. 0 when there is nothing left. */
  outputs(now_us: number, buffer: Uint8Array): number;
  /** A JSON array of `EngineEvent`; '' when there is none. */
  events(): string;
  /** When to call `handleTimeout`; -1 for never. */
  nextTimeout(now_us: number): number;

  /** 32-byte seeds one after the other, the current one first. */
  setOnionKeys(seeds: Uint8Array): void;
  setForwarding(on: boolean): void;
  drain(): void;
  nextHopUnreachable(now_us: number, peer: string): void;

  /** `hops`: id (32) and onion key (1216) of each, one after the other; `suite` '' for what suits this CPU; `flow` a class of credits, 0 for none. */
  circuitOpen(now_us: number, hops: Uint8Array, sizeClass: string, suite: string, flow: number): number;
  circuitClose(now_us: number, circuit: number): void;
  /** JSON of `CircuitStats` without its circuit and role, or ''. */
  circuitStats(circuit: number): string;
  /** What this engine adds to a circuit that begins or ends here: a class of credits per second, 0 (none) to 8. */
  circuitFlow(now_us: number, circuit: number, creditClass: number): void;
  /** JSON of `NodeCredits`. */
  credits(now_us: number): string;
  /** JSON of `CircuitCredits[]`. */
  creditsCircuits(): string;
  /** JSON of `KeptAccount[]`. */
  creditsExport(now_us: number): string;
  /** Ids with a space between each, and five numbers for each, as `NodeHost.creditsRestore` has them. */
  creditsRestore(now_us: number, ago_us: number, peers: string, numbers: Float64Array): number;
  /** Rules as `NodeHost.creditsAdd` has them. */
  creditsAdd(rules: string): void;
  /** Tells neighbours what they have here. */
  creditsReport(now_us: number): void;
  /** JSON of `CreditOptions`. */
  creditsConfigure(now_us: number, json: string): void;
  connectionOpen(now_us: number, circuit: number): number;
  connectionMove(now_us: number, connection: number, circuit: number): void;
  connectionClose(now_us: number, connection: number): void;

  flowOpen(now_us: number, connection: number, host: string, port: number): number;
  flowAccept(now_us: number, flow: number, local: string): void;
  /** `code`: the drop reason or status name that the client is told. */
  flowRefuse(now_us: number, flow: number, code: string): void;
  /** Bytes put into `buffer` (and counted as read), or one of the results above. */
  flowRead(now_us: number, flow: number, buffer: Uint8Array): number;
  /** Bytes taken from the front of `data`, or one of the results above. */
  flowWrite(now_us: number, flow: number, data: Uint8Array): number;
  flowFinish(now_us: number, flow: number): void;
  flowReset(now_us: number, flow: number): void;
  /** Forgets a flow that both sides have finished, or that was reset. */
  flowRelease(now_us: number, flow: number): void;

  /** JSON: `{relayed, exit, client, circuits, reader_bytes, drops}` in the names of `HostStats` (packets and bytes; no flows). */
  stats(): string;
  /** Frees what it holds and wipes its keys; every later call throws `closed`. */
  close(): void;
}

/** Makes an engine. `randomSeed` (32 bytes) must be unpredictable in a real node. */
export type CreateEngine = (
  options: EngineOptions,
  identitySeed: Uint8Array,
  randomSeed: Uint8Array,
  now_us: number,
  unix_ms: number,
) => EngineBinding;
