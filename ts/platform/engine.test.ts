/** The engine of the native binding, by the suite of all of them. */
import { engineSuite } from '../testing/engine.js';
import { nativeCore } from './native.js';
import { createNativeEngine } from './native-engine.js';

engineSuite('native', createNativeEngine, nativeCore());
