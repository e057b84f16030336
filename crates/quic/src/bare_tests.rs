#![allow(clippy::disallowed_methods, reason = "any instant serves as the origin of virtual time")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use quinn_proto::ConnectionHandle;

use crate::test_host::{CONNECTION_ID_BYTES, host};
use crate::tls::{Identity, SERVER_NAME, inner_client, inner_server, link_client, link_server};
use crate::{Dir, InnerSizes, InnerWindows, Instant, QuicEvent, QuicHost, StreamId, inner_transport};

const MTU: u16 = 1312;
const WINDOWS: InnerWindows = InnerWindows { stream_bytes: 1 << 20, connection_bytes: 4 << 20 };
/// Found in no packet by chance.
const WORDS: &[u8] = b"what an application says to its origin, in the clear";

/// A client and its exit. What passes between them is kept.
struct Ends {
    client: QuicHost,
    exit: QuicHost,
    handle: ConnectionHandle,
    now: Instant,
    circuit: SocketAddr,
    to_exit: Vec<Vec<u8>>,
    read: Vec<u8>,
    accepted: usize,
}

impl Ends {
    fn new(inner: bool) -> Self {
        let (id, own) = (Identity::from_seed(&[7; 32]).unwrap(), Identity::from_seed(&[8; 32]).unwrap());
        let transport = || inner_transport(InnerSizes { packet: MTU, spanned: MTU }, WINDOWS, 30_000);
        let (server, config) = if inner {
            (inner_server(&id, transport()).unwrap(), inner_client(id.id(), transport()).unwrap())
        } else {
            (link_server(&id, transport()).unwrap(), link_client(&own, id.id(), transport()).unwrap())
        };
        let (mut client, now) = (host(None), Instant::now());
        let handle = client.connect(now, config, "[fd57::1]:1".parse().unwrap(), SERVER_NAME).unwrap();
        let circuit = "[fd57::2]:1".parse().unwrap();
        let mut ends =
            Self { client, exit: host(Some(server)), handle, now, circuit, to_exit: vec![], read: vec![], accepted: 0 };
        ends.run();
        ends
    }

    /// Carries datagrams both ways until both are quiet.
    fn run(&mut self) {
        let mut buf = Vec::new();
        let exit_at: SocketAddr = "[fd57::1]:1".parse().unwrap();
        for _ in 0..1_000 {
            self.now += Duration::from_millis(1);
            self.client.handle_timeout(self.now);
            self.exit.handle_timeout(self.now);
            while let Some((_, event)) = self.client.poll_event() {
                assert!(!matches!(event, QuicEvent::Lost(_)), "{event:?}");
            }
            while let Some((handle, event)) = self.exit.poll_event() {
                self.exit_event(handle, &event);
            }
            while let Some((_, transmit)) = self.client.poll_transmit(self.now, 1, &mut buf) {
                let datagram = &buf[..transmit.size];
                self.to_exit.push(datagram.to_vec());
                self.exit.handle_datagram(self.now, self.circuit, None, None, BytesMut::from(datagram));
            }
            while let Some((_, transmit)) = self.exit.poll_transmit(self.now, 1, &mut buf) {
                let datagram = BytesMut::from(&buf[..transmit.size]);
                self.client.handle_datagram(self.now, exit_at, None, None, datagram);
            }
        }
    }

    fn exit_event(&mut self, handle: ConnectionHandle, event: &QuicEvent) {
        match event {
            QuicEvent::Accepted => self.accepted += 1,
            QuicEvent::Opened(Dir::Bi) | QuicEvent::Readable(_) => {
                let conn = self.exit.conn(handle).unwrap();
                while conn.streams().accept(Dir::Bi).is_some() {}
                let mut stream = conn.recv_stream(StreamId::new(crate::Side::Client, Dir::Bi, 0));
                let mut chunks = stream.read(true).unwrap();
                while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
                    self.read.extend_from_slice(&chunk.bytes);
                }
                let _ = chunks.finalize();
            }
            QuicEvent::Lost(error) => panic!("{error}"),
            _ => {}
        }
    }

    fn say(&mut self, words: &[u8]) {
        let conn = self.client.conn(self.handle).unwrap();
        let stream = match self.read.len() {
            0 => conn.streams().open(Dir::Bi).unwrap(),
            _ => StreamId::new(crate::Side::Client, Dir::Bi, 0),
        };
        assert_eq!(conn.send_stream(stream).write(words).unwrap(), words.len());
        self.run();
    }
}

fn holds(datagrams: &[Vec<u8>], words: &[u8]) -> bool {
    datagrams.iter().any(|d| d.windows(words.len()).any(|w| w == words))
}

/// The circuit seals an inner connection's packets; a link has nothing below it that would.
#[test]
fn only_inner_connections_leave_their_cipher_to_the_circuit() {
    for inner in [true, false] {
        let mut ends = Ends::new(inner);
        ends.say(WORDS);
        assert_eq!((ends.read.as_slice(), ends.accepted), (WORDS, 1));
        assert_eq!(holds(&ends.to_exit, WORDS), inner);
    }
}

/// The exit's name and proof are in handshake packets, which have their own keys.
#[test]
fn handshakes_are_sealed_as_ever() {
    let ends = Ends::new(true);
    assert!(!holds(&ends.to_exit, crate::tls::INNER_ALPN));
    assert!(!ends.client.peek(ends.handle).unwrap().is_handshaking());
    assert_eq!(ends.client.peer_id(ends.handle), Some(Identity::from_seed(&[7; 32]).unwrap().id()));
}

/// A connection goes on over another circuit, whose packets show the id that its exit gave it.
#[test]
fn another_circuit_of_the_same_client_goes_on_with_the_connection() {
    let mut ends = Ends::new(true);
    ends.say(WORDS);
    ends.circuit = "[fd57::3]:1".parse().unwrap();
    let conn = ends.client.conn(ends.handle).unwrap();
    conn.path_changed(ends.now);
    conn.local_address_changed();
    ends.say(WORDS);
    assert_eq!(ends.read, [WORDS, WORDS].concat());
}

/// A stranger's circuit to the same exit, whose packets are all but right: only the id, of which it knows nothing, is not.
#[test]
fn a_stranger_without_the_connections_id_changes_nothing() {
    let mut ends = Ends::new(true);
    ends.say(WORDS);
    let known: Vec<Vec<u8>> = ends.to_exit.iter().filter(|d| holds(&[d.to_vec()], WORDS)).cloned().collect();
    assert_eq!(known.len(), 1);
    let stranger: SocketAddr = "[fd57::9]:1".parse().unwrap();
    for byte in 1..=CONNECTION_ID_BYTES {
        for bit in 0..8 {
            let mut forged = known[0].clone();
            forged[byte] ^= 1 << bit;
            // A packet that was not seen before.
            forged[CONNECTION_ID_BYTES + 1] ^= 0x40;
            ends.exit.handle_datagram(ends.now, stranger, None, None, BytesMut::from(&forged[..]));
            let mut buf = Vec::new();
            while let Some((_, transmit)) = ends.exit.poll_transmit(ends.now, 1, &mut buf) {
                assert_ne!((transmit.destination, buf[0] & 0x80), (stranger, 0x80), "answered as a connection");
            }
        }
    }
    ends.say(WORDS);
    assert_eq!((ends.read.as_slice(), ends.accepted), ([WORDS, WORDS].concat().as_slice(), 1));
}
