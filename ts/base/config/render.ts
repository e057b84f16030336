/** The commented file that `wayfare config init` writes: every key, its meaning, its default. */
import { flatten } from './parse.js';
import { type Config, KEYS, Schema, variableOf } from './schema.js';

function value(of: unknown): string {
  if (Array.isArray(of)) return `[${of.map(value).join(', ')}]`;
  return JSON.stringify(of);
}

/** Keys in `set` are written, all others stand commented out with their defaults. */
export function renderConfig(set: Partial<Record<string, unknown>> = {}): string {
  const defaults: Config = Schema.parse({});
  const out = [
    '# Wayfare node. Every key may be left out; what stands behind a # is the default or a sample.',
    '# A variable overrides its key: WAYFARE_LISTEN, WAYFARE_PROXY_SOCKS, … (lists with commas).',
    '# `wayfare config check` names a mistake with its line, `wayfare config show` prints what counts and why.',
    '',
  ];
  let table = '';
  for (const [key, fallback] of flatten(defaults)) {
    const info = KEYS[key]!;
    const dot = key.indexOf('.');
    const inTable = dot < 0 ? '' : key.slice(0, dot);
    if (inTable !== table) {
      table = inTable;
      out.push(`[${table}]`);
    }
    const name = key.slice(dot + 1);
    out.push(`# ${info.doc}`, `# Valid: ${info.valid}. Variable: ${variableOf(key)}`);
    const given = set[key];
    if (given !== undefined) out.push(`${name} = ${value(given)}`);
    else out.push(`# ${name} = ${info.sample ?? value(fallback)}`);
    out.push('');
  }
  return out.join('\n');
}
