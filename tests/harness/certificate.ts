/** A self-signed certificate (RFC 5280, P-256) for an origin server, laid down in DER by hand: no tool has to be there. */
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';

function der(tag: number, ...parts: Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), body]);
}

const sequence = (...parts: Buffer[]) => der(0x30, ...parts);
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const time = (date: Date) =>
  der(0x17, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)}Z`, 'latin1'));

const ECDSA_SHA256 = sequence(oid('2a8648ce3d040302'));
const DAY_MS = 86_400_000;

export interface Certificate {
  key: string;
  cert: string;
}

export interface CertificateOptions {
  /** The DNS names it is for. */
  names?: string[];
  /** Days from now. */
  from_days?: number;
  until_days?: number;
}

/** What Chromium's `--ignore-certificate-errors-spki-list` takes for it: SHA-256 of its public key, Base64. */
export function pinOf({ cert }: Certificate): string {
  const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('base64');
}

/** Names `localhost` and 127.0.0.1, and is valid from yesterday until tomorrow, unless told otherwise. */
export function selfSigned({
  names = ['localhost'],
  from_days = -1,
  until_days = 1,
}: CertificateOptions = {}): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = sequence(der(0x31, sequence(oid('550403'), der(0x0c, Buffer.from(names[0] ?? '', 'utf8')))));
  const alternatives = sequence(
    ...names.map((each) => der(0x82, Buffer.from(each, 'latin1'))),
    der(0x87, Buffer.from([127, 0, 0, 1])),
  );
  const now_ms = Date.now();
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    name,
    sequence(time(new Date(now_ms + from_days * DAY_MS)), time(new Date(now_ms + until_days * DAY_MS))),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(sequence(oid('551d11'), der(0x04, alternatives)))),
  );
  const signature = der(0x03, Buffer.from([0]), sign('sha256', body, privateKey));
  const cert = sequence(body, ECDSA_SHA256, signature)
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n');
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${cert}\n-----END CERTIFICATE-----\n`,
  };
}
