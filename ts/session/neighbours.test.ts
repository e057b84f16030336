import { describe, expect, it } from 'vitest';
import type { Descriptor, Directory } from '../base/directory.js';
import { WayfareError } from '../base/errors.js';
import type { Log } from '../base/ports.js';
import { Drops } from '../core/drops.js';
import type { HostEvent, NodeHost } from '../core/host.js';
import { ManualClock, settle } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { seeded } from '../testing/seeded.js';
import { Neighbours, UNUSED_MS } from './neighbours.js';
import { Protocols } from './protocols.js';

const quiet: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => quiet };

function world(options: { bootstrap?: Descriptor[]; versionMax?: number } = {}) {
  const known = new Map<string, Descriptor>();
  const listeners = new Set<(descriptor: Descriptor) => void>();
  const dials: { peer: string; at_ms: number; addresses: string[] }[] = [];
  const closed: { link: number; reason: string }[] = [];
  const unreachable: string[] = [];
  const down = new Set<string>();
  const late = new Set<string>();
  const packets = new Map<number, number>();
  const clock = new ManualClock();
  let next = 1;
  let neighbours: Neighbours;
  const up = (peer: string, version = 1, incoming = false) => {
    const link = next++;
    packets.set(link, 0);
    const event: HostEvent = { type: 'link_up', link, peer, address: '192.0.2.9:1', incoming, version };
    neighbours.handle(event);
    return link;
  };
  const lose = (link: number, peer: string) => neighbours.handle({ type: 'link_down', link, peer, reason: 'timeout' });
  const host = {
    async linkOpen(peer: string, addresses: string[]) {
      dials.push({ peer, at_ms: clock.now_ms(), addresses });
      if (down.has(peer)) throw new WayfareError('timeout', 'no answer');
      if (!late.has(peer)) return up(peer);
      // The answer overtakes the event.
      clock.setTimeout(() => up(peer), 1);
      return next;
    },
    linkClose: (link: number, reason: string) => void closed.push({ link, reason }),
    nextHopUnreachable: (peer: string) => void unreachable.push(peer),
    stats: async () => ({
      links: [...packets].map(([link, count]) => ({ link, packets_received: count, packets_sent: 0 })),
    }),
  } as unknown as NodeHost;
  const directory = {
    get: (id: string) => known.get(id),
    subscribe: (listener: (descriptor: Descriptor) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as Directory;
  const drops = new Drops();
  neighbours = new Neighbours({
    host,
    directory,
    protocols: new Protocols(drops),
    drops,
    clock,
    random: seeded(5),
    log: quiet,
    self: node('self').id,
    versionMax: options.versionMax ?? 1,
    bootstrap: (options.bootstrap ?? []).map((d) => ({ id: d.id, address: d.addresses[0] as string })),
    onDialled() {},
  });
  const learn = (descriptor: Descriptor) => {
    known.set(descriptor.id, descriptor);
    for (const listener of listeners) listener(descriptor);
  };
  return { neighbours, clock, dials, closed, unreachable, down, late, packets, drops, up, lose, learn };
}

describe('neighbours', () => {
  it('dial a bootstrap peer again and again, waiting longer each time, at most a minute', async () => {
    const peer = node('boot');
    const { neighbours, clock, dials, down } = world({ bootstrap: [peer] });
    down.add(peer.id);
    neighbours.start();
    await clock.pass(10 * 60_000);
    const waits = dials.slice(1).map((dial, i) => dial.at_ms - (dials[i]?.at_ms ?? 0));
    expect(waits[0]).toBeLessThanOrEqual(250);
    for (const [i, wait] of waits.entries()) {
      const step_ms = Math.min(60_000, 250 * 2 ** i);
      expect(wait).toBeGreaterThanOrEqual(step_ms / 2);
      expect(wait).toBeLessThanOrEqual(step_ms);
    }
    down.clear();
    await clock.pass(60_000);
    expect(neighbours.peers().map((p) => p.id)).toEqual([peer.id]);
    neighbours.close();
  });

  it('dial a lost bootstrap peer again within a second', async () => {
    const peer = node('boot');
    const { neighbours, clock, dials, lose } = world({ bootstrap: [peer] });
    neighbours.start();
    await settle();
    lose(neighbours.peers()[0]?.link ?? 0, peer.id);
    await clock.pass(1_000);
    expect(dials).toHaveLength(2);
    expect(neighbours.peers()).toHaveLength(1);
    neighbours.close();
  });

  it('have a session when a dial is done, also where the host answers before it tells', async () => {
    const { neighbours, clock, late, learn } = world();
    const peer = node('relay0');
    learn(peer);
    late.add(peer.id);
    const reached = neighbours.reach(peer.id).then(() => neighbours.session(peer.id));
    await clock.pass(10);
    expect(await reached).toBeDefined();
  });

  it('dial once for all who want the same peer, and not at all where a link is up', async () => {
    const { neighbours, dials, learn } = world();
    const peer = node('relay0');
    learn(peer);
    await Promise.all([neighbours.reach(peer.id), neighbours.reach(peer.id), neighbours.reach(peer.id)]);
    await neighbours.reach(peer.id);
    expect(dials).toEqual([{ peer: peer.id, at_ms: dials[0]?.at_ms, addresses: peer.addresses }]);
  });

  it('answer a relay’s wish for a next hop by dialling it, or by saying that it is out of reach', async () => {
    const { neighbours, learn, dials, down, unreachable } = world();
    const [good, dead, stranger] = [node('good'), node('dead'), node('stranger')];
    learn(good);
    learn(dead);
    down.add(dead.id);
    for (const { id } of [good, dead, stranger]) neighbours.handle({ type: 'next_hop_wanted', peer: id });
    await settle();
    expect(dials.map((d) => d.peer)).toEqual([good.id, dead.id]);
    expect(unreachable.sort()).toEqual([dead.id, stranger.id].sort());
  });

  it('refuse a link that speaks less than its peer’s descriptor says: a downgrade', async () => {
    const { neighbours, learn, up, closed, drops } = world({ versionMax: 3 });
    neighbours.start();
    const [early, late, old] = [node('early'), node('late'), node('old')].map((d) => ({
      ...d,
      versions: { min: 1, max: 3 },
    }));
    if (early === undefined || late === undefined || old === undefined) throw new Error('three nodes');
    learn(early);
    const known = up(early.id, 2);
    // Here the descriptor comes after the link.
    const unknown = up(late.id, 1);
    expect(closed).toEqual([{ link: known, reason: 'link_refused' }]);
    learn(late);
    expect(closed[1]).toEqual({ link: unknown, reason: 'link_refused' });
    // What is the most both can speak is no downgrade, whatever more the peer can.
    learn({ ...old, versions: { min: 1, max: 9 } });
    up(old.id, 3);
    expect(closed).toHaveLength(2);
    expect(drops.get('link_refused')).toBe(2);
    neighbours.close();
  });

  it('close links that carried nothing for long, except to bootstrap peers and those that called', async () => {
    const boot = node('boot');
    const { neighbours, learn, clock, closed, packets, up } = world({ bootstrap: [boot] });
    neighbours.start();
    const [used, unused] = [node('used'), node('unused')];
    learn(used);
    learn(unused);
    await neighbours.reach(used.id);
    await neighbours.reach(unused.id);
    up(node('caller').id, 1, true);
    const linkOf = (id: string) => neighbours.peers().find((p) => p.id === id)?.link ?? 0;
    for (let i = 0; i < 15; i++) {
      packets.set(linkOf(used.id), i + 1);
      await clock.pass(UNUSED_MS / 10);
    }
    expect(closed.map((c) => c.link)).toEqual([linkOf(unused.id)]);
    neighbours.close();
  });
});
