/** Credits in the native binding: the suite of all bindings. */
import { creditSuite } from '../testing/credit.js';
import { createNativeCredit } from './native-credit.js';

creditSuite('native', createNativeCredit);
