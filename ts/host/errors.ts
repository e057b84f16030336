/** Errors of what ended, from the reason that came with it. */
import { errorOf, WayfareError } from '../base/errors.js';

const REASON = /^[a-z][a-z_]*$/;

/** The error of something that ended for this reason. */
export function ended(what: string, reason: string): WayfareError {
  return errorOf(reason, `${what}: ${reason.replaceAll('_', ' ')}`);
}

/** What a session's end says of why, if it is a reason at all. */
export function reasonOf(said: unknown): string {
  const text = said instanceof WayfareError ? said.code : said;
  return typeof text === 'string' && REASON.test(text) ? text : 'link_gone';
}
