/** What every binding's engine must do: the same suite natively and in WebAssembly. */
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { WayfareError } from '../base/errors.js';
import { toHex } from '../base/hex.js';
import type { Core } from '../core/core.js';
import { type CreateEngine, type EngineBinding, FLOW_BLOCKED, FLOW_CLOSED, FLOW_FINISHED } from '../core/engine.js';
import { type EngineNetwork, EVERY_ROLE, engineNetwork } from './engines.js';

const seed = (byte: number) => new Uint8Array(32).fill(byte);

function detached(bytes: number): Uint8Array {
  const array = new Uint8Array(bytes);
  structuredClone(array, { transfer: [array.buffer] });
  return array;
}

/** A flow over three hops, open: its ids at the client (node 0) and at the exit (node 3). */
function openFlow(n: EngineNetwork): { near: number; far: number; circuit: number } {
  n.link(1, 0, 1);
  n.link(2, 1, 2);
  n.link(3, 2, 3);
  for (const node of [0, 1, 2, 3]) n.wait(node, 'link_up');
  const [client, exit] = [n.nodes[0] as EngineBinding, n.nodes[3] as EngineBinding];
  const circuit = client.circuitOpen(n.now_us, n.hops(1, 2, 3), 'L', '', 3);
  expect(n.wait(0, 'circuit_up').circuit).toBe(circuit);
  const connection = client.connectionOpen(n.now_us, circuit);
  expect(n.wait(0, 'connection_up').connection).toBe(connection);
  const near = client.flowOpen(n.now_us, connection, 'origin.example', 443);
  const asked = n.wait(3, 'flow_requested');
  expect(asked).toMatchObject({ host: 'origin.example', port: 443 });
  exit.flowAccept(n.now_us, asked.flow, '192.0.2.1:4000');
  expect(n.wait(0, 'flow_opened')).toEqual({ type: 'flow_opened', flow: near, local: '192.0.2.1:4000' });
  return { near, far: asked.flow, circuit };
}

/** Calls that garbage is tried on; `close` has a test of its own. */
const CALLS = [
  'id',
  'linkStart',
  'linkMtu',
  'linkStop',
  'handleControl',
  'handlePackets',
  'handleTimeout',
  'outputs',
  'events',
  'nextTimeout',
  'setOnionKeys',
  'setForwarding',
  'drain',
  'nextHopUnreachable',
  'circuitOpen',
  'circuitClose',
  'circuitStats',
  'circuitFlow',
  'credits',
  'creditsCircuits',
  'creditsExport',
  'creditsRestore',
  'creditsAdd',
  'creditsReport',
  'creditsConfigure',
  'connectionOpen',
  'connectionMove',
  'connectionClose',
  'flowOpen',
  'flowAccept',
  'flowRefuse',
  'flowRead',
  'flowWrite',
  'flowFinish',
  'flowReset',
  'flowRelease',
  'stats',
] as const satisfies (keyof EngineBinding)[];

const anything = fc.oneof(
  { weight: 4, arbitrary: fc.nat(5) },
  { weight: 2, arbitrary: fc.double() },
  { weight: 3, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  { weight: 1, arbitrary: fc.constantFrom(20_000, 1248, 32).map((bytes) => new Uint8Array(bytes)) },
  { weight: 2, arbitrary: fc.constantFrom('', 'M', 'L', 'refused', 'ab'.repeat(32), '192.0.2.1:4000', '\ud800') },
  { weight: 1, arbitrary: fc.boolean() },
  { weight: 1, arbitrary: fc.anything() },
);

/** Values of the right kinds, so that more than the first check is reached. */
const SOUND: Partial<Record<(typeof CALLS)[number], fc.Arbitrary<unknown[]>>> = {
  linkStart: fc.tuple(
    fc.nat(1e9),
    fc.nat(5),
    fc.boolean(),
    fc.constantFrom('', 'ab'.repeat(32)),
    fc.constantFrom('', 'cd'.repeat(32)),
    fc.constantFrom(new Uint8Array(), seed(1)),
    fc.nat(70_000),
  ),
  handleControl: fc.tuple(fc.nat(1e9), fc.nat(5), fc.uint8Array({ maxLength: 300 })),
  handlePackets: fc.tuple(fc.nat(1e9), fc.nat(5), fc.uint8Array({ maxLength: 300 })),
  outputs: fc.tuple(fc.nat(1e9), fc.constant(new Uint8Array(20_000))),
  flowRead: fc.tuple(fc.nat(1e9), fc.nat(5), fc.uint8Array({ maxLength: 300 })),
  flowWrite: fc.tuple(fc.nat(1e9), fc.nat(5), fc.uint8Array({ maxLength: 300 })),
};

export function engineSuite(name: string, create: CreateEngine, core: Core): void {
  const made: { close(): void }[] = [];
  const network = (count: number) => {
    const n = engineNetwork(create, core, count);
    made.push(n);
    return n;
  };
  const engine = () => {
    const one = create(EVERY_ROLE, seed(1), seed(2), 0, 0);
    made.push(one);
    return one;
  };
  afterEach(() => {
    for (const one of made.splice(0)) one.close();
  });

  describe(`the engine, ${name}`, () => {
    test('is the node of its seed', () => {
      expect(engine().id()).toBe(toHex(core.identityPublic(seed(1))));
    });

    test('carries a flow over three hops both ways, and ends it on both sides', () => {
      const n = network(4);
      const { near, far, circuit } = openFlow(n);
      const [client, exit] = [n.nodes[0] as EngineBinding, n.nodes[3] as EngineBinding];
      const data = new Uint8Array(300_000).map((_, i) => (i * i) >> 5);
      for (const [from, a, to, b] of [
        [client, near, exit, far],
        [exit, far, client, near],
      ] as const) {
        const buffer = new Uint8Array(10_000);
        const got: number[] = [];
        let sent = 0;
        const ended = n.run(() => {
          while (sent < data.length) {
            const part = data.slice(sent, sent + 30_000);
            const taken = from.flowWrite(n.now_us, a, part);
            // What was taken is a copy: the caller's bytes are the caller's again.
            part.fill(0);
            if (taken === FLOW_BLOCKED) break;
            expect(taken).toBeGreaterThan(0);
            sent += taken;
            if (sent === data.length) from.flowFinish(n.now_us, a);
          }
          for (;;) {
            const read = to.flowRead(n.now_us, b, buffer);
            if (read === FLOW_FINISHED) return true;
            if (read === FLOW_BLOCKED) return false;
            for (const byte of buffer.subarray(0, read)) got.push(byte);
          }
        });
        expect(ended).toBe(true);
        expect(got.length === data.length && got.every((byte, i) => byte === data[i])).toBe(true);
      }
      client.flowRelease(n.now_us, near);
      expect(client.flowRead(n.now_us, near, new Uint8Array(9))).toBe(FLOW_CLOSED);
      const relay = JSON.parse((n.nodes[1] as EngineBinding).stats());
      expect(relay.relayed.bytes_forward).toBeGreaterThan(300_000);
      expect(Object.keys(relay.drops).sort()).toEqual([...core.reasons()].sort());
      expect(JSON.parse(client.circuitStats(circuit)).bytes_backward).toBeGreaterThan(300_000);
      client.circuitClose(n.now_us, circuit);
      expect(n.wait(0, 'circuit_down')).toMatchObject({ circuit, reason: 'circuit_closed' });
      expect(client.circuitStats(circuit)).toBe('');
    });

    test('says the same for the same seeds', () => {
      const trace = () => {
        const n = network(4);
        openFlow(n);
        n.run(() => false);
        return JSON.stringify([n.now_us, n.events, n.nodes.map((node) => node.stats())]);
      };
      expect(trace()).toBe(trace());
    });

    test('closes a link whose peer says what no peer says, and one of whom nothing is heard', () => {
      const one = engine();
      one.linkStart(0, 1, false, '', '', new Uint8Array(), 1200);
      one.linkStart(0, 2, false, '', '', new Uint8Array(), 1200);
      one.handleControl(0, 1, new Uint8Array([9, 9, 9]));
      expect(JSON.parse(one.events())).toEqual([{ type: 'link_close', link: 1, reason: 'control_malformed' }]);
      expect(one.nextTimeout(1)).toBe(5_000_000);
      one.handleTimeout(5_000_000, 5000);
      expect(JSON.parse(one.events())).toEqual([{ type: 'link_close', link: 2, reason: 'timeout' }]);
      expect(one.nextTimeout(5_000_000)).toBe(-1);
    });

    test('refuses buffers that are detached, empty or too small', () => {
      const one = engine();
      const invalid = expect.objectContaining({ code: 'argument_invalid' });
      for (const buffer of [detached(20_000), new Uint8Array(), new Uint8Array(16_383)])
        expect(() => one.outputs(0, buffer)).toThrow(invalid);
      for (const buffer of [detached(10), new Uint8Array()]) {
        expect(() => one.flowRead(0, 1, buffer)).toThrow(invalid);
        expect(() => one.flowWrite(0, 1, buffer)).toThrow(invalid);
      }
      expect(() => one.handlePackets(0, 1, detached(10))).toThrow(invalid);
      expect(() => one.handleControl(0, 1, detached(10))).toThrow(invalid);
      expect(() => one.circuitOpen(0, detached(1248), 'M', '', 0)).toThrow(invalid);
      expect(() => create(EVERY_ROLE, detached(32), seed(2), 0, 0)).toThrow(invalid);
      expect(() => create(EVERY_ROLE, seed(1), seed(2).subarray(1), 0, 0)).toThrow(invalid);
      expect(() => create({ ...EVERY_ROLE, more: 1 } as never, seed(1), seed(2), 0, 0)).toThrow(invalid);
      // A view into a larger buffer is written within its bounds.
      const whole = new Uint8Array(40_000).fill(255);
      one.linkStart(0, 3, true, 'ab'.repeat(32), '', new Uint8Array(), 1200);
      expect(one.outputs(0, whole.subarray(10_000, 30_000))).toBe(9 + 67);
      expect(whole[9_999]).toBe(255);
      expect([...whole.subarray(10_000, 10_010)]).toEqual([2, 0, 0, 0, 3, 0, 0, 0, 67, 0x41]);
      expect(whole[10_000 + 76]).toBe(255);
    });

    test('says after the end that it is closed, with what to do', () => {
      const one = engine();
      one.close();
      one.close();
      for (const call of CALLS) {
        const run = one[call] as (...values: unknown[]) => unknown;
        expect(() => run.call(one), call).toThrow(expect.objectContaining({ code: 'closed' }));
      }
      try {
        one.id();
      } catch (error) {
        expect((error as WayfareError).sentence).toMatch(/closed.*make another/);
      }
    });

    test('gives a result or a code to whatever it is called with', () => {
      const codes = new Set([...core.reasons(), 'argument_invalid']);
      const step = fc
        .constantFrom(...CALLS)
        .chain((call) =>
          fc.tuple(
            fc.constant(call),
            fc.oneof(SOUND[call] ?? fc.array(anything, { maxLength: 7 }), fc.array(anything, { maxLength: 7 })),
          ),
        );
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const one = create(EVERY_ROLE, seed(1), seed(2), 0, 0);
          try {
            for (const [call, values] of steps) {
              try {
                (one[call] as (...values: unknown[]) => unknown)(...values);
              } catch (error) {
                expect(error).toBeInstanceOf(WayfareError);
                expect(codes).toContain((error as WayfareError).code);
              }
            }
            expect(one.id()).toHaveLength(64);
          } finally {
            one.close();
          }
        }),
        { numRuns: 150 },
      );
    });
  });
}
