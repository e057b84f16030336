import { describe, expect, it } from 'vitest';
import { ConfigError, errorOf } from '../base/errors.js';
import { ManualClock } from '../testing/clock.js';
import { quiet } from '../testing/log.js';
import type { AuthorityCertificate, ReliableTransports } from '../transport/reliable-ports.js';
import { ReliableListeners } from './reliable.js';

const CERTIFICATE = { certificate: new Uint8Array([1]), key: new Uint8Array([2]) };

/** Listeners where ports of `taken` are another program's, and port 0 is 50000. */
function transports(taken: string[] = []) {
  const shown: Uint8Array[] = [];
  const closed: string[] = [];
  const named: string[] = [];
  const listen: ReliableTransports['listen'] = async (wanted, _certificate, _take, authority) => {
    if (taken.includes(wanted)) throw errorOf('address_in_use', 'taken');
    const address = wanted.replace(/:0$/, ':50000');
    const name = ({ host, chain }: AuthorityCertificate) => void named.push(`${host} ${chain}`);
    if (authority !== undefined) name(authority);
    return {
      address,
      update: ({ certificate }) => void shown.push(certificate),
      updateAuthority: name,
      close: () => void closed.push(address),
    };
  };
  return { shown, closed, named, transports: { listen } as unknown as ReliableTransports };
}

const clock = new ManualClock();

const start = async (listenReliable: string[], taken: string[] = [], advertise: string[] = []) => {
  const { transports: reliable, shown, closed } = transports(taken);
  const listeners = new ReliableListeners({ listenReliable, advertise }, { reliable, clock }, quiet, () => {});
  await listeners.start(CERTIFICATE, ['192.0.2.1:4600']);
  return { listeners, shown, closed };
};

describe('listeners for links over TCP', () => {
  it("take UDP's port for 0, and any where that is taken", async () => {
    expect((await start(['192.0.2.1:0'])).listeners.addresses()).toEqual(['192.0.2.1:4600']);
    const { listeners } = await start(['192.0.2.1:0'], ['192.0.2.1:4600']);
    expect(listeners.addresses()).toEqual(['192.0.2.1:50000']);
    await expect(start(['192.0.2.1:443'], ['192.0.2.1:443'])).rejects.toMatchObject({ code: 'address_in_use' });
  });

  it('that listen everywhere are reached where the node says that it is', async () => {
    const told = async (listen: string[], advertise: string[]) =>
      (await start(listen, [], advertise)).listeners.addresses();
    const both = ['198.51.100.7:4600', '[2001:db8::7]:4600'];
    expect(await told(['0.0.0.0:443', '[::]:443'], both)).toEqual(['198.51.100.7:443', '[2001:db8::7]:443']);
    expect(await told(['0.0.0.0:443'], both)).toEqual(['198.51.100.7:443']);
    expect(await told(['0.0.0.0:443'], [])).toEqual([]);
  });

  it('show the certificate that they are given, and close', async () => {
    const { listeners, shown, closed } = await start(['192.0.2.1:443', '192.0.2.1:8443']);
    listeners.update({ certificate: new Uint8Array([9]), key: new Uint8Array() });
    expect(shown).toEqual([new Uint8Array([9]), new Uint8Array([9])]);
    listeners.close();
    listeners.close();
    expect(closed).toEqual(['192.0.2.1:443', '192.0.2.1:8443']);
  });

  it('are refused to a node that nobody links to', async () => {
    const { transports: reliable } = transports();
    const listeners = new ReliableListeners(
      { listenReliable: ['192.0.2.1:443'] },
      { reliable, clock },
      quiet,
      () => {},
    );
    const started = listeners.start(undefined, ['192.0.2.1:4600']);
    await expect(started).rejects.toMatchObject({ code: 'config_invalid' });
  });

  it('show browsers what an authority has issued, then what it has renewed, and keep it when that is damaged', async () => {
    const { transports: reliable, named } = transports();
    const web = { host: 'relay.example:443', certificateFile: 'chain', keyFile: 'key' };
    let read: () => AuthorityCertificate = () => ({ host: 'relay.example', chain: 'first', key: 'k' });
    const platform = { reliable, clock, readAuthority: async () => read() };
    const listeners = new ReliableListeners({ listenReliable: ['192.0.2.1:443'], web }, platform, quiet, () => {});
    await listeners.start(CERTIFICATE, ['192.0.2.1:4600']);
    await listeners.renew();
    read = () => {
      throw new ConfigError('config_invalid', 'damaged');
    };
    await listeners.renew();
    expect(named).toEqual(['relay.example first']);
    read = () => ({ host: 'relay.example', chain: 'second', key: 'k' });
    await listeners.renew();
    await listeners.renew();
    expect(named).toEqual(['relay.example first', 'relay.example second']);
  });

  it('are not started with a damaged certificate, nor without the address that it is for', async () => {
    const { transports: reliable } = transports();
    const web = { host: 'relay.example:443', certificateFile: 'chain', keyFile: 'key' };
    const readAuthority = () => Promise.reject(new ConfigError('config_invalid', 'damaged'));
    const begin = (listenReliable: string[]) =>
      new ReliableListeners({ listenReliable, web }, { reliable, clock, readAuthority }, quiet, () => {}).start(
        CERTIFICATE,
        ['192.0.2.1:4600'],
      );
    await expect(begin(['192.0.2.1:443'])).rejects.toThrow('damaged');
    await expect(begin([])).rejects.toMatchObject({
      code: 'config_invalid',
      hint: expect.stringContaining('listenReliable'),
    });
  });
});
