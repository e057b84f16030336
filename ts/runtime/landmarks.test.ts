import { expect, test } from 'vitest';
import type { Descriptor } from '../base/directory.js';
import { LANDMARKS, landmarksAmong } from '../egress/landmarks.js';
import { ManualClock } from '../testing/clock.js';
import { node } from '../testing/descriptors.js';
import { LandmarkPings } from './landmarks.js';

const AGAIN_MS = 1000;
const idOf = (name: string) => node(name).id;

function measuring(nodes: Descriptor[], rtts: Record<string, number>, self = idOf('me')) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const pings = new LandmarkPings({
    self,
    clock,
    descriptors: () => nodes,
    again_ms: AGAIN_MS,
    rtt_us: (id) => {
      asked.push(id);
      const rtt = rtts[id];
      return rtt === undefined ? Promise.reject(new Error('no link')) : Promise.resolve(rtt);
    },
  });
  return { clock, pings, asked };
}

test('landmarks are the relays of the lowest ids, whoever looks and in whatever order', () => {
  const relays = Array.from({ length: LANDMARKS + 3 }, (_, i) => node(`r${String(i).padStart(2, '0')}`));
  const exit = node('a', { exit: true });
  const expected = relays.slice(0, LANDMARKS).map(({ id }) => id);
  expect(landmarksAmong([exit, ...relays])).toEqual(expected);
  expect(landmarksAmong([...relays].reverse())).toEqual(expected);
});

test('those that answer are told, those that do not are asked again later, and a node does not ask itself', async () => {
  const nodes = [node('a'), node('b'), node('me')];
  const { clock, pings, asked } = measuring(nodes, { [idOf('a')]: 7_000 });
  expect(await pings.refresh()).toBe(true);
  expect(pings.pings()).toEqual([{ id: idOf('a'), rtt_us: 7_000 }]);
  expect(asked).toEqual([idOf('a'), idOf('b')]);

  expect(await pings.refresh()).toBe(false);
  expect(asked).toHaveLength(2);
  await clock.pass(AGAIN_MS);
  await pings.refresh();
  expect(asked).toHaveLength(4);
});

test('a relay that is new is asked at once; one that is a landmark no more is forgotten', async () => {
  const nodes = [node('z')];
  const { pings, asked } = measuring(nodes, { [idOf('z')]: 9, [idOf('b')]: 5 });
  await pings.refresh();
  nodes.push(node('b'));
  expect(await pings.refresh()).toBe(true);
  expect(asked).toEqual([idOf('z'), idOf('b')]);
  nodes.shift();
  expect(await pings.refresh()).toBe(true);
  expect(pings.pings()).toEqual([{ id: idOf('b'), rtt_us: 5 }]);
});

test('a landmark that falls silent is told of as well', async () => {
  const rtts: Record<string, number> = { [idOf('a')]: 3 };
  const { clock, pings } = measuring([node('a')], rtts);
  await pings.refresh();
  delete rtts[idOf('a')];
  await clock.pass(AGAIN_MS);
  expect(await pings.refresh()).toBe(true);
  expect(pings.pings()).toEqual([]);
});

test('one that never answered is forgotten as well: a landmark anew, it is asked at once', async () => {
  const [silent, other] = [node('a'), node('b')];
  const nodes = [silent, other];
  const { pings, asked } = measuring(nodes, {});
  await pings.refresh();
  nodes.shift();
  expect(await pings.refresh()).toBe(false);
  nodes.push(silent);
  await pings.refresh();
  expect(asked).toEqual([silent.id, other.id, silent.id]);
});
