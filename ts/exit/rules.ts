/**
 * What an exit may dial, as configuration says it. The table of non-global blocks and the check itself are in the core
 * (crates/exit), which refuses everything not global, and port 25, unless said here.
 */
import { ConfigError } from '../base/errors.js';
import type { ExitRules } from '../core/host.js';

export interface ExitOptions {
  /** Lets anyone who uses this exit reach services on its own loopback addresses. For tests and demonstrations. */
  allowLoopback?: boolean;
  /** Ports refused. Default: 25, so that the exit sends no mail. */
  denyPorts?: number[];
  /** CIDR blocks refused besides; the exit's own public addresses belong here. */
  deny?: string[];
  /** CIDR blocks allowed although they are not global. */
  allow?: string[];
}

export function exitRules(options: ExitOptions = {}): ExitRules {
  const denyPorts = options.denyPorts ?? [25];
  const bad = denyPorts.find((port) => !Number.isInteger(port) || port < 1 || port > 65535);
  if (bad !== undefined) throw new ConfigError('config_invalid', `exit port ${bad} is not in 1..65535`);
  return {
    allowLoopback: options.allowLoopback ?? false,
    denyPorts,
    deny: options.deny ?? [],
    allow: options.allow ?? [],
  };
}
