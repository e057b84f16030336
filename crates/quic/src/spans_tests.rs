#![allow(clippy::disallowed_methods, reason = "any instant serves as the origin of virtual time")]
//! A download over one bottleneck, in datagrams of one packet and of five: whoever sends the larger is to notice it in its CPU time alone.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::test_host::host;
use crate::tls::{Identity, SERVER_NAME, inner_client, inner_server};
use crate::{ConnectionHandle, Dir, InnerSizes, InnerWindows, Instant, QuicEvent, Side, StreamId, inner_transport};
use bytes::BytesMut;

const PACKET: u16 = 1312;
const SPANNED: u16 = 5 * PACKET;
/// Bytes of a packet on the wire.
const WIRE: f64 = 1411.0;
const STEP_US: u64 = 100;
const WINDOWS: InnerWindows = InnerWindows { stream_bytes: 64 << 20, connection_bytes: 128 << 20 };

/// A path: its rate, round trip, room for packets that wait (in round trips of that rate) and how many of a million are lost besides.
#[derive(Clone, Copy)]
struct Path {
    mbit: f64,
    rtt_us: u64,
    queue: f64,
    lost_ppm: u64,
    /// Carries no datagram of several packets.
    narrow: bool,
}

impl Path {
    const fn of(mbit: f64, rtt_ms: u64, queue: f64) -> Self {
        Self { mbit, rtt_us: rtt_ms * 1000, queue, lost_ppm: 0, narrow: false }
    }
}

/// One way of it. A datagram arrives when all its packets do.
struct Way {
    path: Path,
    busy_us: f64,
    chance: u64,
    arrivals: BinaryHeap<Reverse<(u64, u64, Vec<u8>)>>,
    sent: u64,
    /// Datagrams of several packets that a narrow path swallowed.
    swallowed: Vec<usize>,
}

impl Way {
    fn new(path: Path) -> Self {
        Self { path, busy_us: 0.0, chance: 0x1234_5678, arrivals: BinaryHeap::new(), sent: 0, swallowed: Vec::new() }
    }

    fn lost(&mut self) -> bool {
        // Xorshift (Marsaglia 2003).
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        self.chance % 1_000_000 < self.path.lost_ppm
    }

    fn send(&mut self, at_us: u64, datagram: &[u8]) {
        let packets = datagram.len().div_ceil(PACKET.into());
        let rate = self.path.mbit / 8.0;
        let room = (rate * self.path.rtt_us as f64 * self.path.queue).max(15_000.0);
        let mut whole = true;
        for _ in 0..packets {
            let start = self.busy_us.max(at_us as f64);
            if (start - at_us as f64) * rate > room || self.lost() {
                whole = false;
                continue;
            }
            self.busy_us = start + WIRE / rate;
        }
        if self.path.narrow && packets > 1 {
            self.swallowed.push(datagram.len());
            return;
        }
        if whole {
            self.sent += 1;
            self.arrivals.push(Reverse((self.busy_us as u64 + self.path.rtt_us / 2, self.sent, datagram.to_vec())));
        }
    }

    fn arrived(&mut self, by_us: u64) -> Option<BytesMut> {
        self.arrivals.peek().is_some_and(|Reverse((at, ..))| *at <= by_us).then_some(())?;
        self.arrivals.pop().map(|Reverse((.., data))| BytesMut::from(&data[..]))
    }
}

#[derive(Debug)]
struct Download {
    first_byte_us: u64,
    done_us: u64,
    /// The largest datagrams in the end.
    mtu: u16,
    refused: bool,
    /// What a narrow path swallowed.
    swallowed: Vec<usize>,
}

/// Asks for so many bytes as soon as there is a connection.
fn download(path: Path, spanned: u16, bytes: usize) -> Download {
    let id = Identity::from_seed(&[7; 32]).unwrap();
    let transport = || inner_transport(InnerSizes { packet: PACKET, spanned }, WINDOWS, 30_000);
    let (mut client, mut exit) = (host(None), host(Some(inner_server(&id, transport()).unwrap())));
    let start = Instant::now();
    let [to_exit, to_client] = ["[fd57::1]:1", "[fd57::2]:1"].map(|a| a.parse::<SocketAddr>().unwrap());
    let config = inner_client(id.id(), transport()).unwrap();
    let handle = client.connect(start, config, to_exit, SERVER_NAME).unwrap();
    let (mut up, mut down) = (Way::new(Path { lost_ppm: 0, ..path }), Way::new(path));
    let stream = StreamId::new(Side::Client, Dir::Bi, 0);
    let (mut connected, mut first_byte_us, mut refused) = (None, 0, false);
    let (mut far, mut left, mut got): (Option<ConnectionHandle>, _, _) = (None, bytes, 0);
    let (mut buf, data) = (Vec::new(), vec![7; 64 << 10]);
    for at_us in (0..300_000_000).step_by(STEP_US as usize) {
        let now = start + Duration::from_micros(at_us);
        while let Some(datagram) = down.arrived(at_us) {
            client.handle_datagram(now, to_exit, None, None, datagram);
        }
        while let Some(datagram) = up.arrived(at_us) {
            exit.handle_datagram(now, to_client, None, None, datagram);
        }
        client.handle_timeout(now);
        exit.handle_timeout(now);
        // As the engine does: what is to be sent is taken before the application has heard of an event, and after.
        for _ in 0..2 {
            for (host, way) in [(&mut client, &mut up), (&mut exit, &mut down)] {
                while let Some((handle, transmit)) =
                    host.poll_transmit_sized(now, |mtu| 64_000 / usize::from(mtu), &mut buf)
                {
                    let segment = transmit.segment_size.unwrap_or(transmit.size);
                    if segment > PACKET.into() && !handle.is_some_and(|h| host.may_span(now, h, segment)) {
                        refused = true;
                        continue;
                    }
                    buf[..transmit.size].chunks(segment).for_each(|datagram| way.send(at_us, datagram));
                }
            }
            while let Some((_, event)) = client.poll_event() {
                let conn = client.conn(handle).unwrap();
                match event {
                    QuicEvent::Connected => {
                        connected = Some(at_us);
                        conn.streams().open(Dir::Bi).unwrap();
                        conn.send_stream(stream).write(b"get").unwrap();
                    }
                    QuicEvent::Readable(_) => {
                        let mut recv = conn.recv_stream(stream);
                        let mut chunks = recv.read(true).unwrap();
                        while let Ok(Some(chunk)) = chunks.next(usize::MAX) {
                            got += chunk.bytes.len();
                        }
                        let _ = chunks.finalize();
                    }
                    QuicEvent::Lost(reason) => panic!("lost: {reason}"),
                    _ => {}
                }
            }
            while let Some((handle, event)) = exit.poll_event() {
                if matches!(event, QuicEvent::Opened(_)) {
                    exit.conn(handle).unwrap().streams().accept(Dir::Bi).unwrap();
                    far = Some(handle);
                }
            }
            if let Some(conn) = far.and_then(|h| exit.conn(h)) {
                while left > 0
                    && let Ok(wrote) = conn.send_stream(stream).write(&data[..left.min(data.len())])
                {
                    left -= wrote;
                }
            }
        }
        if got > 0 && first_byte_us == 0 {
            first_byte_us = at_us - connected.unwrap();
        }
        if got == bytes {
            let mtu = exit.peek(far.unwrap()).unwrap().current_mtu();
            return Download { first_byte_us, done_us: at_us, mtu, refused, swallowed: down.swallowed };
        }
    }
    panic!("{got} of {bytes} bytes in five minutes");
}

/// How much longer it takes in datagrams of several packets.
fn compared(path: Path, bytes: usize) -> (f64, Download) {
    let (one, several) = (download(path, PACKET, bytes), download(path, SPANNED, bytes));
    assert_eq!((one.mtu, one.refused), (PACKET, false));
    (several.done_us as f64 / one.done_us as f64, several)
}

#[test]
fn a_full_bottleneck_is_no_reason_to_send_smaller_ones() {
    // Slow start ends with a burst of losses, and CUBIC fills the queue again and again.
    for path in [Path::of(100.0, 40, 1.0), Path::of(20.0, 50, 1.0), Path::of(50.0, 100, 0.5)] {
        let (longer, download) = compared(path, (path.mbit * 250_000.0) as usize);
        assert!(longer < 1.05, "{longer} {download:?}");
        assert_eq!((download.mtu, download.refused), (SPANNED, false), "{} Mbit/s", path.mbit);
    }
    // Where five of them are all that is under way, they may be given up; nobody waits longer for that.
    let (longer, download) = compared(Path::of(5.0, 50, 1.0), 1_250_000);
    assert!(longer < 1.05, "{longer} {download:?}");
    // A queue for a quarter of what is under way overflows sooner by bursts of larger datagrams.
    let (longer, download) = compared(Path::of(100.0, 40, 0.25), 25_000_000);
    assert!(longer < 1.2 && download.mtu == SPANNED, "{longer} {download:?}");
}

#[test]
fn a_path_that_loses_much_gets_small_ones_soon() {
    for lost_ppm in [10_000, 50_000] {
        let path = Path { lost_ppm, ..Path::of(100.0, 20, 1.0) };
        let (longer, download) = compared(path, 5_000_000);
        assert!(longer < 1.2, "{longer} {download:?}");
        assert_eq!((download.mtu, download.refused), (PACKET, true), "{lost_ppm} of a million");
    }
}

#[test]
fn the_first_answer_does_not_wait_for_a_probe() {
    let path = Path::of(1000.0, 100, 1.0);
    let [one, several, narrow] = [(path, PACKET), (path, SPANNED), (Path { narrow: true, ..path }, SPANNED)]
        .map(|(path, s)| download(path, s, 3000).first_byte_us);
    assert_eq!((several, narrow), (one, one));
}

#[test]
fn no_size_but_the_largest_is_probed_and_seldom() {
    let path = Path { narrow: true, ..Path::of(20.0, 20, 1.0) };
    let download = download(path, SPANNED, 20_000_000);
    assert_eq!(download.mtu, PACKET);
    // Eight seconds: three times at first, and no more before ten have passed.
    assert_eq!(download.swallowed, [usize::from(SPANNED); 3]);
}
