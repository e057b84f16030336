/** Whatever stands in a configuration file or in a variable is a configuration or one sentence that says why not. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConfigError } from '../errors.js';
import { lineIndex } from './locate.js';
import { type ConfigSource, flatten, parseConfig } from './parse.js';
import { renderConfig } from './render.js';
import { KEYS, Schema, variableOf } from './schema.js';

const keys = Object.keys(KEYS);
const value = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.array(fc.oneof(fc.string(), fc.integer()), { maxLength: 3 }),
  fc.constantFrom('off', '127.0.0.1:1', '[::1]:2', '0.0.0.0:0', 'relay', 'exit', 'info'),
  fc.constantFrom(['relay'], ['client', 'exit'], ['127.0.0.1:0'], [25]),
);
/** Lines such as a file has, right and wrong ones. */
const line = fc.oneof(
  fc.tuple(fc.constantFrom(...keys), value).map(([key, given]) => `${key} = ${JSON.stringify(given)}`),
  fc.constantFrom('[proxy]', '[exit]', '[exit', 'path', '"""', "a = '''", '[[admin]]', '# only a comment', '\\', '='),
  fc.constantFrom('__proto__ = 1', 'constructor.x = 1', '[toString]', 'hasOwnProperty = true', 'exit = []'),
  fc.string({ unit: 'binary' }),
);

function outcome(source: ConfigSource) {
  try {
    return parseConfig(source);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).code).toBe('config_invalid');
    expect((error as ConfigError).message).toMatch(/\S/);
    expect((error as ConfigError).message.length).toBeLessThan(2000);
    return null;
  }
}

test('any file is a configuration or a ConfigError, and what is taken satisfies the schema', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      const loaded = outcome({ text: lines.join('\n'), file: 'config.toml' });
      if (loaded === null) return;
      expect(Schema.parse(loaded.config)).toEqual(loaded.config);
      for (const [key] of flatten(loaded.config)) expect(loaded.origins[key]).toMatch(/^(config\.toml:\d+|default)$/);
    }),
    { numRuns: 1000 },
  );
  expect(Object.prototype).not.toHaveProperty('x');
});

test('any variable is taken or refused by its name', () => {
  const name = fc.oneof(
    fc.constantFrom(...keys.map(variableOf)),
    fc.string().map((text) => `WAYFARE_${text}`),
  );
  const given = fc.oneof(
    fc.string(),
    fc.integer().map(String),
    fc.constantFrom('true', '0', '127.0.0.1:1', 'a,b', ','),
  );
  fc.assert(
    fc.property(name, given, (variable, text) => {
      try {
        const { origins } = parseConfig({ env: { [variable]: text } });
        expect(Object.values(origins)).toContain(variable);
      } catch (error) {
        expect(error).toBeInstanceOf(ConfigError);
        expect((error as Error).message).toMatch(variable.startsWith('WAYFARE_CONFIG') ? /./ : /WAYFARE_|roles|proxy/);
      }
    }),
    { numRuns: 1000 },
  );
});

test('a value that is written is read again', () => {
  const set = fc.record(
    {
      listen: fc.array(
        fc.tuple(fc.ipV4(), fc.nat(65535)).map(([ip, port]) => `${ip}:${port}`),
        { minLength: 1 },
      ),
      'exit.deny_ports': fc.array(fc.integer({ min: 1, max: 65535 })),
      'exit.allow_loopback': fc.boolean(),
      'path.hops': fc.integer({ min: 1, max: 5 }),
      data_dir: fc.string({ minLength: 1, unit: 'grapheme' }),
      'log.level': fc.constantFrom('debug', 'silent'),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(set, (given) => {
      const { config } = parseConfig({ text: renderConfig(given) });
      expect(Object.fromEntries(flatten(config))).toMatchObject(given);
    }),
  );
});

test('lines are found in any text, each within it', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 20 }), (lines) => {
      const text = lines.join('\n');
      const count = text.split(/\r?\n/).length;
      for (const at of lineIndex(text).values()) expect(at >= 1 && at <= count).toBe(true);
    }),
  );
});
