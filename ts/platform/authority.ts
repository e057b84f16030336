/**
 * The certificate of the web's authorities that a relay shows browsers, from its files.
 *
 * Invariant: what is handed out fits together and is valid now; whatever does not is refused with the file's name and the mending.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { joinHostPort, splitHostPort } from '../base/config/index.js';
import { ConfigError } from '../base/errors.js';
import type { WebOptions } from '../runtime/options.js';
import type { AuthorityCertificate } from '../transport/reliable-ports.js';

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Reads both files. Rejects with `config_missing` where one cannot be read, else with `config_invalid`. */
export async function readAuthority(web: WebOptions, now_ms: number): Promise<AuthorityCertificate> {
  const { certificateFile, keyFile } = web;
  const host = splitHostPort(web.host)?.host.toLowerCase();
  if (host === undefined)
    throw new ConfigError('config_invalid', `"${web.host}" is no name with a port`, {
      hint: `give ${joinHostPort('relay.example', 443)} or its like`,
    });
  const [chain, key] = [await read(certificateFile), await read(keyFile)];
  const [own] = certificatesIn(chain, certificateFile);
  const named = `the certificate in ${certificateFile}`;
  const refuse = (why: string, hint: string) => {
    throw new ConfigError('config_invalid', `${named} ${why}`, { hint });
  };
  if (!own.checkPrivateKey(keyIn(key, keyFile)))
    refuse(`does not belong to the key in ${keyFile}`, 'name the two files that were issued together');
  if (own.checkHost(host) === undefined)
    refuse(`is not for ${host}: it names ${own.subjectAltName ?? 'nothing'}`, 'have one issued for that name');
  if (own.validToDate.getTime() <= now_ms)
    refuse(`expired on ${own.validToDate.toISOString()}`, 'renew it, or set this machine’s clock');
  if (own.validFromDate.getTime() > now_ms)
    refuse(`is valid from ${own.validFromDate.toISOString()} on`, 'set this machine’s clock, or wait');
  return { host, chain, key };
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new ConfigError('config_missing', `${file} cannot be read`, { cause, hint: (cause as Error).message });
  }
}

/** All of them must parse: a browser is sent all. */
function certificatesIn(text: string, file: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [own, ...rest] = (text.match(PEM_CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem));
    if (own !== undefined) return [own, ...rest];
  } catch (cause) {
    throw new ConfigError('config_invalid', `${file} holds a damaged certificate`, {
      cause,
      hint: 'restore it from where it was issued',
    });
  }
  throw new ConfigError('config_invalid', `${file} holds no certificate`, {
    hint: 'name a PEM file that begins with -----BEGIN CERTIFICATE-----, the whole chain in it',
  });
}

function keyIn(text: string, file: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    throw new ConfigError('config_invalid', `${file} holds no private key that can be read`, {
      cause,
      hint: 'name a PEM file with the key, not encrypted',
    });
  }
}
