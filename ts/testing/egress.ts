/** What every binding's choice of exits must do: the same suite natively and in WebAssembly. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { WayfareError } from '../base/errors.js';
import {
  type CreateEgress,
  EGRESS_BY_DESTINATION,
  EGRESS_DESTINATION,
  EGRESS_FLOW,
  EGRESS_FORCED,
  EGRESS_GIVEN,
  EGRESS_HOP,
  EGRESS_OPENED,
  EGRESS_PAIR,
  EGRESS_RECORD,
  EGRESS_SOURCE_BYTES,
  EGRESS_STICKY,
  type EgressBinding,
  EgressDestination,
  EgressFlow,
  type EgressGroups,
  EgressHop,
  EgressPair,
  type EgressStats,
} from '../core/egress.js';

const NONE = new Uint32Array();
const S = 1_000_000;

/** The source half of a tuple: 192.0.2.1 and a port, TCP. */
export function source(port: number): Uint8Array {
  const bytes = new Uint8Array(EGRESS_SOURCE_BYTES);
  bytes.set([0xff, 0xff, 192, 0, 2, 1, port >> 8, port & 255, 6], 10);
  return bytes;
}

function open(egress: EgressBinding, now_us: number, port: number, destination: number, hop = -1, avoid = NONE) {
  const out = new Float64Array(EGRESS_OPENED);
  const flow = egress.flowOpen(now_us, source(port), destination, hop, avoid, out);
  const [chosen, how, connections, peak] = out as unknown as [number, number, number, number];
  return { flow, hop: chosen, how, connections, peak };
}

const record = (flow: number, at_us: number, sent: number, received: number) =>
  Float64Array.of(flow, at_us, sent, received, 1, 1);

function rows<T extends Record<string, number>>(layout: T, numbers: Float64Array, width: number) {
  return Array.from({ length: numbers.length / width }, (_, row) => {
    const at = row * width;
    return Object.fromEntries(Object.entries(layout).map(([name, place]) => [name, numbers[at + place]])) as {
      [K in keyof T]: number;
    };
  });
}

function hopRows(egress: EgressBinding, now_us: number) {
  const out = new Float64Array(20 * EGRESS_HOP);
  const count = egress.hops(now_us, out);
  return rows(EgressHop, out.subarray(0, count * EGRESS_HOP), EGRESS_HOP);
}

/** What a run with everything in it answers: to be compared between bindings. */
export function transcript(create: CreateEgress, seed: number): number[] {
  const egress = create({}, new Uint8Array(32).fill(seed), 0);
  const said: number[] = [];
  const hops = Array.from({ length: 12 }, (_, i) => egress.hopAdd(0, 1000 * 3 ** i));
  egress.setWeighting(JSON.stringify({ all: { measure: 'speed', roots: 1 }, uniformShare: 0.05, within: 'exact' }));
  for (let i = 0; i < 2000; i++) {
    const now_us = i * 9_973;
    const destination = egress.destination(now_us, `host-${(i * i) % 17}.test:443`);
    const { flow, hop, how } = open(egress, now_us, 1024 + i, destination);
    const bad = (hop * 31 + destination * 17) % 4 === 0;
    if (!bad) egress.record(now_us, record(flow, now_us, 300, 1000 * (1 + (i % 13))), 1);
    egress.flowClose(now_us + 5_000, flow, bad);
    said.push(hop, how);
    if (i === 700) egress.hopRemove(now_us, hops[3] as number);
  }
  said.push(...hopRows(egress, 2000 * 9_973).flatMap((row) => [row.data, row.weight, row.speed]));
  egress.close();
  return said;
}

export function egressSuite(name: string, create: CreateEgress): void {
  const made: EgressBinding[] = [];
  const make = (...[options]: Parameters<CreateEgress> | []) => {
    const egress = create(options ?? {}, new Uint8Array(32).fill(1), 0);
    made.push(egress);
    return egress;
  };
  afterEach(() => {
    for (const egress of made.splice(0)) egress.close();
  });

  describe(`the choice of exits, ${name}`, () => {
    test('a tuple keeps its exit, a new port is a new choice, and a draw follows the data', () => {
      const egress = make();
      const hops = Array.from({ length: 8 }, () => egress.hopAdd(0, 1000));
      const to = egress.destination(0, 'origin.test:443');
      expect(egress.destination(0, 'origin.test:443')).toBe(to);
      expect(egress.destinationKey(to)).toBe('origin.test:443');
      const first = open(egress, 0, 1, to);
      expect(hops).toContain(first.hop);
      expect(first).toMatchObject({ connections: 1, peak: 1 });
      expect(open(egress, 5, 1, to)).toMatchObject({
        flow: first.flow,
        hop: first.hop,
        how: EGRESS_STICKY,
        connections: 1,
      });
      expect(egress.flowFind(source(1), to)).toBe(first.flow);
      expect(egress.flowFind(source(2), to)).toBe(-1);
      expect(egress.record(10, record(first.flow, 10, 100, 50_000), 1)).toBe(1);
      egress.setWeighting(JSON.stringify({ destinationShare: 1 }));
      for (let port = 2; port < 30; port++)
        expect(open(egress, 20, port, to)).toMatchObject({ hop: first.hop, how: EGRESS_BY_DESTINATION });
      const other = hops.find((hop) => hop !== first.hop) as number;
      expect(open(egress, 20, 40, to, other)).toMatchObject({ hop: other, how: EGRESS_GIVEN, connections: 30 });
      expect(open(egress, 20, 41, to, -1, Uint32Array.of(first.hop)).hop).not.toBe(first.hop);
    });

    test('what moved shows by hop, destination, pair and flow, each way, and by tuple', () => {
      const egress = make();
      const hop = egress.hopAdd(0, 7);
      const to = egress.destination(0, 'origin.test:443');
      const { flow } = open(egress, 0, 1, to);
      const sources = new Uint8Array(2 * EGRESS_SOURCE_BYTES);
      sources.set(source(1));
      sources.set(source(9), EGRESS_SOURCE_BYTES);
      const records = new Float64Array(2 * EGRESS_RECORD);
      records.set(record(to, 1 * S, 100, 0));
      records.set(record(to, 1 * S, 1, 1), EGRESS_RECORD);
      expect(egress.recordTuples(1 * S, sources, records, 2)).toBe(1);
      // Sent into silence: no evidence yet.
      expect(hopRows(egress, 1 * S)).toMatchObject([{ hop, sent: 100, received: 0, data: 0, untried: 1, weight: 7 }]);
      egress.record(3 * S, record(flow, 3 * S, 0, 900), 1);
      expect(hopRows(egress, 3 * S)).toMatchObject([
        { sent: 100, received: 900, data: 1000, opened: 1, failed: 0, flows: 1, untried: 0, weight: 1000 },
      ]);
      const out = new Float64Array(2 * Math.max(EGRESS_PAIR, EGRESS_DESTINATION, EGRESS_FLOW));
      expect(egress.pairs(3 * S, to, out)).toBe(1);
      expect(rows(EgressPair, out.subarray(0, EGRESS_PAIR), EGRESS_PAIR)[0]).toMatchObject({
        hop,
        data: 1000,
        opened: 1,
      });
      expect(egress.destinations(3 * S, 0, out)).toBe(0);
      expect(rows(EgressDestination, out.subarray(0, EGRESS_DESTINATION), EGRESS_DESTINATION)[0]).toMatchObject({
        destination: to,
        connections: 1,
        connectionsL: 1,
        flows: 1,
        hops: 1,
        last_us: 0,
      });
      expect(out[EGRESS_DESTINATION]).toBe(-1);
      expect(egress.flows(0, out)).toBe(0);
      expect(rows(EgressFlow, out.subarray(0, EGRESS_FLOW), EGRESS_FLOW)[0]).toEqual({
        flow,
        hop,
        destination: to,
        live: 1,
        first_us: 1 * S,
        last_us: 3 * S,
        sent: 100,
        received: 900,
        packetsSent: 2,
        packetsReceived: 2,
      });
      // A page of no rows says nothing of where to go on but that there is more.
      expect(egress.flows(0, new Float64Array(EGRESS_FLOW))).toBe(0);
      open(egress, 3 * S, 2, to);
      const page = new Float64Array(EGRESS_FLOW);
      const next = egress.flows(0, page);
      expect(next).toBe(1);
      expect(egress.flows(next, page)).toBe(0);
      expect(page[0]).not.toBe(flow);
      const stats: EgressStats = JSON.parse(egress.stats());
      expect(stats).toMatchObject({ hops: 1, flowsLive: 2, recordsStale: 1, destinations: 1, pairs: 1 });
      expect(stats.memoryBytes).toBeGreaterThan(1000);
    });

    test('a retry leaves out what was tried, verdicts hold until they end, and nothing empties the window', () => {
      const egress = make();
      const hops = [0, 1, 2].map(() => egress.hopAdd(0, 100));
      const to = egress.destination(0, 'down.test:80');
      const seen = new Set<number>();
      for (let i = 0; i < 3; i++) {
        const { flow, hop, how } = open(egress, i * 100, 10 + i, to);
        expect(how).not.toBe(EGRESS_FORCED);
        seen.add(hop);
        egress.flowClose(i * 100 + 50, flow, true);
        const chain = new Uint32Array(8);
        expect(egress.retryOf(i * 100 + 60, source(99), to, chain)).toBe(i + 1);
      }
      expect(seen).toEqual(new Set(hops));
      expect(open(egress, 300, 20, to).how).toBe(EGRESS_FORCED);
      const groups: EgressGroups = JSON.parse(egress.groups(400, 1 * S));
      expect(groups).toMatchObject({
        connections: 4,
        running: 1,
        chains: [{ destination: to, tries: 4, failed: false }],
      });
      // Another destination is not touched by it.
      const fine = egress.destination(0, 'fine.test:80');
      const drawn = new Uint32Array(5);
      expect(egress.draw(400, fine, NONE, drawn)).toBe(3);
      expect(new Set(drawn.subarray(0, 3))).toEqual(new Set(hops));
      expect(egress.lastHow()).not.toBe(EGRESS_FORCED);
      egress.hopExclude(hops[0] as number, 1 * S);
      egress.pairExclude(400, hops[1] as number, fine, 2 * S);
      for (let port = 100; port < 120; port++) expect(open(egress, 500, port, fine).hop).toBe(hops[2]);
      const after = new Set(Array.from({ length: 60 }, (_, i) => open(egress, 3 * S, 200 + i, fine).hop));
      expect(after).toEqual(new Set(hops));
    });

    test('a race counts its attempts, and the winner takes the flow as long as nothing has come', () => {
      const egress = make();
      const [a, b] = [egress.hopAdd(0, 1), egress.hopAdd(0, 1)];
      const to = egress.destination(0, 'origin.test:443');
      const { flow } = open(egress, 0, 1, to, a);
      egress.attemptOpen(0, to, b);
      expect(egress.flowMove(10, flow, b)).toBe(true);
      egress.attemptClose(10, to, b, false);
      egress.record(20, record(flow, 20, 0, 10), 1);
      expect(egress.flowMove(30, flow, a)).toBe(false);
      expect(hopRows(egress, 30)).toMatchObject([
        { hop: a, opened: 1, flows: 0, data: 0 },
        { hop: b, opened: 2, flows: 1, data: 10 },
      ]);
      egress.hopRemove(40, b);
      expect(egress.hopRelease(b)).toBe(false);
      expect(open(egress, 50, 1, to)).toMatchObject({ hop: b, how: EGRESS_STICKY });
      egress.flowClose(60, flow, false);
      expect(egress.hopRelease(b)).toBe(true);
      expect(() => egress.hopRelease(b)).toThrow(expect.objectContaining({ code: 'argument_invalid' }));
      expect(open(egress, 70, 1, to).hop).toBe(a);
    });

    test('connections are counted over any span', () => {
      const egress = make();
      egress.hopAdd(0, 1);
      const to = egress.destination(0, 'origin.test:443');
      for (let i = 0; i < 30; i++) open(egress, i * S, 1000 + i, to);
      expect(egress.connections(29 * S, to, 10 * S)).toBe(11);
      expect(egress.connections(29.5 * S, to, 10 * S)).toBe(10.5);
      expect(egress.connections(29 * S, to, Number.POSITIVE_INFINITY)).toBe(30);
      expect(egress.connectionsPeak(29 * S)).toBe(30);
      expect(egress.connectionsPeak(75 * S)).toBe(14);
    });

    test('without a hop, with bad values and after the end it says so', () => {
      const egress = make();
      const to = egress.destination(0, 'origin.test:443');
      expect(() => open(egress, 0, 1, to)).toThrow(expect.objectContaining({ code: 'window_empty' }));
      expect(() => egress.draw(0, to, NONE, new Uint32Array(1))).toThrow(/no exit/);
      const bad = expect.objectContaining({ code: 'argument_invalid' });
      for (const call of [
        () => egress.destination(0, ''),
        () => egress.destination(0, 'x'.repeat(301)),
        () => egress.destination(-1, 'x'),
        () => egress.destination(Number.NaN, 'x'),
        () => egress.flowFind(new Uint8Array(18), to),
        () => egress.hopRemove(0, 0.5),
        () => egress.hopRemove(0, 3),
        () => egress.flowClose(0, 12, false),
        () => egress.connections(0, to + 1, 1),
        () => egress.setWeighting('{"combine":"none"}'),
        () => egress.setWeighting('{"destinationShare":1.5}'),
        () => egress.setWeighting('{"octaves":9}'),
        () => egress.setWeighting('{"shares":1}'),
        () => egress.flowOpen(0, source(1), to, -1, NONE, new Float64Array(3)),
        () => create({ window_us: 1.5 * S }, new Uint8Array(32), 0),
        () => create({ sequence_us: 63 * S }, new Uint8Array(32), 0),
        () => create({}, new Uint8Array(31), 0),
        () => egress.record(0, new Uint8Array(48) as unknown as Float64Array, 1),
      ])
        expect(call).toThrow(bad);
      const hop = egress.hopAdd(0, Number.NaN);
      const { flow } = open(egress, 0, 1, to);
      const numbers = [Number.NaN, -1, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 64, 1e300];
      for (const number of numbers) {
        egress.record(0, Float64Array.of(number, number, number, number, number, number), 1);
        egress.record(0, Float64Array.of(flow, number, number, number, number, number), 1);
      }
      expect(hopRows(egress, 0)).toMatchObject([{ hop, untried: 0, weight: 2 ** 44 - 1 }]);
      expect(JSON.parse(egress.stats())).toMatchObject({ recordsMalformed: 4, recordsStale: 4 });
      egress.close();
      egress.close();
      expect(() => egress.stats()).toThrow(expect.objectContaining({ code: 'closed' }));
    });

    test('whatever is passed gives a result or an error of ours', () => {
      const egress = make({ limits: { hops: 8, destinations: 4, pairs: 8, tuples: 8, log: 8 } }, new Uint8Array(), 0);
      const names = Object.keys(egress).filter((call) => call !== 'close');
      const value = fc.oneof(
        { weight: 6, arbitrary: fc.nat(9) },
        fc.double(),
        fc.constantFrom<unknown>('', 'a:1', '{}', -1, true, false, undefined, null),
        fc.constantFrom(0, 1, 2, 3).map(source),
        fc.nat(9).map((length) => new Uint32Array(length)),
        fc.array(fc.oneof(fc.nat(9), fc.double()), { maxLength: 18 }).map((all) => Float64Array.from(all)),
      );
      fc.assert(
        fc.property(fc.constantFrom(...names), fc.array(value, { maxLength: 6 }), (call, values) => {
          try {
            (egress as unknown as Record<string, (...all: unknown[]) => unknown>)[call]?.(...values);
          } catch (error) {
            expect(error).toBeInstanceOf(WayfareError);
            expect((error as WayfareError).code).toMatch(/^(argument_invalid|window_empty|egress_full)$/);
          }
        }),
        { numRuns: 5000, seed: 6 },
      );
    });
  });
}
