/**
 * What a log may hold. Fields are let through by name, all others are dropped: a log that cannot hold a destination needs
 * nobody's discipline (docs/threats.md, row 22).
 *
 * Invariant: a message is a constant sentence of this code; what varies stands in fields listed here.
 */
import type { LogFields } from './ports.js';

const ALLOWED = new Set([
  'id',
  'node',
  'peer',
  'role',
  'roles',
  'link',
  'circuit',
  'connection',
  'incoming',
  'reason',
  'code',
  'why',
  'count',
  'version',
  'signal',
  /** This node's own addresses. */
  'listening',
  'admin',
  'socks',
  'http',
]);
const UNITS = /^[a-z][a-z0-9_]*_(?:ms|us|s|bytes|packets)$/;

/** The fields that may be written. */
export function allowedFields(fields: LogFields | undefined): LogFields {
  const kept: LogFields = {};
  for (const [name, value] of Object.entries(fields ?? {})) {
    if (ALLOWED.has(name) || (UNITS.test(name) && typeof value === 'number')) kept[name] = value;
  }
  return kept;
}
