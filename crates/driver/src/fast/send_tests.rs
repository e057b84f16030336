//! A link's way out on virtual time, its datagrams over a real socket: shaped to 100 Mbit/s and offered ten times that, with
//! packets that pay and packets that do not.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

use std::future::poll_fn;
use std::io::IoSlice;
use std::time::Duration;

use wayfare_quic::Instant;
use wayfare_relay::egress::{CONTROL, Limits};
use wayfare_types::{Counters, Reason};

use super::send::{Batch, Egress, Priorities, QUEUED_BYTES_MAX, Route};
use crate::links::LinkId;
use crate::udp::Udp;

/// 100 Mbit/s.
const RATE: u64 = 12_500_000;
/// A fast packet of class M.
const PACKET: usize = 1315;
const BATCH: usize = 46;
const LINK: LinkId = 3;
/// One send's packets at ten times the rate.
const EVERY_US: u64 = (BATCH * PACKET) as u64 * 1_000_000 / (10 * RATE);
const SECOND: u64 = 1_000_000;

/// What came out: what it paid, when it was sent, when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Came {
    priority: u32,
    sent_us: u64,
    at_us: u64,
}

struct Out {
    start: Instant,
    egress: Egress,
    sockets: [Udp; 1],
    sink: std::net::UdpSocket,
    counters: Counters,
    offered: u64,
    came: Vec<Came>,
    held_bytes_max: usize,
}

impl Out {
    async fn new(bytes_per_s: u64) -> Self {
        let sockets = [Udp::bind("127.0.0.1:0".parse().unwrap(), true, false).unwrap()];
        poll_fn(|cx| sockets[0].poll_writable(cx)).await;
        let sink = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        sink.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = socket2::SockRef::from(&sink).set_recv_buffer_size(4 << 20);
        let start = Instant::now();
        Self {
            start,
            egress: Egress::new(bytes_per_s, QUEUED_BYTES_MAX),
            sockets,
            sink,
            counters: Counters::default(),
            offered: 0,
            came: Vec::new(),
            held_bytes_max: 0,
        }
    }

    fn route(&self) -> Route {
        Route { to: self.sink.local_addr().unwrap(), from: None }
    }

    fn at(&self, us: u64) -> Instant {
        // The queue's own clock began at its making.
        self.start + Duration::from_millis(1) + Duration::from_micros(us)
    }

    fn packet(us: u64, priority: u32) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        packet[..8].copy_from_slice(&us.to_be_bytes());
        packet[8..12].copy_from_slice(&priority.to_be_bytes());
        packet
    }

    /// Offers packets that pay this, as one batch.
    fn send(&mut self, us: u64, priorities: &[u32]) {
        let bytes: Vec<u8> = priorities.iter().flat_map(|&priority| Self::packet(us, priority)).collect();
        // As a relay has them: here and there in its buffers.
        let (some, others) = bytes.split_at(priorities.len() / 3 * PACKET);
        let slices = &[IoSlice::new(some), IoSlice::new(others)];
        let (packets, priorities) = (priorities.len(), Priorities::Each(priorities));
        let batch = Batch { link: LINK, segment: PACKET, packets, priorities, slices };
        let (now, route) = (self.at(us), self.route());
        self.egress.send(now, &self.sockets, route, batch, &mut self.counters);
        self.offered += packets as u64;
        self.take(us);
    }

    fn control(&mut self, us: u64) {
        let (now, route) = (self.at(us), self.route());
        self.egress.send_control(now, &self.sockets, route, LINK, &Self::packet(us, CONTROL), &mut self.counters);
        self.take_one(us);
    }

    fn flush(&mut self, us: u64) {
        let (now, route) = (self.at(us), self.route());
        self.egress.flush(now, &self.sockets, |_| Some(route), &mut self.counters);
        self.take(us);
    }

    /// Lets time pass up to `us`, as the node's thread does: it wakes when the rate lets more go.
    fn until(&mut self, us: u64) {
        while let Some(due) = self.egress.deadline() {
            // A thread wakes when it is due or after, never before.
            let due_us = due.saturating_duration_since(self.at(0)).as_nanos().div_ceil(1000) as u64;
            if due_us >= us {
                return;
            }
            self.flush(due_us);
        }
    }

    /// Takes all that has gone.
    fn take(&mut self, us: u64) {
        let gone: Vec<_> = self.egress.sent.drain(..).collect();
        for (link, packets, bytes) in gone {
            assert_eq!((link, bytes), (LINK, packets * PACKET as u64));
            (0..packets).for_each(|_| self.take_one(us));
        }
        self.held_bytes_max = self.held_bytes_max.max(self.egress.held_bytes());
    }

    fn take_one(&mut self, at_us: u64) {
        let mut packet = [0; PACKET + 1];
        assert_eq!(self.sink.recv(&mut packet).unwrap(), PACKET);
        let sent_us = u64::from_be_bytes(packet[..8].try_into().unwrap());
        self.came.push(Came { priority: u32::from_be_bytes(packet[8..12].try_into().unwrap()), sent_us, at_us });
    }

    /// What came of packets that paid this, sent from then on.
    fn of(&self, priority: u32, from_us: u64) -> Vec<Came> {
        self.came.iter().copied().filter(|c| c.priority == priority && c.sent_us >= from_us).collect()
    }

    fn dropped(&self) -> u64 {
        self.counters.iter().map(|(_, count)| count).sum()
    }

    /// Lets all go that waits, and sees that every packet offered has come or is counted.
    fn settle(&mut self, us: u64) {
        self.until(us + SECOND);
        let data = self.came.iter().filter(|c| c.priority != CONTROL).count() as u64;
        assert_eq!(data + self.dropped(), self.offered);
        let known = self.counters.get(Reason::QueueDelay) + self.counters.get(Reason::QueueFull);
        assert_eq!(self.dropped(), known, "for a reason that a queue has");
    }
}

fn wait_us_max(came: &[Came]) -> u64 {
    came.iter().map(|c| c.at_us - c.sent_us).max().unwrap()
}

#[tokio::test(flavor = "current_thread")]
async fn a_shaped_link_stays_full_and_what_passes_passes_in_time() {
    let mut out = Out::new(RATE).await;
    let until = 4 * SECOND;
    for at in (0..until).step_by(EVERY_US as usize) {
        out.until(at);
        out.send(at, &[0; BATCH]);
        if at % (20 * EVERY_US) == 0 {
            out.control(at);
        }
    }
    let bytes = (out.of(0, 0).len() * PACKET) as u64;
    let most = RATE * until / SECOND;
    assert!(out.offered * PACKET as u64 >= 99 * most / 10, "ten times as much was offered");
    assert!(bytes >= most * 99 / 100 && bytes <= most + RATE / 200, "{bytes} of {most} bytes");
    let control = out.of(CONTROL, 0);
    assert!(control.len() > 300 && control.iter().all(|c| c.at_us == c.sent_us), "control waits for nothing");
    out.settle(until);
    assert!(wait_us_max(&out.of(0, 0)) <= Limits::default().delay_us_max);
    assert!(out.held_bytes_max <= Limits::default().memory_bytes, "{}", out.held_bytes_max);
    assert!(out.counters.get(Reason::QueueDelay) > 0);
}

/// One packet in 25 pays, four tenths of what the link can carry.
fn one_in_25_pays() -> Vec<u32> {
    (0..2 * 25).map(|at| if at % 25 == 7 { 4 } else { 0 }).collect()
}

#[tokio::test(flavor = "current_thread")]
async fn who_pays_passes_who_does_not_and_what_is_left_is_theirs() {
    let mut out = Out::new(RATE).await;
    let (mixed, every_us) = (one_in_25_pays(), 50 * PACKET as u64 * SECOND / (10 * RATE));
    let until = 2 * SECOND;
    for at in (0..until).step_by(every_us as usize) {
        out.until(at);
        out.send(at, &mixed);
    }
    out.settle(until);
    let (paying, others) = (out.of(4, 0), out.of(0, 0));
    assert_eq!(paying.len() as u64, out.offered / 25, "all that pay");
    // Two of them a batch, at 105 us each, and a batch that is on its way already.
    assert!(wait_us_max(&paying) <= 6_000, "{} us", wait_us_max(&paying));
    let rest = (others.len() * PACKET) as u64;
    assert!(rest >= RATE * until / SECOND * 58 / 100, "the others have what is left, {rest} bytes");
}

#[tokio::test(flavor = "current_thread")]
async fn who_pays_nothing_waits_only_while_others_pay_for_all_there_is() {
    let mut out = Out::new(RATE).await;
    let paid_until = SECOND;
    for at in (0..2 * SECOND).step_by(EVERY_US as usize) {
        out.until(at);
        // Twice the rate paid for, eight times not; then only those.
        let paying = if at < paid_until { BATCH / 5 } else { 0 };
        let batch: Vec<u32> = (0..BATCH).map(|at| if at < paying { 9 } else { 0 }).collect();
        out.send(at, &batch);
    }
    out.settle(2 * SECOND);
    // But for the burst that a fresh link has.
    let meanwhile = 2 * EVERY_US..paid_until;
    assert!(out.of(0, 0).iter().all(|c| !meanwhile.contains(&c.at_us)), "others pay for all there is");
    // What had been paid for goes first, for as long as it may wait.
    let from = paid_until + Limits::default().delay_us_max;
    let bytes =
        (out.came.iter().filter(|c| c.priority == 0 && (from..2 * SECOND).contains(&c.at_us)).count() * PACKET) as u64;
    assert!(bytes >= RATE * (2 * SECOND - from) / SECOND * 99 / 100, "{bytes}");
    assert!(wait_us_max(&out.came) <= Limits::default().delay_us_max);
}

#[tokio::test(flavor = "current_thread")]
async fn a_batch_that_need_not_wait_goes_whole_whatever_its_packets_pay() {
    for rate in [0, RATE * 100] {
        let mut out = Out::new(rate).await;
        let mixed: Vec<u32> = (0..BATCH as u32).map(|at| at % 3).collect();
        for at in 0..20 {
            let now = out.at(at * SECOND);
            out.send(at * SECOND, &mixed);
            assert!(out.egress.deadline().is_none_or(|due| due > now));
        }
        let came: Vec<u32> = out.came.iter().map(|c| c.priority).collect();
        assert!(came.chunks(BATCH).all(|batch| batch == mixed) && came.len() == 20 * BATCH, "in one piece, in order");
    }
}

/// Of a batch that a rate lets only the beginning of, those go that pay; the rest waits in its order.
#[tokio::test(flavor = "current_thread")]
async fn of_a_batch_in_part_those_that_pay_go() {
    // A burst is 5 ms: 13 packets, but never less than the longest packet.
    let mut out = Out::new(13 * PACKET as u64 * 200).await;
    let mixed: Vec<u32> = (0..BATCH as u32).map(|at| u32::from(at % 4 == 3)).collect();
    out.send(0, &mixed);
    let (paying, free): (Vec<u32>, Vec<u32>) = out.came.iter().map(|c| c.priority).partition(|&p| p == 1);
    assert_eq!((paying.len(), free.len()), (11, 2));
    out.until(SECOND);
    assert_eq!(out.came.len(), BATCH);
}
