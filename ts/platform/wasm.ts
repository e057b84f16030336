/**
 * The binding in WebAssembly as `Core`, `CreateEngine`, `CreateEgress` and `CreateCredit`: the same code as natively, for browsers and
 * wherever else the native one is not.
 *
 * Invariant: nothing here needs Node. Before `initWasm()` has resolved, everything else throws `wasm_not_ready`.
 */
import { SystemError, UsageError } from '../base/errors.js';
import type { Core } from '../core/core.js';
import type { CreateCredit, CreditBinding } from '../core/credit.js';
import type { CreateEgress, EgressBinding } from '../core/egress.js';
import type { CreateEngine, EngineBinding } from '../core/engine.js';
import {
  checkArguments,
  checkCreditArguments,
  checkEgressArguments,
  checkedCredit,
  checkedEgress,
  checkedEngine,
  fromBinding,
  translated,
} from './binding.js';

type Module = typeof import('../../bindings/wasm/index.js');
/** The module's bytes, or where to fetch them. */
export type WasmSource = ArrayBuffer | Uint8Array<ArrayBuffer> | URL | Response | string;

let module: Module | undefined;
let starting: Promise<Module> | undefined;

async function start(source: WasmSource | Promise<WasmSource> | undefined): Promise<Module> {
  try {
    const loaded: Module = await import('../../bindings/wasm/index.js');
    await loaded.default(source === undefined ? undefined : { module_or_path: source });
    return loaded;
  } catch (cause) {
    throw new SystemError('wasm_missing', 'the core in WebAssembly could not be loaded', {
      cause,
      hint: 'run `npm run build -- --wasm`, and see that wayfare_bg.wasm is served where initWasm() looks for it',
    });
  }
}

/** Loads the module, once for all; a failed attempt can be repeated. Browsers find it beside its JavaScript. */
export async function initWasm(source?: WasmSource | Promise<WasmSource>): Promise<void> {
  starting ??= start(source);
  try {
    module = await starting;
  } catch (error) {
    starting = undefined;
    throw error;
  }
}

function ready(): Module {
  if (module !== undefined) return module;
  throw new UsageError('wasm_not_ready', 'the core in WebAssembly is not loaded', { hint: 'await initWasm() first' });
}

/** The kernels. The annotation is the compile-time check that the binding satisfies the interface. */
export function wasmCore(): Core {
  const { version, identityPublic, sign, verify, onionPublic, checkVectors, reasons } = ready();
  const kernels: Core = {
    version,
    identityPublic,
    sign,
    verify,
    onionPublic,
    reasons,
    checkVectors: (json) => {
      const summary = checkVectors(json);
      const { cases, suites } = summary;
      summary.free();
      return { cases, suites };
    },
  };
  return translated(kernels);
}

export const createWasmEngine: CreateEngine = (options, identitySeed, randomSeed, now_us, unix_ms) => {
  const { Engine } = ready();
  const json = JSON.stringify(options);
  const values = [json, identitySeed, randomSeed, now_us, unix_ms];
  checkArguments('an engine', ['string', 'bytes', 'bytes', 'number', 'number'], values);
  try {
    const made = new Engine(json, identitySeed, randomSeed, now_us, unix_ms);
    const engine: EngineBinding = made;
    return checkedEngine(engine, () => made.free());
  } catch (caught) {
    throw fromBinding(caught);
  }
};

export const createWasmEgress: CreateEgress = (options, randomSeed, now_us) => {
  const { Egress } = ready();
  const json = JSON.stringify(options);
  checkEgressArguments([json, randomSeed, now_us]);
  try {
    const made = new Egress(json, randomSeed, now_us);
    const egress: EgressBinding = made;
    return checkedEgress(egress, () => made.free());
  } catch (caught) {
    throw fromBinding(caught);
  }
};

export const createWasmCredit: CreateCredit = (options, randomSeed, now_us) => {
  const { Credit } = ready();
  const json = JSON.stringify(options);
  checkCreditArguments([json, randomSeed, now_us]);
  try {
    const made = new Credit(json, randomSeed, now_us);
    const credit: CreditBinding = made;
    return checkedCredit(credit, () => made.free());
  } catch (caught) {
    throw fromBinding(caught);
  }
};
