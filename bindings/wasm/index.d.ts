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
  circuitOpen(now_us: number, hops: Uint8Array, size_class: string, suite: string, flow: number): number;
  circuitClose(now_us: number, circuit: number): void;
  circuitStats(circuit: number): string;
  circuitFlow(now_us: number, circuit: number, credit_class: number): void;
  credits(now_us: number): string;
  creditsCircuits(): string;
  creditsExport(now_us: number): string;
  creditsRestore(now_us: number, ago_us: number, peers: string, numbers: Float64Array): number;
  creditsAdd(rules: string): void;
  creditsReport(now_us: number): void;
  creditsConfigure(now_us: number, options: string): void;
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

export class Egress {
  constructor(options_json: string, random_seed: Uint8Array, now_us: number);
  free(): void;
  setWeighting(json: string): void;
  hopAdd(now_us: number, estimate: number): number;
  hopEstimate(hop: number, estimate: number): void;
  hopRemove(now_us: number, hop: number): void;
  hopRelease(hop: number): boolean;
  hopExclude(hop: number, until_us: number): void;
  destination(now_us: number, key: string): number;
  destinationKey(destination: number): string;
  pairExclude(now_us: number, hop: number, destination: number, until_us: number): void;
  connections(now_us: number, destination: number, span_us: number): number;
  connectionsPeak(now_us: number): number;
  draw(now_us: number, destination: number, avoid: Uint32Array, out: Uint32Array): number;
  lastHow(): number;
  retryOf(now_us: number, source: Uint8Array, destination: number, out: Uint32Array): number;
  flowFind(source: Uint8Array, destination: number): number;
  flowOpen(
    now_us: number,
    source: Uint8Array,
    destination: number,
    hop: number,
    avoid: Uint32Array,
    out: Float64Array,
  ): number;
  flowMove(now_us: number, flow: number, hop: number): boolean;
  flowClose(now_us: number, flow: number, failed: boolean): void;
  flowForget(flow: number): void;
  attemptOpen(now_us: number, destination: number, hop: number): void;
  attemptClose(now_us: number, destination: number, hop: number, failed: boolean): void;
  record(now_us: number, records: Float64Array, count: number): number;
  recordTuples(now_us: number, sources: Uint8Array, records: Float64Array, count: number): number;
  hops(now_us: number, out: Float64Array): number;
  pairs(now_us: number, destination: number, out: Float64Array): number;
  destinations(now_us: number, from: number, out: Float64Array): number;
  flows(from: number, out: Float64Array): number;
  groups(now_us: number, tolerance_us: number): string;
  stats(): string;
  close(): void;
}

export class Credit {
  constructor(options_json: string, random_seed: Uint8Array, now_us: number);
  free(): void;
  configure(now_us: number, json: string): void;
  neighbourAdd(now_us: number, opening: Float64Array): number;
  neighbourRemove(now_us: number, neighbour: number): void;
  neighbourExpect(now_us: number, neighbour: number, per_second: number): void;
  neighbourReport(now_us: number, neighbour: number, balance: number, per_second: number): boolean;
  account(now_us: number, neighbour: number): number;
  mirror(now_us: number, neighbour: number): number;
  spend(now_us: number, neighbour: number, credits: number): number;
  earn(now_us: number, neighbour: number, credits: number): number;
  connectionOpen(now_us: number, previous: number, next: number, announced: number): number;
  connectionAnnounced(now_us: number, connection: number, direction: number, announced: number): boolean;
  connectionOwn(now_us: number, connection: number, own: number): void;
  connectionKeep(now_us: number, connection: number): void;
  connectionClose(now_us: number, connection: number): void;
  charge(connection: number, direction: number, credits: number, bytes: number): void;
  charges(records: Float64Array, count: number): number;
  weight(connection: number, direction: number): number;
  weights(out: Uint32Array): number;
  settle(now_us: number): number;
  changes(out: Float64Array): number;
  neighbour(now_us: number, neighbour: number, out: Float64Array): void;
  neighbours(now_us: number, from: number, out: Float64Array): number;
  connection(connection: number, out: Float64Array): void;
  connections(from: number, out: Float64Array): number;
  books(now_us: number, out: Float64Array): void;
  digest(): string;
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
