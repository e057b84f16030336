/**
 * What the exit is told of its operator's wishes. Resolving, checking and dialling are native (crates/exit); every non-global
 * address is refused there unless said otherwise here.
 */
import { ConfigError } from '../base/errors.js';
import type { ExitRules } from '../core/host.js';

/** What an exit's operator allows and refuses. Every non-global address is refused unless said otherwise here. */
export interface ExitOptions {
  /**
   * Lets strangers' connections reach this machine's own loopback services (127.0.0.0/8 and ::1). For trying things out on one
   * machine, where the origin server is on loopback too; never for an exit that others use. Default: false.
   */
  allow_loopback?: boolean;
  /** Ports refused. Default: 25. */
  deny_ports?: number[];
  /** CIDR blocks refused besides every non-global one. */
  deny?: string[];
  /** CIDR blocks allowed although non-global. */
  allow?: string[];
  /** CIDR blocks of which nothing is heard: neither connected to nor refused, as a firewall does that drops. */
  drop?: string[];
}

export function exitRules(options: ExitOptions = {}): ExitRules {
  const ports = options.deny_ports ?? [25];
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      throw new ConfigError('config_invalid', `exit.deny_ports has ${port}`, {
        hint: 'ports are whole numbers from 1 to 65535',
      });
    }
  }
  return {
    allowLoopback: options.allow_loopback ?? false,
    denyPorts: ports,
    deny: options.deny ?? [],
    allow: options.allow ?? [],
    drop: options.drop ?? [],
  };
}
