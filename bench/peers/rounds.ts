/** All peers side by side at one MTU, measured in turn, round by round. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { step } from '../../scripts/setup/progress.mjs';
import { Cleanup } from '../../tests/harness/cleanup.js';
import { median } from '../rows.js';
import type { At, Shown } from './figures.js';
import { answering, datagrams, firstByte_us, startOrigin, transfer } from './measure.js';
import type { Peer, Running } from './peer.js';
import { Space } from './space.js';

export interface Rounds {
  rounds: number;
  seconds: number;
  /** Also uploads, first bytes, fairness and datagrams. */
  more: boolean;
  /** Nothing new is started once this is. */
  signal: AbortSignal;
}

/** Connections per round, of which the median counts. */
const FIRST_BYTES = 25;
const FLOWS = 50;
/** Datagrams offered per second: from this, so much more each time, until more than that share is lost. */
const OFFERED = { first: 5_000, factor: Math.SQRT2, last: 500_000, loss: 0.05 };

type Note = (text: string) => void;

async function startAll(
  space: Space,
  folder: string,
  peers: readonly Peer[],
  missing: Record<string, string>,
  signal: AbortSignal,
) {
  const running = new Map<string, Running>();
  for (const peer of peers) {
    signal.throwIfAborted();
    const home = join(folder, peer.name);
    mkdirSync(home, { mode: 0o700 });
    try {
      await step(`Starting ${peer.name} at MTU ${space.mtu}`, async () => {
        const started = await peer.start(space, home);
        await answering(space, started, peer.name, peer.ready_ms);
        running.set(peer.name, started);
      });
    } catch (error) {
      missing[peer.name] = `it does not work at MTU ${space.mtu}: ${error instanceof Error ? error.message : error}`;
    }
  }
  return running;
}

async function oneRound(space: Space, running: Map<string, Running>, peers: readonly Peer[], at: At, asked: Rounds) {
  for (const [name, path] of running) {
    at.peers[name] ??= { downloads: [], uploads: [], first_byte_us: [] };
    const shown: Shown = at.peers[name];
    shown.downloads.push(await transfer(space, path, 'download', asked.seconds));
    if (!asked.more) continue;
    shown.first_byte_us.push(median(await firstByte_us(space, path, FIRST_BYTES)));
    if (peers.some((peer) => peer.name === name && peer.everywhere)) {
      shown.uploads.push(await transfer(space, path, 'upload', asked.seconds));
    }
  }
}

async function measure(
  space: Space,
  peers: readonly Peer[],
  asked: Rounds,
  missing: Record<string, string>,
  folder: string,
): Promise<At> {
  await startOrigin(space);
  const running = await startAll(space, folder, peers, missing, asked.signal);
  const at: At = { mtu: space.mtu, peers: {}, fairness: undefined, datagrams: [] };
  await step(`Measuring at MTU ${space.mtu}`, async (note: Note) => {
    for (let round = 0; round < asked.rounds; round++) {
      note(`round ${round + 1} of ${asked.rounds}`);
      await oneRound(space, running, peers, at, asked);
    }
    const ours = running.get('ours');
    if (ours === undefined) return;
    at.state = await ours.state?.();
    if (!asked.more) return;
    note(`${FLOWS} downloads at once`);
    at.fairness = await transfer(space, ours, 'download', 2 * asked.seconds, FLOWS);
    note('datagrams');
    for (let rate = OFFERED.first; rate <= OFFERED.last; rate *= OFFERED.factor) {
      const shown = await datagrams(space, ours, asked.seconds, rate);
      at.datagrams.push(shown);
      if (shown.loss > OFFERED.loss) break;
    }
  });
  return at;
}

/** `missing` learns of those that cannot be started. */
export async function rounds(
  outer: Cleanup,
  peers: readonly Peer[],
  mtu: number,
  asked: Rounds,
  missing: Record<string, string>,
): Promise<At> {
  asked.signal.throwIfAborted();
  const cleanup = new Cleanup();
  // A signal runs the outer one; run twice, the second finds nothing to do.
  outer.add(() => cleanup.run());
  try {
    const folder = mkdtempSync(join(tmpdir(), 'wayfare-peers-'));
    cleanup.add(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
    const space = cleanup.keep(new Space(mtu));
    return await measure(space, peers, asked, missing, folder);
  } finally {
    await cleanup.run();
  }
}
