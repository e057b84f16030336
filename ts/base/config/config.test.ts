import { expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import { isCidr, isIpPort, isIpv6, isLoopback, isNamePort, splitHostPort } from './address.js';
import { distance } from './locate.js';
import { flatten, parseConfig } from './parse.js';
import { renderConfig } from './render.js';
import { KEYS, Schema } from './schema.js';

const ID = 'ab'.repeat(32);

function refusal(text: string, env: Record<string, string> = {}): string {
  try {
    parseConfig({ text, file: 'config.toml', env });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as Error).message;
  }
  throw new Error('the configuration was accepted');
}

test('the table of keys names exactly the leaves of the schema', () => {
  const leaves: string[] = [];
  const walk = (node: z.core.JSONSchema.BaseSchema, path: string) => {
    for (const [name, child] of Object.entries(node.properties ?? {})) {
      const key = path === '' ? name : `${path}.${name}`;
      if (typeof child === 'object' && child.properties !== undefined) walk(child, key);
      else leaves.push(key);
    }
  };
  walk(z.toJSONSchema(Schema, { io: 'input' }), '');
  expect(leaves.sort()).toEqual(Object.keys(KEYS).sort());
});

test('an empty file gives the defaults, and the exit does not reach loopback', () => {
  const { config, origins } = parseConfig({ text: '' });
  expect(config.exit.allow_loopback).toBe(false);
  expect(config.exit.deny_ports).toEqual([25]);
  expect(config.path.hops).toBe(3);
  expect(new Set(Object.values(origins))).toEqual(new Set(['default']));
});

test('a mistyped key names file, line, table, nearest key and the valid ones', () => {
  const text = ['listen = ["127.0.0.1:0"]', '', '[proxy]', 'http = "off"', 'socsk = "127.0.0.1:1080"'].join('\n');
  expect(refusal(text)).toBe(
    'config.toml:5: unknown key "socsk" in [proxy]; did you mean "socks"? valid: socks, http, credentials_file',
  );
  expect(refusal('data_dri = "x"')).toMatch(
    /^config\.toml:1: unknown key "data_dri"; did you mean "data_dir"\? valid: /,
  );
  expect(refusal('[prxy]\nsocks = "off"')).toMatch(/^config\.toml:1: unknown key "prxy"; did you mean "proxy"\?/);
  expect(refusal('[exit]\nzzzzzzzzzz = 1')).toMatch(
    /^config\.toml:2: unknown key "zzzzzzzzzz" in \[exit\]; valid: allow_loopback, /,
  );
});

test.each([
  [
    'roles = ["relai"]',
    'config.toml:1: roles cannot be "relai"; did you mean "relay"? valid: "client", "relay", "exit", in any mix',
  ],
  ['[path]\nhops = 6', 'config.toml:2: path.hops cannot be 6; valid: a number from 1 to 5'],
  ['[egress]\nrace = 9', 'config.toml:2: egress.race cannot be 9; valid: a number from 1 to 8'],
  [
    '[egress]\nsequence_s = 20\nwindow_s = 30',
    'config.toml:3: egress.window_s cannot be 30; valid: up to egress.sequence_s, 20',
  ],
  ['path.hops = "three"', 'config.toml:1: path.hops cannot be "three"; valid: a number from 1 to 5'],
  [
    'listen = ["localhost:1"]',
    'config.toml:1: listen cannot be "localhost:1"; valid: addresses such as "0.0.0.0:4600" or "[::]:4600"',
  ],
  [
    '[log]\nlevel = "inof"',
    'config.toml:2: log.level cannot be "inof"; did you mean "info"? valid: "debug", "info", "warn", "error", "silent"',
  ],
  [
    '[admin]\nlisten = "0.0.0.0:4601"',
    'config.toml:2: admin.listen cannot be "0.0.0.0:4601"; valid: a loopback address such as "127.0.0.1:4601" or "[::1]:4601", or "off"',
  ],
  ['proxy = 3', 'config.toml:1: proxy is a table, not 3; valid: [proxy] with socks, http, credentials_file'],
  [
    'bootstrap = ["abc@h:1"]',
    'config.toml:1: bootstrap cannot be "abc@h:1"; valid: ID@HOST:PORT, the id being 64 hex digits as `wayfare keygen` prints it',
  ],
  [
    '[proxy]\nsocks = "0.0.0.0:1080"',
    'config.toml:2: proxy.socks listens beyond loopback, which demands proxy.credentials_file',
  ],
  [
    'roles = ["relay"]\nproxy.http = "127.0.0.1:1"',
    'config.toml:2: proxy.http needs the role "client"; add it to roles, or say "off"',
  ],
  [
    'listen_reliable = ["0.0.0.0:443"]',
    'config.toml:1: listen_reliable needs the role "relay" or "exit": nobody links to a mere client',
  ],
  [
    '[web]\nhost = "192.0.2.1:443"',
    'config.toml:2: web.host cannot be "192.0.2.1:443"; valid: NAME:PORT such as "relay.example:443", the name as the certificate has it',
  ],
  [
    '[web]\nkey_file = "k"\nhost = "relay.example:443"',
    'config.toml:3: web.host needs web.certificate_file; browsers need a name, its certificate and the key',
  ],
  [
    '[web]\nhost = "relay.example:443"\ncertificate_file = "c"\nkey_file = "k"',
    'config.toml:2: web.host needs listen_reliable, the TCP address where browsers are answered',
  ],
  [
    'roles = ["relay"]',
    'config.toml:1: a relay that listens on 0.0.0.0:4600 must say where others reach it; set advertise to its public IP:PORT',
  ],
])('%s is refused in one sentence', (text, message) => {
  expect(refusal(text)).toBe(message);
});

test('what is not TOML names its line', () => {
  expect(refusal('listen = [\n"127.0.0.1:1"\nroles = 2')).toMatch(/^config\.toml:[23]: not TOML: /);
});

test('a variable counts over the file, and says so', () => {
  const { config, origins } = parseConfig({
    text: 'listen = ["127.0.0.1:1"]\n[path]\nhops = 2',
    file: 'n.toml',
    env: {
      WAYFARE_LISTEN: '127.0.0.1:7, [::1]:7',
      WAYFARE_EXIT_ALLOW_LOOPBACK: 'true',
      WAYFARE_EXIT_DENY_PORTS: '25,465',
      HOME: '/x',
    },
  });
  expect(config.listen).toEqual(['127.0.0.1:7', '[::1]:7']);
  expect(config.exit).toMatchObject({ allow_loopback: true, deny_ports: [25, 465] });
  expect(origins).toMatchObject({ listen: 'WAYFARE_LISTEN', 'path.hops': 'n.toml:3', roles: 'default' });
  expect(refusal('', { WAYFARE_PATH_HOPS: 'many' })).toBe(
    'WAYFARE_PATH_HOPS: path.hops cannot be "many"; valid: a number from 1 to 5',
  );
  expect(refusal('', { WAYFARE_LISTN: 'x' })).toMatch(/^unknown variable WAYFARE_LISTN; did you mean WAYFARE_LISTEN\?/);
});

test('the commented file parses to the defaults, and with keys set to those', () => {
  expect(parseConfig({ text: renderConfig() }).config).toEqual(parseConfig({ text: '' }).config);
  const set = {
    advertise: ['198.51.100.7:4600'],
    roles: ['relay', 'exit'],
    bootstrap: [`${ID}@relay.example:4600`],
    'exit.deny_ports': [25, 587],
  };
  const config = parseConfig({ text: renderConfig(set) }).config;
  expect(Object.fromEntries(flatten(config))).toMatchObject(set);
});

test('addresses are told from what only looks like them', () => {
  for (const good of ['127.0.0.1:0', '[::1]:65535', '[2001:db8::7]:4600', '[::ffff:1.2.3.4]:1'])
    expect(isIpPort(good), good).toBe(true);
  for (const bad of [
    '127.0.0.1',
    '1.2.3.256:1',
    '::1:80',
    '[::1]',
    '[1:2]:3',
    'h:1',
    '1.2.3.4:65536',
    '1.2.3:4',
    '1.2.3.04:1',
  ])
    expect(isIpPort(bad), bad).toBe(false);
  for (const bad of ['1::2::3', ':::', '1:2:3:4:5:6:7:8:9', 'g::', '1:2:3:4:5:6:7'])
    expect(isIpv6(bad), bad).toBe(false);
  for (const name of ['relay.example:443', 'a.b.c:1', 'x.xn--p1ai:65535']) expect(isNamePort(name), name).toBe(true);
  for (const no of [
    'relay.example',
    'localhost:443',
    '127.1:443',
    '1.0x7f:443',
    '1.2.3.4:443',
    '[::1]:1',
    'a.b:0',
    'a.b/c:1',
  ])
    expect(isNamePort(no), no).toBe(false);
  for (const yes of ['127.9.9.9:1', '[::1]:1', '[0:0:0:0:0:0:0:1]:1']) expect(isLoopback(yes), yes).toBe(true);
  for (const no of ['128.0.0.1:1', '[::2]:1', '[::11]:1', '[1::1]:1', '0.0.0.0:1', '[::]:1'])
    expect(isLoopback(no), no).toBe(false);
  expect([isCidr('10.0.0.0/8'), isCidr('::/0'), isCidr('10.0.0.0/33'), isCidr('10.0.0.0')]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(splitHostPort('[::1]:80')).toEqual({ host: '::1', port: 80 });
  expect([distance('socsk', 'socks'), distance('', 'abc'), distance('kitten', 'sitting')]).toEqual([1, 3, 3]);
});
