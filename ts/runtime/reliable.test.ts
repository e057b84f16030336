import { describe, expect, it } from 'vitest';
import { errorOf } from '../base/errors.js';
import type { ReliableListener, ReliableTransports } from '../transport/reliable-ports.js';
import { ReliableListeners } from './reliable.js';

const CERTIFICATE = { certificate: new Uint8Array([1]), key: new Uint8Array([2]) };

/** Listeners where ports of `taken` are another program's, and port 0 is 50000. */
function transports(taken: string[] = []) {
  const shown: Uint8Array[] = [];
  const closed: string[] = [];
  const listen = async (wanted: string): Promise<ReliableListener> => {
    if (taken.includes(wanted)) throw errorOf('address_in_use', 'taken');
    const address = wanted.replace(/:0$/, ':50000');
    return {
      address,
      update: ({ certificate }) => void shown.push(certificate),
      close: () => void closed.push(address),
    };
  };
  return { shown, closed, transports: { listen } as unknown as ReliableTransports };
}

const start = async (listenReliable: string[], taken: string[] = [], advertise: string[] = []) => {
  const { transports: all, shown, closed } = transports(taken);
  const listeners = new ReliableListeners({ listenReliable, advertise }, () => {});
  await listeners.start(all, CERTIFICATE, ['192.0.2.1:4600']);
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
    const { transports: all } = transports();
    const listeners = new ReliableListeners({ listenReliable: ['192.0.2.1:443'] }, () => {});
    const started = listeners.start(all, undefined, ['192.0.2.1:4600']);
    await expect(started).rejects.toMatchObject({ code: 'config_invalid' });
  });
});
