import { describe, expect, it } from 'vitest';
import { NetworkError } from '../base/errors.js';
import type { HostEvent, NodeHost, ProxyAhead } from '../core/host.js';
import type { Egress, Wanted } from '../egress/egress.js';
import type { FlowMoved } from '../egress/flow.js';
import type { Attempt } from '../egress/race.js';
import { settle } from '../testing/clock.js';
import { quiet } from '../testing/log.js';
import { ProxyDesk } from './desk.js';
import { checkListener } from './listen.js';

describe('a proxy listener', () => {
  it('on loopback needs no credentials, in any of its spellings', () => {
    for (const listen of ['127.0.0.1:1080', '127.9.9.9:1', '[::1]:1080'])
      expect(checkListener({ listen })).toEqual({ listen });
  });

  it('that others can reach needs credentials, and says so', () => {
    const open = [
      '0.0.0.0:1080',
      '192.0.2.1:1',
      '[::]:1080',
      '[::ffff:127.0.0.1]:1',
      '128.0.0.1:1',
      '127.0.0.1.example:1',
    ];
    for (const listen of open) {
      expect(() => checkListener({ listen })).toThrow(/could be used by anybody/);
      expect(() => checkListener({ listen, credentials: { user: 'u', password: '' } })).toThrow(/anybody/);
      expect(checkListener({ listen, credentials: { user: 'u', password: 'p' } }).listen).toBe(listen);
    }
  });
});

describe('the proxy desk', () => {
  function world() {
    const said: string[] = [];
    const flows: { request: string; moved: [sent: number, received: number][]; ended: boolean }[] = [];
    const pending: {
      wanted: Wanted;
      begin: (connection: number, begun: boolean) => Promise<void>;
      resolve(): void;
      reject(error: unknown): void;
      signal: AbortSignal | undefined;
    }[] = [];
    let rows = new Float64Array();
    const stood = new Set<number>();
    const host = {
      proxyAhead: (ahead: ProxyAhead) => {
        stood.add(ahead.id);
        said.push(`ahead ${JSON.stringify(ahead)}`);
      },
      proxyAheadRevoke: async (id: number) => stood.delete(id),
      proxyAssign: (request: number, connection: number) => void said.push(`assign ${request} ${connection}`),
      proxyAccept: (request: number) => void said.push(`accept ${request}`),
      proxyRefuse: (request: number, code: string) => void said.push(`refuse ${request} ${code}`),
      proxyMoved: async () => rows,
    } as unknown as NodeHost;
    const egress = {
      connect: (wanted: Wanted, { begin }: Attempt<void>, signal?: AbortSignal) =>
        new Promise<unknown>((resolve, reject) => {
          const flow = { request: wanted.host, moved: [] as [number, number][], ended: false };
          const held = {
            moved: ({ sent, received }: FlowMoved) => void flow.moved.push([sent, received]),
            end: () => {
              flow.ended = true;
            },
          };
          pending.push({
            wanted,
            begin,
            reject,
            signal,
            resolve: () => {
              flows.push(flow);
              resolve({ flow: held });
            },
          });
        }),
    } as unknown as Pick<Egress, 'connect'>;
    const desk = new ProxyDesk({ host, egress, log: quiet });
    const ask = (request: number, user?: string, kind: 'tcp' | 'udp' | 'datagrams' = 'tcp', ahead?: number) =>
      desk.handle({
        type: 'proxy_request',
        request,
        kind,
        protocol: 'socks5',
        host: `host${request}.test`,
        port: 80,
        source: '127.0.0.1:5',
        ...(user !== undefined && { user }),
        ...(ahead !== undefined && { ahead }),
      } satisfies HostEvent);
    const moved = { first_us: 5, last_us: 1, sent: 7, received: 9, pieces_sent: 1, pieces_received: 1 };
    const over = (request: number) =>
      desk.handle({ type: 'proxy_closed', request, received: 9, sent: 7, reason: 'done', moved });
    const tell = (numbers: number[]) => {
      rows = Float64Array.from(numbers);
      desk.collect();
    };
    return { said, flows, pending, desk, ask, over, tell };
  }

  it('asks for an exit by host and port alone, and keeps users apart', async () => {
    const { pending, ask, desk } = world();
    ask(1);
    ask(2, 'ann');
    ask(3, 'bob');
    ask(4, 'ann', 'datagrams');
    const keys = pending.map(({ wanted }) => wanted.isolation);
    expect(keys[0]).toBe('');
    expect(new Set(keys).size).toBe(3);
    expect(keys[3]).toBe(keys[1]);
    expect(pending.map(({ wanted }) => [wanted.host, wanted.port, wanted.protocol])).toEqual([
      ['host1.test', 80, 'tcp'],
      ['host2.test', 80, 'tcp'],
      ['host3.test', 80, 'tcp'],
      ['host4.test', 80, 'udp'],
    ]);
    expect(desk.open).toBe(4);
  });

  it('assigns what is asked of it, hears how each attempt ends, and tells what moved until the end', async () => {
    const { said, pending, desk, ask, over, flows, tell } = world();
    ask(1);
    const [first] = pending;
    const attempts = [first?.begin(10, false), first?.begin(11, false)];
    expect(said).toEqual(['assign 1 10', 'assign 1 11']);
    desk.handle({ type: 'proxy_failed', request: 1, connection: 10, reason: 'exit_unreachable' });
    await expect(attempts[0]).rejects.toMatchObject({ code: 'exit_unreachable' });
    desk.handle({ type: 'proxy_opened', request: 1, connection: 11 });
    await attempts[1];
    // Before the flow is known here.
    tell([1, 9, 3, 100, 0, 1, 0, 99, 1, 1, 5, 5, 1, 1]);
    await settle();
    first?.resolve();
    await settle();
    tell([1, 9, 3, 0, 1000, 0, 1]);
    await settle();
    over(1);
    over(1);
    expect(flows).toEqual([
      {
        request: 'host1.test',
        moved: [
          [100, 0],
          [0, 1000],
          [7, 9],
        ],
        ended: true,
      },
    ]);
    expect(desk.open).toBe(0);
  });

  it('ends a flow whose client has left before it was known, with what it moved', async () => {
    const { pending, desk, ask, over, flows } = world();
    ask(1);
    desk.handle({ type: 'proxy_opened', request: 1, connection: 11 });
    over(1);
    expect(pending[0]?.signal?.aborted).toBe(false);
    pending[0]?.resolve();
    await settle();
    expect(flows).toMatchObject([{ moved: [[7, 9]], ended: true }]);
  });

  it('takes an association at once: its destinations are requests of their own', () => {
    const { said, ask, pending } = world();
    ask(1, undefined, 'udp');
    expect(said).toEqual(['accept 1']);
    expect(pending).toEqual([]);
  });

  it('hands on what is decided ahead with all that it was decided by, and takes it back', async () => {
    const { said, pending, ask } = world();
    const route = { connection: 9, circuit: { path: [] } };
    ask(1, 'ann:pw');
    ask(2);
    ask(3, 'ann:pw', 'datagrams');
    const [ann, nobody, datagrams] = pending.map(({ wanted }) => wanted.alike);
    ann?.decide(5, route);
    nobody?.decide(6, route);
    const wanted = { protocol: 'socks5', port: 80 };
    expect(said.map((text) => JSON.parse(text.slice('ahead '.length)))).toEqual([
      { id: 5, connection: 9, ...wanted, host: 'host1.test', user: 'ann:pw' },
      { id: 6, connection: 9, ...wanted, host: 'host2.test' },
    ]);
    expect(ann?.name).not.toBe(nobody?.name);
    expect(datagrams).toBeUndefined();
    expect([await ann?.revoke(5), await ann?.revoke(5)]).toEqual([true, false]);
  });

  it('assigns nothing that was decided ahead, and all that comes after it, also while draining', async () => {
    const { said, pending, desk, ask } = world();
    desk.drain();
    ask(1, undefined, 'tcp', 5);
    const [first] = pending;
    expect(first?.wanted.ahead).toBe(5);
    const attempts = [first?.begin(9, true), first?.begin(10, false)];
    expect(said).toEqual(['assign 1 10']);
    desk.handle({ type: 'proxy_failed', request: 1, connection: 9, reason: 'exit_unreachable' });
    await expect(attempts[0]).rejects.toMatchObject({ code: 'exit_unreachable' });
    desk.handle({ type: 'proxy_opened', request: 1, connection: 10 });
    await attempts[1];
  });

  it('refuses with the reason where there is no circuit, and while draining', async () => {
    const { said, pending, ask, desk } = world();
    ask(1);
    pending[0]?.reject(new NetworkError('no_path', 'too few relays'));
    await settle();
    desk.drain();
    ask(2);
    ask(3, undefined, 'udp');
    expect(said).toEqual(['refuse 1 no_path', 'refuse 2 draining', 'refuse 3 draining']);
    expect(desk.open).toBe(0);
  });

  it('calls off what a client has left, and says nothing to it', async () => {
    const { said, pending, ask, over } = world();
    ask(1);
    over(1);
    expect(pending[0]?.signal?.aborted).toBe(true);
    pending[0]?.reject(new NetworkError('aborted', 'it was'));
    await settle();
    expect(said).toEqual([]);
  });
});
