/**
 * A private Tor network: three relays, the first of them also the directory authority and the last the only exit, and a
 * client. Its first consensus takes about a minute.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture } from '../../scripts/setup/exec.mjs';
import { debian, find, libraries } from './debian.js';
import { type Peer, Processes } from './peer.js';
import { addressOf, type Host } from './space.js';

const SOCKS = '127.0.0.1:9050';
const AUTHORITY = 'hop1';
const OR_PORT = 5_000;
const DIRECTORY = `${addressOf(AUTHORITY)}:7000`;
const READY_MS = 240_000;

/** For all; the intervals are about the least that tor takes. */
const COMMON = `TestingTorNetwork 1
AssumeReachable 1
EnforceDistinctSubnets 0
SafeLogging 0
Log notice stdout
ShutdownWaitLength 0
PathsNeededToBuildCircuits 0.67
TestingClientDownloadInitialDelay 0
`;

const VOTING = `AuthoritativeDirectory 1
V3AuthoritativeDirectory 1
DirPort ${DIRECTORY}
ContactInfo none@example.org
TestingV3AuthInitialVotingInterval 20
TestingV3AuthInitialVoteDelay 4
TestingV3AuthInitialDistDelay 4
V3AuthVotingInterval 20
V3AuthVoteDelay 4
V3AuthDistDelay 4
TestingDirAuthVoteGuard *
TestingDirAuthVoteExit *
TestingMinExitFlagThreshold 0
`;

const EXIT = `ExitRelay 1
ExitPolicyRejectPrivate 0
ExitPolicy accept *:*
`;

const relay = (host: Host) => `Nickname ${host}
Address ${addressOf(host)}
ORPort ${addressOf(host)}:${OR_PORT}
SocksPort 0
${host === 'hop3' ? EXIT : 'ExitRelay 0\nExitPolicy reject *:*\n'}`;

function ended(command: string, args: readonly string[], input = ''): string {
  const env = { ...process.env, ...libraries() };
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', input, env });
  if (status !== 0) throw new Error(`${command} ${args[0]}: ${error?.message ?? stderr}`);
  return stdout;
}

/** Makes the authority's keys; the line by which all others know it. */
function authority(data: string, nothing: string): string {
  const keys = join(data, 'keys');
  mkdirSync(keys, { mode: 0o700 });
  const files = ['-i', 'authority_identity_key', '-s', 'authority_signing_key', '-c', 'authority_certificate'];
  const named = files.map((word) => (word.startsWith('-') ? word : join(keys, word)));
  const args = ['--create-identity-key', ...named, '-m', '12', '-a', DIRECTORY, '--passphrase-fd', '0'];
  ended(find('tor-gencert') ?? 'tor-gencert', args, 'not a secret\n');
  const certificate = readFileSync(join(keys, 'authority_certificate'), 'utf8');
  const identity = /^fingerprint ([0-9A-F]{40})$/m.exec(certificate)?.[1];
  const listed = ended(find('tor') ?? 'tor', [
    ...['--list-fingerprint', '--DataDirectory', data, '--ORPort', '1', '--Nickname', AUTHORITY, '--quiet'],
    ...['-f', nothing, '--defaults-torrc', nothing, '--DirAuthority', `x 127.0.0.1:1 ${'F'.repeat(40)}`],
  ]);
  const fingerprint = /([0-9A-F]{4}(?: [0-9A-F]{4}){9})/.exec(listed)?.[1]?.replaceAll(' ', '');
  if (identity === undefined || fingerprint === undefined) throw new Error(`tor made no authority: ${listed}`);
  return `DirAuthority ${AUTHORITY} orport=${OR_PORT} no-v2 v3ident=${identity} ${DIRECTORY} ${fingerprint}\n`;
}

export const tor: Peer = {
  name: 'tor',
  title: 'a private Tor network of three relays; onion-encrypted',
  ready_ms: READY_MS,
  async bring() {
    await debian('tor-gencert', 'tor');
    const program = await debian('tor', 'tor');
    const said = capture(program, ['--version'], { env: { ...process.env, ...libraries() } });
    return said?.split('\n')[0] ?? '';
  },
  async start(space, folder) {
    const processes = new Processes(space, folder, libraries());
    const data = (host: Host) => join(folder, host);
    const hosts = ['hop1', 'hop2', 'hop3', 'client'] as const;
    for (const host of hosts) mkdirSync(data(host), { mode: 0o700 });
    // Instead of the system's own configuration.
    const nothing = join(folder, 'nothing');
    writeFileSync(nothing, '');
    const known = authority(data(AUTHORITY), nothing);
    for (const host of hosts) {
      const own = host === 'client' ? `SocksPort ${SOCKS}\nClientRejectInternalAddresses 0\n` : relay(host);
      const voting = host === AUTHORITY ? VOTING : '';
      const file = join(folder, `${host}.torrc`);
      writeFileSync(file, `DataDirectory ${data(host)}\n${COMMON}${known}${own}${voting}`);
      processes.start(host, find('tor') ?? 'tor', '-f', file, '--defaults-torrc', nothing);
    }
    return { proxy: SOCKS, processes: processes.list };
  },
};
