import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { splitHostPort } from '../base/config/index.js';
import { httpGet } from '../demo/http-get.js';
import { Network } from '../demo/network.js';
import { startOrigin } from '../demo/origin.js';
import { createLog } from './log.js';

function memory() {
  let text = '';
  const write = (line: string) => {
    text += line;
  };
  return { write, read: () => text };
}

test('a line is JSON with level, time and message; fields that are not listed are left out', () => {
  const sink = memory();
  const log = createLog('info', sink).child({ node: 'relay-1', host: 'secret.example' });
  log.debug('not at this level');
  log.info('link up', { peer: 'ab', rtt_us: 12, address: 'secret.example:443', url: 'http://secret.example/' });
  const line = JSON.parse(sink.read());
  expect(line).toEqual({
    level: 'info',
    time: expect.any(String),
    msg: 'link up',
    node: 'relay-1',
    peer: 'ab',
    rtt_us: 12,
  });
  expect(new Date(line.time).toISOString()).toBe(line.time);
});

// docs/threats.md, row 22: at the most talkative level, with flows that work and flows that fail.
test('what nodes log holds no destination and no key', async () => {
  const sink = memory();
  const dataDir = await mkdtemp(join(tmpdir(), 'wayfare-log-'));
  const origin = await startOrigin(1000);
  const network = await Network.start({ relays: 3, exits: 2, hops: 3, dataDir, log: createLog('debug', sink) });
  try {
    const socks = splitHostPort((await network.client.listenSocks({ listen: '127.0.0.1:0' })).address)!;
    const { response } = await httpGet(socks, new URL(`http://localhost:${origin.port}${origin.path}`));
    for await (const _ of response);
    await expect(httpGet(socks, new URL('http://secret-destination.invalid/'))).rejects.toThrow();
    await expect(httpGet(socks, new URL('http://10.11.12.13:8081/'))).rejects.toThrow();
    await expect(network.client.dial({ host: 'other-secret.invalid', port: 4711 }).opened).rejects.toThrow();
    const secrets: string[] = [];
    for (const name of await readdir(dataDir)) {
      for (const file of await readdir(join(dataDir, name))) {
        if (!file.endsWith('.key')) continue;
        const key = await readFile(join(dataDir, name, file));
        secrets.push(key.toString('hex'), key.toString('base64'), key.toString('base64url'));
      }
    }
    expect(secrets.length).toBeGreaterThanOrEqual(6 * 2 * 3);
    await network.close();
    const text = sink.read();
    expect(text.split('\n').length).toBeGreaterThan(10);
    for (const key of secrets) expect(text.includes(key), 'a key').toBe(false);
    // Ids and measures hold whatever digits they happen to hold.
    const words = text.replace(/[0-9a-f]{64}|"(?:\w+_(?:us|ms|s|bytes|packets)|time)":[^,}]*/g, '');
    for (const word of [
      'secret',
      '.invalid',
      '10.11.12.13',
      '4711',
      '8081',
      'localhost',
      String(origin.port),
      origin.path.slice(1),
    ]) {
      expect(words.includes(word), word).toBe(false);
    }
  } finally {
    await network.close();
    await origin.close();
    await rm(dataDir, { recursive: true });
  }
});
