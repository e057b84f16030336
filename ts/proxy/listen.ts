/** The rule for proxy listeners: whoever can reach one can use it, so beyond loopback it asks who they are. */
import { ConfigError } from '../base/errors.js';
import type { ProxyOptions } from '../core/host.js';

/** `ip:port`, brackets around IPv6. */
export function isLoopback(listen: string): boolean {
  const host = listen.slice(0, listen.lastIndexOf(':'));
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Throws `config_invalid` where the listener would be open to strangers. */
export function checkListener(options: ProxyOptions): ProxyOptions {
  const { listen, credentials } = options;
  if (!isLoopback(listen) && (credentials === undefined || credentials.user === '' || credentials.password === '')) {
    throw new ConfigError('config_invalid', `a proxy on ${listen} could be used by anybody who reaches it`, {
      hint: 'set a user and a password for it, or listen on 127.0.0.1',
    });
  }
  return options;
}
