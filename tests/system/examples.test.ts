/** Every example as its first line says to run it, on a network of its own. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../harness/cli.js';
import { run } from '../harness/process.js';

const HOPS = 'relay [0-9a-f]{8} → relay [0-9a-f]{8} → exit [0-9a-f]{8}';
const CAME = String.raw`You came from port (\d+)\.\n`;

/** What each prints, from its beginning to its end. */
const EXPECTED: Record<string, string> = {
  'dial.ts': String.raw`path: ${HOPS}, leaving from 127\.0\.0\.1:(\d+)\nHTTP/1\.1 200 OK\r\n[\s\S]*${CAME}`,
  'http-agent.ts': `1: 200 ${CAME}2: 200 ${CAME}`,
  'fetch.ts': `200 ${CAME}`,
  'proxy.ts': String.raw`HTTP proxy 127\.0\.0\.1:\d+, SOCKS5 proxy 127\.0\.0\.1:\d+\n200 ${CAME}`,
  'listen.ts': String.raw`listening at ([0-9a-f]{64}\.wayfare):80\n200 Hello from ([0-9a-f]{64}\.wayfare)\n`,
  'isolation.ts': String.raw`[\s\S]*alice: ${CAME}[\s\S]*bob: ${CAME}[\s\S]*alice: ${CAME}`,
};
/** Which of the ports and names above are the same. */
const SAME: Record<string, [number, number][]> = {
  'dial.ts': [[0, 1]],
  'http-agent.ts': [[0, 1]],
  'listen.ts': [[0, 1]],
  'isolation.ts': [[0, 2]],
};

test('every example is run', () => {
  const files = readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.ts') && name !== 'network.ts');
  expect(files.sort()).toEqual(Object.keys(EXPECTED).sort());
});

test.each(Object.entries(EXPECTED))('examples/%s', async (name, expected) => {
  const { code, stdout, stderr } = await run(process.execPath, [join('examples', name)], { cwd: ROOT });
  expect(code, stderr).toBe(0);
  const found = new RegExp(`^(?:${expected})$`).exec(stdout.toString('utf8'));
  expect(found, stdout.toString('utf8')).not.toBeNull();
  const caught = [...(found ?? [])].slice(1);
  for (const [a, b] of SAME[name] ?? []) expect(caught[a]).toBe(caught[b]);
  if (name === 'isolation.ts') expect(caught[0]).not.toBe(caught[1]);
});
