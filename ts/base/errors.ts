/**
 * Typed errors: one class per kind, one stable `code` per cause, one sentence that names the mending.
 *
 * Invariant: messages and hints never hold a destination's name or address (docs/threats.md, row 22); codes are either a drop
 * reason of the core (`reasons()`) or one of `ErrorCode`.
 */

/** The codes of errors that arise above the core. Those of the core itself are drop reasons (`NodeStatus.host.drops` names all). */
export type ErrorCode =
  /** A configuration that does not parse or does not fit. */
  | 'config_invalid'
  | 'config_missing'
  /** An argument of a call that cannot be. */
  | 'argument_invalid'
  | 'address_in_use'
  | 'address_unavailable'
  | 'permission_denied'
  /** Use before the start, or after `close()`. */
  | 'not_started'
  | 'closed'
  | 'draining'
  | 'aborted'
  | 'timeout'
  | 'peer_unknown'
  | 'peer_unreachable'
  | 'no_path'
  /** There is no exit to choose from. */
  | 'window_empty'
  /** As many flows are live as may be remembered. */
  | 'egress_full'
  /** As many neighbours have accounts as may have. */
  | 'credit_full'
  | 'link_failed'
  | 'circuit_failed'
  | 'connection_failed'
  | 'flow_failed'
  | 'descriptor_invalid'
  | 'store_failed'
  | 'native_missing'
  | 'native_failed'
  | 'wasm_missing'
  | 'wasm_not_ready'
  | 'check_failed'
  | 'admin_unreachable'
  | 'admin_refused'
  | 'internal';

/** What an error may carry besides code and message. */
export interface ErrorDetails {
  /** What to do about it, one sentence. */
  hint?: string | undefined;
  /** What led to it. */
  cause?: unknown;
}

/** Whatever Wayfare throws, rejects with or emits: a stable `code`, one sentence, often a hint. */
export class WayfareError extends Error {
  /** An `ErrorCode`, or a drop reason of the core. */
  readonly code: string;
  /** What to do about it, one sentence. */
  readonly hint: string | undefined;

  constructor(code: ErrorCode | (string & {}), message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = details.hint;
  }

  /** `message` and hint as one sentence for people. */
  get sentence(): string {
    return this.hint === undefined ? this.message : `${this.message}: ${this.hint}`;
  }
}

/** A configuration file, variable or option is wrong. */
export class ConfigError extends WayfareError {}
/** A call was made with something it cannot take, or at a time it cannot be made. */
export class UsageError extends WayfareError {}
/** A socket could not be bound, a file not read or written: the machine said no. */
export class SystemError extends WayfareError {}
/** A link, circuit, connection or flow could not be had, or was lost. */
export class NetworkError extends WayfareError {}
/** What a peer sent was refused. */
export class ProtocolError extends WayfareError {}
/** The caller's `signal` was aborted, or the node closed. */
export class AbortedError extends WayfareError {}

const KINDS: Record<ErrorCode, typeof WayfareError> = {
  config_invalid: ConfigError,
  config_missing: ConfigError,
  argument_invalid: UsageError,
  address_in_use: SystemError,
  address_unavailable: SystemError,
  permission_denied: SystemError,
  not_started: UsageError,
  closed: AbortedError,
  draining: AbortedError,
  aborted: AbortedError,
  timeout: NetworkError,
  peer_unknown: NetworkError,
  peer_unreachable: NetworkError,
  no_path: NetworkError,
  window_empty: NetworkError,
  credit_full: NetworkError,
  egress_full: NetworkError,
  link_failed: NetworkError,
  circuit_failed: NetworkError,
  connection_failed: NetworkError,
  flow_failed: NetworkError,
  descriptor_invalid: ProtocolError,
  store_failed: SystemError,
  native_missing: SystemError,
  native_failed: SystemError,
  wasm_missing: SystemError,
  wasm_not_ready: UsageError,
  check_failed: NetworkError,
  admin_unreachable: SystemError,
  admin_refused: UsageError,
  internal: WayfareError,
};

/** The error of a code that comes from the core or the native host: drop reasons become `ProtocolError`s. */
export function errorOf(code: string, message: string, details: ErrorDetails = {}): WayfareError {
  const kind = Object.hasOwn(KINDS, code) ? KINDS[code as ErrorCode] : ProtocolError;
  return new kind(code, message, details);
}

/** Anything caught, as a `WayfareError`; a foreign error becomes its cause. */
export function asWayfareError(caught: unknown, code: ErrorCode = 'internal'): WayfareError {
  if (caught instanceof WayfareError) return caught;
  const message = caught instanceof Error ? caught.message : String(caught);
  return errorOf(code, message, { cause: caught });
}
