/** The choice of exits in the native binding. */
import type { CreateEgress, EgressBinding } from '../core/egress.js';
import { checkEgressArguments, checkedEgress, fromBinding } from './binding.js';
import { native } from './native.js';

export const createNativeEgress: CreateEgress = (options, randomSeed, now_us) => {
  const json = JSON.stringify(options);
  checkEgressArguments([json, randomSeed, now_us]);
  const { Egress } = native();
  try {
    // The annotation is the compile-time check that the generated type satisfies the interface.
    const egress: EgressBinding = new Egress(json, randomSeed, now_us);
    return checkedEgress(egress);
  } catch (caught) {
    throw fromBinding(caught);
  }
};
