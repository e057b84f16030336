/**
 * What the owner adds to the credits that are sent back, where circuits end at this node: rules by destination, in order. Which of
 * them fits is the host's to find, with each stream.
 */
import { ADDITION, isAddition } from '../base/config/priority.js';
import { UsageError } from '../base/errors.js';
import { classOf } from './priorities.js';

const HINT = 'write "port 8080 = 64000", "host *.example.org = 16000" or "any = 1000", credits per second at the end';

/** A rule of a configuration in the host's words. Throws `argument_invalid` and says how one is written. */
export function parseAddition(text: string): string {
  if (!isAddition(text)) throw new UsageError('argument_invalid', `"${text}" adds nothing`, { hint: HINT });
  const [, any, what, value, rate] = ADDITION.exec(text.trim()) ?? [];
  const flowClass = classOf(Number(rate));
  return any === undefined ? `${what} ${what === 'port' ? Number(value) : value} ${flowClass}` : `any ${flowClass}`;
}

/** All of them, as `NodeHost.creditsAdd` takes them. */
export const additionLines = (rules: readonly string[]): string => rules.map(parseAddition).join('\n');
