/** Where proxies listen: flags and keys are checked here, and every refusal names the one to change. */
import { isLoopback, joinHostPort, splitHostPort } from '../base/config/index.js';
import { asWayfareError, SystemError, UsageError } from '../base/errors.js';
import type { Listening, ProxyOptions, WayfareNode } from '../platform/node.js';

export interface ProxyWish {
  kind: 'socks' | 'http';
  /** `ip:port`, or `localhost:port`. */
  listen: string;
  /** The flag or key that says where, for messages. */
  flag: string;
  /** The flag or key that says where the credentials are. */
  credentialsFlag: string;
  credentials?: { user: string; password: string } | undefined;
}

/** The `ip:port` of a flag's HOST:PORT. */
export function listenAddress(text: string, flag: string): string {
  const parts = splitHostPort(text);
  const address =
    parts === null ? null : joinHostPort(parts.host === 'localhost' ? '127.0.0.1' : parts.host, parts.port);
  if (address === null || !(address.startsWith('[') || /^\d+\.\d+\.\d+\.\d+:/.test(address))) {
    throw new UsageError('argument_invalid', `${flag} cannot be "${text}"`, {
      hint: 'give an address and a port such as 127.0.0.1:1080',
    });
  }
  return address;
}

export async function listen(node: WayfareNode, wish: ProxyWish): Promise<Listening> {
  const address = listenAddress(wish.listen, wish.flag);
  if (!isLoopback(address) && wish.credentials === undefined) {
    throw new UsageError(
      'argument_invalid',
      `${wish.flag} ${wish.listen} opens the proxy beyond this machine, which demands credentials`,
      {
        hint: `name a file with USER:PASSWORD by ${wish.credentialsFlag}`,
      },
    );
  }
  const options: ProxyOptions = { listen: address, ...(wish.credentials && { credentials: wish.credentials }) };
  try {
    return await (wish.kind === 'socks' ? node.listenSocks(options) : node.listenHttp(options));
  } catch (caught) {
    const error = asWayfareError(caught);
    if (error.code !== 'address_in_use') throw error;
    throw new SystemError('address_in_use', `${wish.listen} is taken by another program`, {
      cause: caught,
      hint: `choose another address with ${wish.flag}`,
    });
  }
}
