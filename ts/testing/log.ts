/** A log nobody reads. */
import type { Log } from '../base/ports.js';

export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };
