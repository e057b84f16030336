import { encode } from 'cborg';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Descriptor } from '../base/directory.js';
import { toHex } from '../base/hex.js';
import { Drops } from '../core/drops.js';
import { nativeCore } from '../platform/native.js';
import { ManualClock, settle } from '../testing/clock.js';
import { NOW_S, node } from '../testing/descriptors.js';
import { quiet } from '../testing/log.js';
import { seeded } from '../testing/seeded.js';
import { frame } from '../transport/frames.js';
import { type MemorySession, memoryPair } from '../transport/memory.js';
import { signDescriptor } from './descriptor.js';
import { GossipDirectory } from './gossip.js';
import { decodeMessage, encodeMessage, MESSAGE_BYTES_MAX } from './messages.js';
import { EDITION_BURST, EDITION_REFILL_MS } from './table.js';

const core = nativeCore();

function identity(i: number) {
  const seed = new Uint8Array(32).fill(i + 1);
  return { seed, id: toHex(core.identityPublic(seed)) };
}

function record(i: number, more: Partial<Descriptor> = {}): Uint8Array {
  const { seed, id } = identity(i);
  return signDescriptor(core, seed, { ...node('', { relay: true }), id, ...more });
}

/** Directories that gossip over memory sessions. */
function world(count: number, entriesMax?: number) {
  const clock = new ManualClock();
  const nodes = Array.from({ length: count }, (_, i) => {
    const drops = new Drops();
    const more = entriesMax === undefined ? {} : { entriesMax };
    return {
      id: identity(i).id,
      drops,
      directory: new GossipDirectory({ core, clock, random: seeded(i), log: quiet, drops, ...more }),
    };
  });
  const join = async (a: number, b: number): Promise<MemorySession> => {
    const [here, there] = memoryPair();
    const incoming = there.incomingBidirectionalStreams.getReader().read();
    const stream = await here.createBidirectionalStream();
    void nodes[a]?.directory.attach(nodes[b]?.id as string, stream);
    const { value } = await incoming;
    if (value !== undefined) void nodes[b]?.directory.attach(nodes[a]?.id as string, value);
    return here;
  };
  const known = (i: number) =>
    nodes[i]?.directory
      .descriptors()
      .map((d) => d.id)
      .sort();
  return { clock, nodes, join, known };
}

/** Many turns: a hop over web streams takes dozens. */
async function quiesce() {
  for (let i = 0; i < 100; i++) await settle();
}

describe('gossip', () => {
  it('brings every descriptor to everybody along a chain of neighbours', async () => {
    const { nodes, join, known } = world(8);
    for (const [i, n] of nodes.entries()) n.directory.publish(record(i));
    for (let i = 0; i + 1 < nodes.length; i++) await join(i, i + 1);
    await quiesce();
    const all = nodes.map((n) => n.id).sort();
    for (let i = 0; i < nodes.length; i++) expect(known(i)).toEqual(all);
  });

  it('passes a newer edition on at once', async () => {
    const { nodes, join } = world(4);
    for (let i = 0; i + 1 < nodes.length; i++) await join(i, i + 1);
    nodes[0]?.directory.publish(record(0));
    await quiesce();
    nodes[0]?.directory.publish(record(0, { seq: 2, addresses: ['198.51.100.9:1'] }));
    await quiesce();
    expect(nodes[3]?.directory.get(identity(0).id)?.addresses).toEqual(['198.51.100.9:1']);
  });

  it('heals what was lost, within the time of one exchange', async () => {
    const { nodes, join, known, clock } = world(2);
    await join(0, 1);
    await quiesce();
    // Taken from a file: not news that would be passed on.
    nodes[0]?.directory.load([record(5)]);
    await quiesce();
    expect(known(1)).toEqual([]);
    await clock.pass(90_000);
    await quiesce();
    expect(known(1)).toEqual([identity(5).id]);
  });

  it('takes the good ones beside forged, stale, malformed and oversized ones, and counts those', async () => {
    const { nodes } = world(1);
    const { directory, drops } = nodes[0] as (typeof nodes)[0];
    const [here, there] = memoryPair();
    const incoming = there.incomingBidirectionalStreams.getReader().read();
    const { writable } = await here.createBidirectionalStream();
    void directory.attach('ab'.repeat(32), (await incoming).value as never);
    const forged = record(1);
    forged[0] = (forged[0] as number) ^ 1;
    const bad = [
      forged,
      record(2, { time_s: NOW_S - 7200, expires_s: NOW_S - 1 }),
      new Uint8Array(100),
      new Uint8Array(8193),
    ];
    const writer = writable.getWriter();
    await writer.write(frame(encodeMessage({ type: 'records', records: [...bad, record(3, { seq: 9 })] })));
    await writer.write(frame(encodeMessage({ type: 'records', records: [record(3, { seq: 8 }), record(4)] })));
    await quiesce();
    expect(
      directory
        .descriptors()
        .map((d) => d.id)
        .sort(),
    ).toEqual([identity(3).id, identity(4).id].sort());
    expect(directory.get(identity(3).id)?.seq).toBe(9);
    expect(drops.get('descriptor_forged')).toBe(1);
    expect(drops.get('descriptor_stale')).toBe(2);
    expect(drops.get('descriptor_malformed')).toBe(1);
    expect(drops.get('descriptor_oversized')).toBe(1);
  });

  it('forgets what has expired, and never takes it back', async () => {
    const { nodes, known, clock } = world(1);
    nodes[0]?.directory.load([record(1)]);
    expect(known(0)).toHaveLength(1);
    await clock.pass(3_600_000);
    expect(known(0)).toHaveLength(0);
    expect(nodes[0]?.directory.load([record(1)])).toBe(0);
  });

  it('holds no more than its bound, and makes room from what has expired', async () => {
    const { nodes, clock } = world(1, 3);
    const { directory, drops } = nodes[0] as (typeof nodes)[0];
    expect(directory.load([0, 1, 2, 3, 4].map((i) => record(i)))).toBe(3);
    expect(drops.get('descriptor_table_full')).toBe(2);
    await clock.pass(3_600_000);
    const later = { time_s: NOW_S + 3600, expires_s: NOW_S + 7200 };
    expect(directory.load([record(6, later)])).toBe(1);
  });

  it('does not follow a node that signs edition after edition', async () => {
    const { nodes, join, clock } = world(3);
    await join(0, 1);
    await join(1, 2);
    for (let seq = 1; seq <= 50; seq++) {
      nodes[0]?.directory.publish(record(0, { seq }));
      await quiesce();
    }
    const reached = () => nodes[2]?.directory.get(identity(0).id)?.seq;
    expect(reached()).toBe(EDITION_BURST);
    expect(nodes[1]?.drops.get('descriptor_rate')).toBe(50 - EDITION_BURST);
    // It catches up once the budget is back.
    await clock.pass(Math.max(EDITION_REFILL_MS, 95_000));
    await quiesce();
    await clock.pass(95_000);
    await quiesce();
    expect(reached()).toBe(50);
  });

  it('ends with a peer that talks nonsense, and goes on with the others', async () => {
    const nonsense = [
      new Uint8Array([0xff, 0xff, 0xff, 0xff]),
      frame(new Uint8Array([0xff])),
      frame(encode(['digest', true])),
      frame(encode(['what', 1])),
      frame(encode(['records', ['text']])),
    ];
    const { nodes, join, known } = world(3);
    await join(0, 2);
    const { directory, drops } = nodes[0] as (typeof nodes)[0];
    for (const bytes of nonsense) {
      const [here, there] = memoryPair();
      const incoming = there.incomingBidirectionalStreams.getReader().read();
      const { writable, readable } = await here.createBidirectionalStream();
      const attached = directory.attach('ab'.repeat(32), (await incoming).value as never);
      const writer = writable.getWriter();
      writer.closed.catch(() => {});
      await writer.write(bytes).catch(() => {});
      await attached;
      await expect(
        (async () => {
          for await (const _ of readable);
        })(),
      ).rejects.toThrow();
    }
    expect(drops.get('control_malformed')).toBe(nonsense.length);
    directory.publish(record(0));
    await quiesce();
    expect(known(2)).toEqual([identity(0).id]);
  });
});

describe('a gossip message', () => {
  it('comes back as it was sent, and fits', () => {
    const held = Array.from({ length: 1024 }, (_, i) => ({ id: identity(i % 200).id, seq: 2 ** 40 + i }));
    for (const message of [
      { type: 'digest' as const, last: true, held },
      { type: 'records' as const, records: [record(1)] },
    ]) {
      const bytes = encodeMessage(message);
      expect(bytes.length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
      expect(decodeMessage(bytes)).toEqual(message);
    }
  });

  it('is refused or read, never thrown about', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => void decodeMessage(bytes)));
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(fc.constantFrom('digest', 'records'), fc.boolean(), fc.uint8Array(), fc.array(fc.uint8Array())),
        ),
        (value) => {
          const message = decodeMessage(encode(value));
          if (message !== null) expect(decodeMessage(encodeMessage(message))).toEqual(message);
        },
      ),
    );
    // Nesting that would exhaust the stack.
    expect(decodeMessage(new Uint8Array(60_000).fill(0x81))).toBeNull();
  });
});
