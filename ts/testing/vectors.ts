/** The packet model's own file, for suites that run under Node. */
import { readFileSync } from 'node:fs';

/** What the packet model printed, of all suites. */
export const VECTORS = readFileSync(
  new URL('../../crates/onion/tests/vectors/packet_42.json', import.meta.url),
  'utf8',
);
