/** The engine of the native binding, for hosts that bring their own sessions and clock: `ts/host`, the simulator. */
import type { CreateEngine, EngineBinding } from '../core/engine.js';
import { checkArguments, checkedEngine, fromBinding } from './binding.js';
import { native } from './native.js';

export const createNativeEngine: CreateEngine = (options, identitySeed, randomSeed, now_us, unix_ms) => {
  const json = JSON.stringify(options);
  checkArguments(
    'an engine',
    ['string', 'bytes', 'bytes', 'number', 'number'],
    [json, identitySeed, randomSeed, now_us, unix_ms],
  );
  const { Engine } = native();
  try {
    // The annotation is the compile-time check that the generated type satisfies the interface.
    const engine: EngineBinding = new Engine(json, identitySeed, randomSeed, now_us, unix_ms);
    return checkedEngine(engine);
  } catch (caught) {
    throw fromBinding(caught);
  }
};
