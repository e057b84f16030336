/**
 * From TOML text and environment variables to a `Config`. Pure: what is read from disk is handed in.
 *
 * Precedence: variable, then file, then default; `origins` says for each key which it was. Every refusal names the file
 * and line (or the variable), the key and what may stand there.
 */
import { parse as parseToml, TomlError } from 'smol-toml';
import type { z } from 'zod';
import { ConfigError } from '../errors.js';
import { isLoopback } from './address.js';
import { lineIndex, nearest } from './locate.js';
import { type Config, KEYS, type KeyInfo, Schema, variableOf } from './schema.js';

export interface ConfigSource {
  /** TOML; empty when there is no file. */
  text?: string;
  /** Its name, for messages. */
  file?: string;
  env?: Record<string, string | undefined>;
}

export interface LoadedConfig {
  config: Config;
  /** `config.toml:12`, `WAYFARE_LISTEN` or `default`, by key. */
  origins: Record<string, string>;
}

/** Variables that begin like ours and are no configuration. */
const OTHER_VARIABLES = new Set(['WAYFARE_CONFIG', 'WAYFARE_CHROMIUM']);

type Tree = Record<string, unknown>;

function get(tree: Tree, key: string): unknown {
  let at: unknown = tree;
  for (const part of key.split('.')) {
    if (typeof at !== 'object' || at === null) return undefined;
    at = (at as Tree)[part];
  }
  return at;
}

function put(tree: Tree, key: string, value: unknown): void {
  const parts = key.split('.');
  const last = parts.pop()!;
  let at = tree;
  for (const part of parts) {
    const next = at[part];
    if (typeof next !== 'object' || next === null) at[part] = {};
    at = at[part] as Tree;
  }
  at[last] = value;
}

function readVariable(name: string, info: KeyInfo, text: string): unknown {
  const items = () =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  const number = (word: string) => (/^-?\d+$/.test(word) ? Number(word) : word);
  switch (info.kind) {
    case 'text':
      return text;
    case 'number':
      return number(text.trim());
    case 'fraction':
      return /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text.trim();
    case 'boolean':
      return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
    case 'list':
      return items();
    case 'numbers':
      return items().map(number);
    default:
      throw new ConfigError('config_invalid', `${name} has no form`);
  }
}

function toml(source: ConfigSource, file: string): Tree {
  try {
    return parseToml(source.text ?? '');
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const first = error.message.split('\n')[0]!.replace(/^Invalid TOML document: /, '');
    throw new ConfigError('config_invalid', `${file}:${error.line}: not TOML: ${first}`, { cause: error });
  }
}

function unknownKey(table: string, key: string): string {
  const prefix = table === '' ? '' : `${table}.`;
  const choices = [
    ...new Set(
      Object.keys(KEYS)
        .filter((k) => k.startsWith(prefix))
        .map((k) => k.slice(prefix.length).split('.')[0]!),
    ),
  ];
  const near = nearest(key, choices);
  const place = table === '' ? '' : ` in [${table}]`;
  const meant = near === undefined ? '' : `; did you mean "${near}"?`;
  return `unknown key "${key}"${place}${meant === '' ? ';' : meant} valid: ${choices.join(', ')}`;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function describe(issue: z.core.$ZodIssue, tree: Tree, where: (key: string) => string): string {
  const path = issue.path.filter((part) => typeof part === 'string').join('.');
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    return `${where(path === '' ? key : `${path}.${key}`)}: ${unknownKey(path, key)}`;
  }
  const info = KEYS[path];
  const index = issue.path.find((part) => typeof part === 'number');
  const whole = get(tree, path);
  const wrong = typeof index === 'number' && Array.isArray(whole) ? whole[index] : whole;
  if (info === undefined) {
    const inside = Object.keys(KEYS).filter((key) => key.startsWith(`${path}.`));
    return `${where(path)}: ${path} is a table, not ${show(wrong)}; valid: [${path}] with ${inside.map((k) => k.slice(path.length + 1)).join(', ')}`;
  }
  const near =
    typeof wrong === 'string'
      ? nearest(
          wrong,
          [...info.valid.matchAll(/"([a-z]+)"/g)].map((m) => m[1]!),
        )
      : undefined;
  const meant = near === undefined || near === wrong ? '' : `; did you mean "${near}"?`;
  return `${where(path)}: ${path} cannot be ${show(wrong)}${meant === '' ? ';' : meant} valid: ${info.valid}`;
}

/** Rules that join keys. */
function crossCheck(config: Config, where: (key: string) => string): void {
  const refuse = (key: string, why: string) => {
    throw new ConfigError('config_invalid', `${where(key)}: ${why}`);
  };
  for (const key of ['socks', 'http'] as const) {
    const address = config.proxy[key];
    if (address === 'off') continue;
    if (!isLoopback(address) && config.proxy.credentials_file === undefined) {
      refuse(`proxy.${key}`, `proxy.${key} listens beyond loopback, which demands proxy.credentials_file`);
    }
    if (!config.roles.includes('client')) {
      refuse(`proxy.${key}`, `proxy.${key} needs the role "client"; add it to roles, or say "off"`);
    }
  }
  const serves = config.roles.find((role) => role !== 'client');
  const unspecified = config.listen.find((address) => /^(?:0\.0\.0\.0|\[[0:]+\]):/.test(address));
  if (serves !== undefined && unspecified !== undefined && config.advertise.length === 0) {
    refuse(
      'roles',
      `a ${serves} that listens on ${unspecified} must say where others reach it; set advertise to its public IP:PORT`,
    );
  }
  if (config.listen_reliable.length > 0 && serves === undefined)
    refuse('listen_reliable', 'listen_reliable needs the role "relay" or "exit": nobody links to a mere client');
  const web = ['host', 'certificate_file', 'key_file'] as const;
  const given = web.find((key) => config.web[key] !== undefined);
  const missing = web.find((key) => config.web[key] === undefined);
  if (given !== undefined && missing !== undefined)
    refuse(`web.${given}`, `web.${given} needs web.${missing}; browsers need a name, its certificate and the key`);
  if (given !== undefined && config.listen_reliable.length === 0)
    refuse(`web.${given}`, `web.${given} needs listen_reliable, the TCP address where browsers are answered`);
  const { window_s, sequence_s } = config.egress;
  if (window_s > sequence_s) {
    // Which of both was said decides which of both is named.
    if (where('egress.window_s') === where('') && where('egress.sequence_s') !== where(''))
      refuse(
        'egress.sequence_s',
        `egress.sequence_s cannot be ${sequence_s}; valid: from egress.window_s, ${window_s}`,
      );
    refuse('egress.window_s', `egress.window_s cannot be ${window_s}; valid: up to egress.sequence_s, ${sequence_s}`);
  }
  for (const address of config.advertise) {
    if (address.endsWith(':0'))
      refuse('advertise', `advertise cannot be "${address}"; valid: an address with its port`);
  }
}

/** Throws `ConfigError` with one sentence. */
export function parseConfig(source: ConfigSource): LoadedConfig {
  const file = source.file ?? 'config.toml';
  const tree = toml(source, file);
  const lines = lineIndex(source.text ?? '');
  const env = source.env ?? {};
  const origins: Record<string, string> = {};
  for (const key of Object.keys(KEYS))
    origins[key] = get(tree, key) === undefined ? 'default' : `${file}:${lines.get(key) ?? 1}`;
  const variables = new Map(Object.keys(KEYS).map((key) => [variableOf(key), key]));
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('WAYFARE_') || text === undefined || OTHER_VARIABLES.has(name)) continue;
    const key = variables.get(name);
    if (key === undefined) {
      const near = nearest(
        name.toLowerCase(),
        [...variables.keys()].map((v) => v.toLowerCase()),
      )?.toUpperCase();
      const meant = near === undefined ? '' : `; did you mean ${near}?`;
      throw new ConfigError(
        'config_invalid',
        `unknown variable ${name}${meant === '' ? ';' : meant} valid: ${[...variables.keys()].join(', ')}`,
      );
    }
    put(tree, key, readVariable(name, KEYS[key]!, text));
    origins[key] = name;
  }
  const where = (key: string): string => {
    const origin = origins[key];
    if (origin !== undefined && origin !== 'default') return origin;
    const line = lines.get(key) ?? [...lines].find(([path]) => path.startsWith(`${key}.`))?.[1];
    return line === undefined ? file : `${file}:${line}`;
  };
  const parsed = Schema.safeParse(tree);
  if (!parsed.success) {
    throw new ConfigError('config_invalid', describe(parsed.error.issues[0]!, tree, where));
  }
  crossCheck(parsed.data, where);
  return { config: parsed.data, origins };
}

/** Every key with its value, in the order of the file. */
export function flatten(config: Config): [key: string, value: unknown][] {
  return Object.keys(KEYS).map((key) => [key, get(config as unknown as Tree, key)]);
}
