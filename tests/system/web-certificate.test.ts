/** The certificate of an authority at a relay: who is shown which, and what a relay says of files that cannot be used. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readAuthority } from '../../ts/platform/authority.js';
import { newCertificate } from '../../ts/platform/native.js';
import { reliableTransports } from '../../ts/platform/reliable.js';
import { RELIABLE_KINDS } from '../../ts/transport/reliable-ports.js';
import { type Certificate, selfSigned } from '../harness/certificate.js';
import { Cleanup } from '../harness/cleanup.js';
import { wayfare } from '../harness/cli.js';
import { temporaryFolder } from '../harness/folder.js';
import { toml } from '../harness/node.js';

const HOST = 'relay.wayfare.test';

const cleanup = new Cleanup();
let folder: string;
let web: { host: string; certificateFile: string; keyFile: string };
beforeEach(() => {
  folder = temporaryFolder(cleanup);
  web = { host: `${HOST}:443`, certificateFile: join(folder, 'chain.pem'), keyFile: join(folder, 'key.pem') };
});
afterEach(() => cleanup.run());

function lay({ cert, key }: Certificate): void {
  writeFileSync(web.certificateFile, cert);
  writeFileSync(web.keyFile, key);
}

const good = () => selfSigned({ names: [HOST] });

/** The certificate that a TLS client is shown, PEM without line ends. */
async function shown(address: string, servername?: string): Promise<string> {
  const [host = '', port] = address.split(':');
  const named = servername === undefined ? {} : { servername };
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ...named });
  await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
  const { raw } = socket.getPeerCertificate();
  socket.destroy();
  return raw.toString('base64');
}

const bare = (pem: string) => pem.replaceAll(/-----[A-Z ]+-----|\s/g, '');

test('who asks for the name is shown it, also once it is renewed; nodes are shown what descriptors name', async () => {
  const now_s = Math.floor(Date.now() / 1000);
  const own = newCertificate(now_s - 3600, now_s + 3600);
  const first = good();
  lay(first);
  const authority = await readAuthority(web, Date.now());
  const listener = cleanup.keep(await reliableTransports.listen('127.0.0.1:0', own, () => {}, authority));
  const pinned = Buffer.from(own.certificate).toString('base64');
  expect(await shown(listener.address, HOST)).toBe(bare(first.cert));
  expect(await shown(listener.address)).toBe(pinned);
  expect(await shown(listener.address, 'other.wayfare.test')).toBe(pinned);
  const { signal } = new AbortController();
  for (const kind of RELIABLE_KINDS)
    (await reliableTransports.dial(kind, listener.address, [own.hash], signal)).session.close();

  const second = good();
  lay(second);
  listener.updateAuthority(await readAuthority(web, Date.now()));
  expect(await shown(listener.address, HOST)).toBe(bare(second.cert));
});

test.each<[what: string, prepare: () => void, code: string, message: RegExp, hint: RegExp]>([
  ['missing', () => rmSync(web.certificateFile), 'config_missing', /chain\.pem cannot be read/, /ENOENT/],
  ['a missing key', () => rmSync(web.keyFile), 'config_missing', /key\.pem cannot be read/, /ENOENT/],
  [
    'no PEM',
    () => writeFileSync(web.certificateFile, 'x'),
    'config_invalid',
    /holds no certificate/,
    /name a PEM file/,
  ],
  [
    'damaged',
    () => writeFileSync(web.certificateFile, good().cert.replace(/\nMII/, '\nMIA')),
    'config_invalid',
    /damaged certificate/,
    /restore it/,
  ],
  ['no key', () => writeFileSync(web.keyFile, good().cert), 'config_invalid', /no private key/, /not encrypted/],
  [
    'of another key',
    () => writeFileSync(web.keyFile, good().key),
    'config_invalid',
    /does not belong to the key in .*key\.pem/,
    /issued together/,
  ],
  [
    'of another name',
    () => lay(selfSigned({ names: ['other.wayfare.test'] })),
    'config_invalid',
    /is not for relay\.wayfare\.test: it names DNS:other/,
    /issued for that name/,
  ],
  [
    'expired',
    () => lay(selfSigned({ names: [HOST], from_days: -9, until_days: -1 })),
    'config_invalid',
    /expired on \d{4}-/,
    /renew it/,
  ],
  [
    'not valid yet',
    () => lay(selfSigned({ names: [HOST], from_days: 1, until_days: 9 })),
    'config_invalid',
    /valid from \d{4}-/,
    /clock/,
  ],
])('a certificate that is %s is refused, with the mending', async (_, prepare, code, message, hint) => {
  lay(good());
  prepare();
  const refused = readAuthority(web, Date.now());
  await expect(refused).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
});

test('a relay whose certificate has expired does not start, and says what to do', async () => {
  lay(selfSigned({ names: [HOST], from_days: -9, until_days: -1 }));
  writeFileSync(
    join(folder, 'wayfare.toml'),
    toml({
      listen: ['127.0.0.1:0'],
      listen_reliable: ['127.0.0.1:0'],
      roles: ['relay'],
      web: { host: web.host, certificate_file: 'chain.pem', key_file: 'key.pem' },
    }),
  );
  const { code, stderr } = await wayfare(['up'], { folder });
  expect(code).toBe(2);
  expect(stderr).toMatch(/the certificate in \S+chain\.pem expired on .*: renew it/);
});
