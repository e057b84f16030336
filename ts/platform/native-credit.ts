/** Credits between neighbours in the native binding. */
import type { CreateCredit, CreditBinding } from '../core/credit.js';
import { checkCreditArguments, checkedCredit, fromBinding } from './binding.js';
import { native } from './native.js';

export const createNativeCredit: CreateCredit = (options, randomSeed, now_us) => {
  const json = JSON.stringify(options);
  checkCreditArguments([json, randomSeed, now_us]);
  const { Credit } = native();
  try {
    // The annotation is the compile-time check that the generated type satisfies the interface.
    const credit: CreditBinding = new Credit(json, randomSeed, now_us);
    return checkedCredit(credit);
  } catch (caught) {
    throw fromBinding(caught);
  }
};
