/** From options and a platform to a running node. */
import { asWayfareError } from '../base/errors.js';
import type { HostEvent } from '../core/host.js';
import { unlessAborted } from '../core/timing.js';
import { serves } from './announce.js';
import { Certificates } from './certificates.js';
import { KeptEntries } from './entries.js';
import { loadIdentity, OnionKeys } from './keys.js';
import { type NodeParts, WayfareNode } from './node.js';
import { checkOptions, creditOptions, type NodeOptions, type Platform } from './options.js';

const REPLAY_FILE = 'setups-seen.bin';
const ACCOUNTS_FILE = 'accounts.sqlite';

/** Makes a node on this platform, and starts it. `make`: the platform's own class of nodes. */
export function createNodeOn(options: NodeOptions, platform: Platform): Promise<WayfareNode>;
export function createNodeOn<T extends WayfareNode>(
  options: NodeOptions,
  platform: Platform,
  make: new (parts: NodeParts) => T,
): Promise<T>;
export async function createNodeOn(
  options: NodeOptions,
  platform: Platform,
  Node: new (parts: NodeParts) => WayfareNode = WayfareNode,
): Promise<WayfareNode> {
  checkOptions(options);
  const { core, createHost, clock, random } = platform;
  const { store, pathOf } = await platform.openStore(options.dataDir);
  const identitySeed = await loadIdentity(store, random);
  const roles = options.roles ?? ['client'];
  const keys = new OnionKeys(store, core, clock, random);
  await keys.refresh();
  let take: (events: HostEvent[]) => void = () => {};
  const host = createHost(
    {
      identitySeed,
      listen: options.listen ?? [serves(roles) ? '0.0.0.0:4433' : '0.0.0.0:0'],
      roles: {
        client: roles.includes('client'),
        relay: roles.includes('relay'),
        exit: roles.includes('exit'),
        ...(roles.includes('listener') && { listener: true }),
      },
      ...(pathOf !== undefined && { replayFile: pathOf(REPLAY_FILE) }),
      freshKeys: keys.fresh,
      ...(options.limits !== undefined && { limits: options.limits }),
      credits: creditOptions(options.credit),
    },
    (events) => take(events),
  );
  const { newCertificate } = platform;
  const entries = new KeptEntries(store);
  await entries.load();
  const certificates =
    serves(roles) && newCertificate !== undefined && host.setCertificates !== undefined
      ? new Certificates(store, clock, newCertificate)
      : null;
  const accounts = pathOf === undefined ? undefined : platform.openAccounts?.(pathOf(ACCOUNTS_FILE));
  const node = new Node({
    options,
    ...(accounts !== undefined && { accounts }),
    platform,
    keys,
    certificates,
    entries,
    identitySeed,
    host,
    onEvents: (taker) => {
      take = taker;
    },
  });
  try {
    await unlessAborted(options.signal, 'the start', node.start());
  } catch (error) {
    await node.close().catch(() => {});
    throw asWayfareError(error);
  }
  return node;
}
