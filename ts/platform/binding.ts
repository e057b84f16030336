/**
 * What both bindings need around them: their errors (`code: text`) as ours, and calls of an engine with values it can take.
 *
 * Invariant: nothing here needs Node; a browser loads it as well.
 */
import { errorOf, UsageError, WayfareError } from '../base/errors.js';
import type { EngineBinding } from '../core/engine.js';

const CODE = /^([a-z][a-z0-9_]*): ([\s\S]*)$/;

/** What a binding throws, as a `WayfareError`. */
export function fromBinding(caught: unknown): WayfareError {
  if (caught instanceof WayfareError) return caught;
  const text = caught instanceof Error ? caught.message : String(caught);
  const match = CODE.exec(text);
  return match === null
    ? errorOf('native_failed', text, { cause: caught })
    : errorOf(match[1] as string, match[2] as string, { cause: caught });
}

/** Calls through, with errors as ours, whether thrown or rejected. */
export function translated<T extends object>(target: T): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name, object);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        try {
          const result = value.apply(object, args);
          return result instanceof Promise
            ? result.catch((caught) => {
                throw fromBinding(caught);
              })
            : result;
        } catch (caught) {
          throw fromBinding(caught);
        }
      };
    },
  });
}

type Kind = 'number' | 'boolean' | 'string' | 'bytes';

/** What each call takes. A binding would make something of anything: what, depends on the binding. */
const TAKES: { [K in keyof EngineBinding]: Kind[] } = {
  id: [],
  linkStart: ['number', 'number', 'boolean', 'string', 'string', 'bytes', 'number'],
  linkMtu: ['number', 'number'],
  linkStop: ['number', 'number'],
  handleControl: ['number', 'number', 'bytes'],
  handlePackets: ['number', 'number', 'bytes'],
  handleTimeout: ['number', 'number'],
  outputs: ['number', 'bytes'],
  events: [],
  nextTimeout: ['number'],
  setOnionKeys: ['bytes'],
  setForwarding: ['boolean'],
  drain: [],
  nextHopUnreachable: ['number', 'string'],
  circuitOpen: ['number', 'bytes', 'string', 'string'],
  circuitClose: ['number', 'number'],
  circuitStats: ['number'],
  connectionOpen: ['number', 'number'],
  connectionMove: ['number', 'number', 'number'],
  connectionClose: ['number', 'number'],
  flowOpen: ['number', 'number', 'string', 'number'],
  flowAccept: ['number', 'number', 'string'],
  flowRefuse: ['number', 'number', 'string'],
  flowRead: ['number', 'number', 'bytes'],
  flowWrite: ['number', 'number', 'bytes'],
  flowFinish: ['number', 'number'],
  flowReset: ['number', 'number'],
  flowRelease: ['number', 'number'],
  stats: [],
  close: [],
};

const WANTED: Record<Kind, string> = {
  number: 'a number',
  boolean: 'a boolean',
  string: 'a string',
  bytes: 'a Uint8Array',
};

/** Throws unless each value is of its kind. */
export function checkArguments(call: string, kinds: readonly Kind[], values: readonly unknown[]): void {
  for (const [i, kind] of kinds.entries()) {
    const value = values[i];
    const isIt = kind === 'bytes' ? value instanceof Uint8Array : typeof value === kind;
    const which = `argument ${i + 1} of ${call}`;
    if (!isIt) throw new UsageError('argument_invalid', `${which} is ${WANTED[kind]}, not ${typeof value}`);
    // Older engines lack the property; there its length of zero is what such an array says of itself.
    if (kind === 'bytes' && ((value as Uint8Array).buffer as ArrayBuffer).detached === true)
      throw new UsageError('argument_invalid', `the bytes of ${which} are gone: its buffer was transferred`);
  }
}

/** An engine whose calls check what they are given, throw our errors, and after `close()` say so; `dispose` frees the binding. */
export function checkedEngine(binding: EngineBinding, dispose?: () => void): EngineBinding {
  let closed = false;
  const calls: Record<string, (...values: unknown[]) => unknown> = {};
  for (const [name, kinds] of Object.entries(TAKES)) {
    const call = binding[name as keyof EngineBinding] as (...values: unknown[]) => unknown;
    calls[name] = (...values) => {
      if (closed && name !== 'close') {
        throw errorOf('closed', 'the engine is closed', { hint: 'make another one' });
      }
      checkArguments(name, kinds, values);
      try {
        return call.apply(binding, values);
      } catch (caught) {
        throw fromBinding(caught);
      }
    };
  }
  const close = calls.close as () => void;
  calls.close = () => {
    if (closed) return;
    close();
    closed = true;
    dispose?.();
  };
  return calls as unknown as EngineBinding;
}
