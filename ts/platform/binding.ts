/**
 * What both bindings need around them: their errors (`code: text`) as ours, and calls of an engine with values it can take.
 *
 * Invariant: nothing here needs Node; a browser loads it as well.
 */
import { errorOf, UsageError, WayfareError } from '../base/errors.js';
import type { CreditBinding } from '../core/credit.js';
import type { EgressBinding } from '../core/egress.js';
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
  const calls = new Map<string | symbol, unknown>();
  return new Proxy(target, {
    get(object, name) {
      const known = calls.get(name);
      if (known !== undefined) return known;
      const value = Reflect.get(object, name, object);
      if (typeof value !== 'function') return value;
      const call = (...args: unknown[]) => {
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
      calls.set(name, call);
      return call;
    },
  });
}

type Kind = 'number' | 'boolean' | 'string' | 'bytes' | 'ids' | 'numbers';

/** What each call takes. A binding would make something of anything: what, depends on the binding. */
const ENGINE_TAKES: { [K in keyof EngineBinding]: Kind[] } = {
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
  circuitOpen: ['number', 'bytes', 'string', 'string', 'number'],
  circuitClose: ['number', 'number'],
  circuitStats: ['number'],
  circuitFlow: ['number', 'number', 'number'],
  credits: ['number'],
  creditsCircuits: [],
  creditsExport: ['number'],
  creditsRestore: ['number', 'number', 'string', 'numbers'],
  creditsAdd: ['string'],
  creditsReport: ['number'],
  creditsConfigure: ['number', 'string'],
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
const EGRESS_TAKES: { [K in keyof EgressBinding]: Kind[] } = {
  setWeighting: ['string'],
  hopAdd: ['number', 'number'],
  hopEstimate: ['number', 'number'],
  hopRemove: ['number', 'number'],
  hopRelease: ['number'],
  hopExclude: ['number', 'number'],
  destination: ['number', 'string'],
  destinationKey: ['number'],
  pairExclude: ['number', 'number', 'number', 'number'],
  connections: ['number', 'number', 'number'],
  connectionsPeak: ['number'],
  draw: ['number', 'number', 'ids', 'ids'],
  lastHow: [],
  retryOf: ['number', 'bytes', 'number', 'ids'],
  flowFind: ['bytes', 'number'],
  flowOpen: ['number', 'bytes', 'number', 'number', 'ids', 'numbers'],
  flowMove: ['number', 'number', 'number'],
  flowClose: ['number', 'number', 'boolean'],
  flowForget: ['number'],
  attemptOpen: ['number', 'number', 'number'],
  attemptClose: ['number', 'number', 'number', 'boolean'],
  record: ['number', 'numbers', 'number'],
  recordTuples: ['number', 'bytes', 'numbers', 'number'],
  hops: ['number', 'numbers'],
  pairs: ['number', 'number', 'numbers'],
  destinations: ['number', 'number', 'numbers'],
  flows: ['number', 'numbers'],
  groups: ['number', 'number'],
  stats: [],
  close: [],
};
const CREDIT_TAKES: { [K in keyof CreditBinding]: Kind[] } = {
  configure: ['number', 'string'],
  neighbourAdd: ['number', 'numbers'],
  neighbourRemove: ['number', 'number'],
  neighbourExpect: ['number', 'number', 'number'],
  neighbourReport: ['number', 'number', 'number', 'number'],
  account: ['number', 'number'],
  mirror: ['number', 'number'],
  spend: ['number', 'number', 'number'],
  earn: ['number', 'number', 'number'],
  connectionOpen: ['number', 'number', 'number', 'number'],
  connectionAnnounced: ['number', 'number', 'number', 'number'],
  connectionOwn: ['number', 'number', 'number'],
  connectionKeep: ['number', 'number'],
  connectionClose: ['number', 'number'],
  charge: ['number', 'number', 'number', 'number'],
  charges: ['numbers', 'number'],
  weight: ['number', 'number'],
  weights: ['ids'],
  settle: ['number'],
  changes: ['numbers'],
  neighbour: ['number', 'number', 'numbers'],
  neighbours: ['number', 'number', 'numbers'],
  connection: ['number', 'numbers'],
  connections: ['number', 'numbers'],
  books: ['number', 'numbers'],
  digest: [],
  stats: [],
  close: [],
};

const WANTED: Record<Kind, string> = {
  number: 'a number',
  boolean: 'a boolean',
  string: 'a string',
  bytes: 'a Uint8Array',
  ids: 'a Uint32Array',
  numbers: 'a Float64Array',
};

const ARRAYS = { bytes: Uint8Array, ids: Uint32Array, numbers: Float64Array } as const;

/** Throws unless each value is of its kind. */
export function checkArguments(call: string, kinds: readonly Kind[], values: readonly unknown[]): void {
  for (let i = 0; i < kinds.length; i++) {
    const kind = kinds[i] as Kind;
    const value = values[i];
    const isArray = kind === 'bytes' || kind === 'ids' || kind === 'numbers';
    if (isArray ? !(value instanceof ARRAYS[kind]) : typeof value !== kind)
      throw new UsageError('argument_invalid', `argument ${i + 1} of ${call} is ${WANTED[kind]}, not ${typeof value}`);
    // Older engines lack the property; there its length of zero is what such an array says of itself.
    if (isArray && ((value as Uint8Array).buffer as ArrayBuffer).detached === true)
      throw new UsageError(
        'argument_invalid',
        `${kind === 'bytes' ? 'the bytes' : 'the numbers'} of argument ${i + 1} of ${call} are gone: its buffer was transferred`,
      );
  }
}

type Calls = Record<string, (...values: unknown[]) => unknown>;

/** A binding whose calls check what they are given, throw our errors, and after `close()` say so. */
function checked(binding: object, takes: Record<string, Kind[]>, what: string, dispose?: () => void): unknown {
  let closed = false;
  const calls: Calls = {};
  for (const [name, kinds] of Object.entries(takes)) {
    const call = (binding as Calls)[name] as (...values: unknown[]) => unknown;
    calls[name] = (...values) => {
      if (closed && name !== 'close') {
        throw errorOf('closed', `${what} is closed`, { hint: 'make another one' });
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
  return calls;
}

/** `dispose` frees the binding. */
export function checkedEngine(binding: EngineBinding, dispose?: () => void): EngineBinding {
  return checked(binding, ENGINE_TAKES, 'the engine', dispose) as EngineBinding;
}

/** `dispose` frees the binding. */
export function checkedEgress(binding: EgressBinding, dispose?: () => void): EgressBinding {
  return checked(binding, EGRESS_TAKES, 'the choice of exits', dispose) as EgressBinding;
}

/** `dispose` frees the binding. */
export function checkedCredit(binding: CreditBinding, dispose?: () => void): CreditBinding {
  return checked(binding, CREDIT_TAKES, 'the credits', dispose) as CreditBinding;
}

/** What makes a `CreditBinding` takes these; throws unless they are such. */
export const checkCreditArguments = (values: readonly unknown[]): void =>
  checkArguments('credits', ['string', 'bytes', 'number'], values);

/** What makes an `EgressBinding` takes these; throws unless they are such. */
export const checkEgressArguments = (values: readonly unknown[]): void =>
  checkArguments('a choice of exits', ['string', 'bytes', 'number'], values);
