/**
 * The other ends of a page's sessions, in Node. What a page has of such an end is a control session over WebSocket: each stream of
 * one is piped to a stream of the other, both ways and with its end, and so are datagrams.
 */
import type { HostEvent, NodeHost, WebCertificate } from '../../ts/core/host.js';
import { createNativeHost, newCertificate } from '../../ts/platform/native.js';
import { reliableTransports } from '../../ts/platform/reliable.js';
import { QuicSession } from '../../ts/transport/quic.js';
import type { ReliableSession } from '../../ts/transport/reliable.js';
import type { AuthorityCertificate, ReachedReliably, ReliableListener } from '../../ts/transport/reliable-ports.js';
import type { BidirectionalStream, Session } from '../../ts/transport/session.js';
import { Forwarder } from './forwarder.js';
import type { PeerOffer, PeerWanted } from './session-offer.js';

/** An end that stands once the page has come to what was offered. */
interface Offered {
  offer: PeerOffer;
  session: Promise<Session>;
  lose(): void;
}

export class SessionPeers {
  readonly #hosts = new Set<NodeHost>();
  readonly #certificate = newCertificate(Math.floor(Date.now() / 1000) - 3600, Math.floor(Date.now() / 1000) + 3600);
  #listeners: ReliableListener[] = [];
  /** Who waits for the page's next session over WebSocket. */
  #wanted: ((session: Session) => void) | null = null;

  /** `control` and `subject` are the names at which a browser is answered; resolves with where each listens. */
  async start(control: AuthorityCertificate, subject: AuthorityCertificate): Promise<string[]> {
    const listen = (take: (came: ReachedReliably) => void, authority: AuthorityCertificate) =>
      reliableTransports.listen('127.0.0.1:0', this.#certificate as WebCertificate, take, authority);
    this.#listeners = [
      await listen(
        ({ session }) => void this.#serve(session as ReliableSession, subject.host).catch(() => {}),
        control,
      ),
      await listen(({ session }) => this.#wanted?.(session), subject),
    ];
    return this.#listeners.map(({ address }) => address);
  }

  async close(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    for (const host of this.#hosts) await host.close();
  }

  async #serve(control: ReliableSession, subject: string): Promise<void> {
    const streams = control.incomingBidirectionalStreams.getReader();
    const first = (await streams.read()).value as BidirectionalStream;
    streams.releaseLock();
    const asked = first.readable.getReader();
    const wanted = JSON.parse(new TextDecoder().decode((await asked.read()).value)) as PeerWanted;
    const offered = wanted.kind === 'websocket' ? this.#overTcp(subject) : await this.#native(wanted.breakable);
    await first.writable.getWriter().write(new TextEncoder().encode(JSON.stringify(offered.offer)));
    asked.read().then(
      ({ done }) => done || offered.lose(),
      () => {},
    );
    couple(await offered.session, control);
  }

  #overTcp(subject: string): Offered {
    const session = new Promise<Session>((resolve) => {
      this.#wanted = resolve;
    });
    const lose = () => void session.then((came) => (came as ReliableSession).lose());
    return { offer: { address: `${subject}:443`, hash: '', id: '' }, session, lose };
  }

  async #native(breakable: boolean): Promise<Offered> {
    const came = Promise.withResolvers<Session>();
    let current: QuicSession | undefined;
    const take = (events: HostEvent[]) => {
      for (const event of events) {
        if (event.type === 'link_up') {
          current = new QuicSession(host, event.link);
          came.resolve(current);
        }
        if (event.type === 'link_down') {
          current?.end(event.reason);
          void host.close();
          this.#hosts.delete(host);
        }
        if (event.type === 'stream_opened') current?.takeStream(event.stream);
        if (event.type === 'datagram') current?.takeDatagram(Buffer.from(event.data, 'base64'));
      }
    };
    const host: NodeHost = createNativeHost(
      {
        identitySeed: new Uint8Array(32).fill(7),
        listen: ['127.0.0.1:0'],
        roles: { client: false, relay: true, exit: false },
        freshKeys: true,
      },
      take,
    );
    this.#hosts.add(host);
    const [address = ''] = await host.start();
    host.setCertificates?.([this.#certificate]);
    await host.stats();
    const hash = Buffer.from(this.#certificate.hash).toString('hex');
    const offer = { address, hash, id: host.id };
    if (!breakable) return { offer, session: came.promise, lose: () => {} };
    // A host that closes says so, and a browser then takes the session for closed. Cut, it is lost.
    const forwarder = await Forwarder.start();
    forwarder.target = address;
    const lose = () => void forwarder.close();
    return { offer: { ...offer, address: forwarder.address }, session: came.promise, lose };
  }
}

/** Makes each the other's image. */
function couple(session: Session, control: ReliableSession): void {
  const pipe = (from: BidirectionalStream, to: BidirectionalStream) => {
    from.readable.pipeTo(to.writable).catch(() => {});
    to.readable.pipeTo(from.writable).catch(() => {});
  };
  const all = async (from: Session, to: Session) => {
    for await (const stream of from.incomingBidirectionalStreams) pipe(stream, await to.createBidirectionalStream());
  };
  all(session, control).catch(() => {});
  all(control, session).catch(() => {});
  session.datagrams.readable.pipeTo(control.datagrams.writable).catch(() => {});
  control.datagrams.readable.pipeTo(session.datagrams.writable).catch(() => {});
  session.closed.then(
    (info) => control.close(info),
    () => control.lose(),
  );
  control.closed.then(
    (info) => session.close(info),
    () => session.close(),
  );
}
