/**
 * The native binding as `Core` and `NodeHost`. It holds no logic: events arrive as JSON in batches, errors as `code: text`.
 */
import { createRequire } from 'node:module';
import { SystemError } from '../base/errors.js';
import type { Core } from '../core/core.js';
import type { CreateHost, HostEvent, NewCertificate, NodeHost } from '../core/host.js';
import { untilClosed } from '../host/closing.js';
import { fromBinding, translated } from './binding.js';

const BINDING = '../../bindings/node/wayfare.node';

type Native = typeof import('../../bindings/node/index.js');

let loaded: Native | undefined;

/** The addon; loaded once. */
export function native(): Native {
  if (loaded !== undefined) return loaded;
  try {
    loaded = createRequire(import.meta.url)(BINDING) as Native;
  } catch (cause) {
    throw new SystemError('native_missing', 'the native core is not built, or for another system', {
      cause,
      hint: 'run `npm run build`, which needs Rust (https://rustup.rs) and a C compiler',
    });
  }
  return loaded;
}

/** The kernels. The annotation is the compile-time check that the binding satisfies the interface. */
export function nativeCore(): Core {
  const kernels: Core = native();
  return translated(kernels);
}

/** Certificates for browsers. */
export const newCertificate: NewCertificate = (notBefore_s, notAfter_s) => {
  try {
    return native().newCertificate(notBefore_s, notAfter_s);
  } catch (caught) {
    throw fromBinding(caught);
  }
};

/** Makes a native node. */
export const createNativeHost: CreateHost = (options, onEvents) => {
  const { identitySeed, ...rest } = options;
  const take = (json: string) => onEvents(JSON.parse(json) as HostEvent[]);
  try {
    const host: NodeHost = new (native().NativeNode)(JSON.stringify(rest), identitySeed, take);
    return untilClosed(translated(host));
  } catch (caught) {
    throw fromBinding(caught);
  }
};
