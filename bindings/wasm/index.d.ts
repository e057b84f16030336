// What the generated module must be; ts/platform/wasm.test.ts holds the generated types against it.

/** Classes and functions of bindings/wasm/src, and how the module is set up. */
export class Engine {
  constructor(options_json: string, identity_seed: Uint8Array, random_seed: Uint8Array, now_us: number, unix_ms: number);
  free(): void;
  id(): string;
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
  linkStop(now_us: number, link: number): void;
  handleControl(now_us: number, link: number, bytes: Uint8Array): void;
  handlePackets(now_us: number, link: number, batch: Uint8Array): void;
  handleTimeout(now_us: number, unix_ms: number): void;
  outputs(now_us: number, buffer: Uint8Array): number;
  events(): string;
  nextTimeout(now_us: number): number;
  setOnionKeys(seeds: Uint8Array): void;
  setForwarding(on: boolean): void;
  drain(): void;
  nextHopUnreachable(now_us: number, peer: string): void;
  circuitOpen(now_us: number, hops: Uint8Array, size_class: string, suite: string): number;
  circuitClose(now_us: number, circuit: number): void;
  circuitStats(circuit: number): string;
  connectionOpen(now_us: number, circuit: number): number;
  connectionMove(now_us: number, connection: number, circuit: number): void;
  connectionClose(now_us: number, connection: number): void;
  flowOpen(now_us: number, connection: number, host: string, port: number): number;
  flowAccept(now_us: number, flow: number, local: string): void;
  flowRefuse(now_us: number, flow: number, code: string): void;
  flowRead(now_us: number, flow: number, buffer: Uint8Array): number;
  flowWrite(now_us: number, flow: number, data: Uint8Array): number;
  flowFinish(now_us: number, flow: number): void;
  flowReset(now_us: number, flow: number): void;
  flowRelease(now_us: number, flow: number): void;
  stats(): string;
  close(): void;
}

/** Lives in the module's memory until it is freed. */
export class VectorSummary {
  private constructor();
  free(): void;
  readonly cases: number;
  readonly suites: string[];
}

export function version(): string;
export function identityPublic(seed: Uint8Array): Uint8Array;
export function sign(seed: Uint8Array, message: Uint8Array): Uint8Array;
export function verify(public_key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
export function onionPublic(seed: Uint8Array): Uint8Array;
export function checkVectors(json: string): VectorSummary;
export function reasons(): string[];
/** The cipher suite that circuits get when none is asked for. */
export function preferredSuite(): string;

export type Source = ArrayBuffer | Uint8Array<ArrayBuffer> | URL | Response | string;
/** Compiles and starts the module; without a source it looks beside its JavaScript. */
export default function init(options?: { module_or_path: Source | Promise<Source> }): Promise<unknown>;
