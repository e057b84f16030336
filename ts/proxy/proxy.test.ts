import { describe, expect, it } from 'vitest';
import { NetworkError } from '../base/errors.js';
import type { Route } from '../circuit/pool.js';
import type { HostEvent, NodeHost } from '../core/host.js';
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
    const held = new Map<number, number>();
    const pending: { isolation: string; resolve(connection: number): void; reject(error: unknown): void }[] = [];
    const host = {
      proxyAssign: (request: number, connection: number) => void said.push(`assign ${request} ${connection}`),
      proxyRefuse: (request: number, code: string) => void said.push(`refuse ${request} ${code}`),
    } as unknown as NodeHost;
    const pool = {
      route: (isolation = '') =>
        new Promise<Route>((resolve, reject) =>
          pending.push({ isolation, resolve: (connection) => resolve({ connection } as Route), reject }),
        ),
      hold: ({ connection }: Route) => {
        held.set(connection, (held.get(connection) ?? 0) + 1);
        return () => void held.set(connection, (held.get(connection) ?? 0) - 1);
      },
    };
    const desk = new ProxyDesk({ host, pool, log: quiet });
    const ask = (request: number, user?: string) =>
      desk.handle({
        type: 'proxy_request',
        request,
        kind: 'tcp',
        protocol: 'socks5',
        host: 'example.com',
        port: 80,
        source: '127.0.0.1:5',
        ...(user !== undefined && { user }),
      } satisfies HostEvent);
    const over = (request: number) =>
      desk.handle({ type: 'proxy_closed', request, received: 0, sent: 0, reason: 'circuit_closed' });
    return { said, held, pending, desk, ask, over };
  }

  it('assigns, holds the route while the flow lives, and keeps users apart', async () => {
    const { said, held, pending, ask, over, desk } = world();
    ask(1);
    ask(2, 'ann');
    ask(3, 'bob');
    expect(pending.map((p) => p.isolation)).toEqual(['', 'user:ann', 'user:bob']);
    for (const [i, p] of pending.entries()) p.resolve(10 + i);
    await settle();
    expect(said).toEqual(['assign 1 10', 'assign 2 11', 'assign 3 12']);
    expect(held.get(10)).toBe(1);
    over(1);
    over(1);
    expect(held.get(10)).toBe(0);
    expect(desk.open).toBe(2);
  });

  it('refuses with the reason where there is no circuit, and while draining', async () => {
    const { said, pending, ask, desk } = world();
    ask(1);
    pending[0]?.reject(new NetworkError('no_path', 'too few relays'));
    await settle();
    desk.drain();
    ask(2);
    expect(said).toEqual(['refuse 1 no_path', 'refuse 2 draining']);
    expect(desk.open).toBe(0);
  });

  it('says nothing to a client that left while its circuit was built, and holds nothing for it', async () => {
    const { said, held, pending, ask, over } = world();
    ask(1);
    over(1);
    pending[0]?.resolve(10);
    await settle();
    expect(said).toEqual([]);
    expect(held.size).toBe(0);
  });
});
