/** The choice of exits in the native binding: the suite of all bindings. */
import { egressSuite } from '../testing/egress.js';
import { createNativeEgress } from './native-egress.js';

egressSuite('native', createNativeEgress);
