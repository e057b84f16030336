import { describe, expect, it } from 'vitest';
import { WayfareError } from '../base/errors.js';
import type { LinkAttachment } from '../core/host.js';
import { ManualClock, settle } from '../testing/clock.js';
import { memoryPair } from '../transport/memory.js';
import { AttachedLink, type AttachingHost } from './attached.js';

/** A host that notes what it is given, and gives what a test says. */
function fake() {
  const clock = new ManualClock();
  const attachments: LinkAttachment[] = [];
  const taken: { control: Uint8Array; packets: Uint8Array }[] = [];
  const closed: string[] = [];
  let release = () => {};
  let busy: Promise<void> | null = null;
  let give: (batch: Uint8Array | WayfareError) => void = () => {};
  let asked = 0;
  const host: AttachingHost = {
    async linkAttach(attachment) {
      attachments.push(attachment);
      return 7;
    },
    async linkTake(_, control, packets) {
      taken.push({ control, packets });
      await busy;
    },
    linkGive() {
      asked += 1;
      return new Promise((resolve, reject) => {
        give = (batch) => (batch instanceof WayfareError ? reject(batch) : resolve(batch));
      });
    },
    linkClose: (_, reason) => void closed.push(reason),
  };
  const [session, there] = memoryPair();
  let dropped = 0;
  const parts = {
    host,
    clock,
    dropped: () => {
      dropped += 1;
    },
  };
  const begin = (peer?: string) =>
    AttachedLink.begin(parts, { kind: 'http2', session, address: '192.0.2.1:443', bindings: [] }, peer);
  return {
    clock,
    attachments,
    taken,
    closed,
    there,
    begin,
    give: (batch: Uint8Array | WayfareError) => give(batch),
    asked: () => asked,
    dropped: () => dropped,
    hold() {
      busy = new Promise((resolve) => {
        release = resolve;
      });
    },
    release: () => {
      busy = null;
      release();
    },
  };
}

const record = (kind: number, bytes: number[]) => [kind, 0, 0, 0, bytes.length, ...bytes];

describe('an attached link', () => {
  it('moves control bytes and packets both ways, in batches', async () => {
    const { attachments, taken, there, begin, give, asked, hold, release } = fake();
    const link = await begin('peer');
    expect(attachments).toEqual([
      { peer: 'peer', bindings: [], address: '192.0.2.1:443', transport: 'http2', mtu: 1200 },
    ]);
    const control = (await there.incomingBidirectionalStreams.getReader().read()).value;
    const datagrams = there.datagrams.readable.getReader();
    give(new Uint8Array([...record(2, [1, 2]), ...record(1, [9, 8]), ...record(1, [7])]));
    expect((await control?.readable.getReader().read())?.value).toEqual(new Uint8Array([1, 2]));
    expect((await datagrams.read()).value).toEqual(new Uint8Array([9, 8]));
    expect((await datagrams.read()).value).toEqual(new Uint8Array([7]));
    await settle();
    expect(asked()).toBe(2);

    // While the host is busy with the first, the others gather.
    hold();
    const writer = there.datagrams.writable.getWriter();
    for (const packet of [[1], [2, 2], [3]]) await writer.write(new Uint8Array(packet));
    await settle();
    expect(taken.map(({ packets }) => [...packets])).toEqual([[0, 1, 1]]);
    release();
    await settle();
    expect(taken.map(({ packets }) => [...packets]).at(-1)).toEqual([0, 2, 2, 2, 0, 1, 3]);
    await control?.writable.getWriter().write(new Uint8Array([5]));
    await settle();
    expect([...(taken.at(-1)?.control ?? [])]).toEqual([5]);
    link.close();
  });

  it("keeps the application's datagrams apart from packets", async () => {
    const { taken, there, begin } = fake();
    const link = await begin('peer');
    await there.datagrams.writable.getWriter().write(new Uint8Array([0, 4, 2]));
    expect((await link.datagrams.readable.getReader().read()).value).toEqual(new Uint8Array([4, 2]));
    await link.datagrams.writable.getWriter().write(new Uint8Array([6]));
    expect((await there.datagrams.readable.getReader().read()).value).toEqual(new Uint8Array([0, 6]));
    expect(taken).toEqual([]);
    link.close();
  });

  it('drops and counts packets that a busy host does not take, and holds no more', async () => {
    const { there, begin, hold, release, taken, dropped } = fake();
    const link = await begin('peer');
    hold();
    const writer = there.datagrams.writable.getWriter();
    for (let i = 0; i < 2_500; i++) await writer.write(new Uint8Array([1]));
    await settle();
    // One batch is with the host, 2,048 wait.
    expect(dropped()).toBe(2_500 - 1 - 2_048);
    release();
    await settle();
    expect(taken.reduce((sum, { packets }) => sum + packets.length / 3, 0)).toBe(2_049);
    link.close();
  });

  it('ends when nothing was heard for eight seconds, and says that it is there every two', async () => {
    const { clock, there, begin, closed } = fake();
    const link = await begin('peer');
    const heard: Uint8Array[] = [];
    const reader = there.datagrams.readable.getReader();
    const reading = (async () => {
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        heard.push(value);
      }
    })();
    await clock.pass(6_500);
    await there.datagrams.writable.getWriter().write(new Uint8Array([0]));
    await clock.pass(7_000);
    expect([heard.length, closed]).toEqual([6, []]);
    await clock.pass(4_000);
    expect(await link.over).toBe('timeout');
    expect(closed).toEqual(['timeout']);
    await reading;
  });

  it('ends with the reason that the host gives, and the session with it', async () => {
    const { there, begin, give } = fake();
    const link = await begin('peer');
    give(new WayfareError('link_refused', 'no'));
    expect(await link.over).toBe('link_refused');
    expect((await there.closed).reason).toBe('link_refused');
  });

  it('is closed when a caller opens no control stream within five seconds', async () => {
    const { clock, there, begin, attachments } = fake();
    const begun = begin().catch((error: WayfareError) => error.code);
    await clock.pass(5_100);
    expect(await begun).toBe('timeout');
    expect((await there.closed).reason).toBe('link_refused');
    expect(attachments).toEqual([]);
  });
});
