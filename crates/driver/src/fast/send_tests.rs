//! A link's way out on virtual time, its datagrams over a real socket: shaped to 100 Mbit/s and offered ten times that, with
//! circuits that pay and circuits that do not.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests and benchmarks stand on the machine")]

use std::future::poll_fn;
use std::io::IoSlice;
use std::time::Duration;

use wayfare_quic::Instant;
use wayfare_relay::egress::{Charge, Limits, Payer};
use wayfare_types::{Counters, Reason};

use super::send::{Batch, Egress, Payers, QUEUED_BYTES_MAX, Route};
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

/// A circuit that pays so many credits per second: its id is one more, so that they are told apart.
fn paying(weight: u32) -> Payer {
    Payer { cid: weight + 1, weight }
}

/// What came out: of which circuit, when it was sent, when it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Came {
    cid: u32,
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

    fn packet(us: u64, payer: Payer) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        packet[..8].copy_from_slice(&us.to_be_bytes());
        packet[8..12].copy_from_slice(&payer.cid.to_be_bytes());
        packet
    }

    /// Offers packets of circuits that pay this, as one batch.
    fn send(&mut self, us: u64, weights: &[u32]) {
        let payers: Vec<Payer> = weights.iter().map(|&weight| paying(weight)).collect();
        let bytes: Vec<u8> = payers.iter().flat_map(|&payer| Self::packet(us, payer)).collect();
        // As a relay has them: here and there in its buffers.
        let (some, others) = bytes.split_at(payers.len() / 3 * PACKET);
        let slices = &[IoSlice::new(some), IoSlice::new(others)];
        let (packets, payers) = (payers.len(), Payers::Each(&payers));
        let batch = Batch { link: LINK, segment: PACKET, packets, payers, slices };
        let (now, route) = (self.at(us), self.route());
        self.egress.send(now, &self.sockets, route, batch, &mut self.counters);
        self.offered += packets as u64;
        self.take(us);
    }

    fn control(&mut self, us: u64) {
        let (now, route) = (self.at(us), self.route());
        self.egress.send_control(now, &self.sockets, route, LINK, &Self::packet(us, Payer::LINK), &mut self.counters);
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
        self.came.push(Came { cid: u32::from_be_bytes(packet[8..12].try_into().unwrap()), sent_us, at_us });
    }

    /// What came of the circuit that pays this, sent from then on.
    fn of(&self, weight: u32, from_us: u64) -> Vec<Came> {
        let cid = paying(weight).cid;
        self.came.iter().copied().filter(|c| c.cid == cid && c.sent_us >= from_us).collect()
    }

    /// What the circuit that pays this owes.
    fn charge(&mut self, us: u64, weight: u32) -> Charge {
        let mut charges = Vec::new();
        let now = self.at(us);
        self.egress.take_charges(now, &mut charges);
        charges.into_iter().find(|charge| charge.cid == paying(weight).cid).unwrap_or_default()
    }

    fn dropped(&self) -> u64 {
        self.counters.iter().map(|(_, count)| count).sum()
    }

    /// Lets all go that waits, and sees that every packet offered has come or is counted.
    fn settle(&mut self, us: u64) {
        self.until(us + SECOND);
        let data = self.came.iter().filter(|c| c.cid != Payer::LINK.cid).count() as u64;
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
    let control: Vec<Came> = out.came.iter().copied().filter(|c| c.cid == Payer::LINK.cid).collect();
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

/// Of two that both want twice the rate or more, each has what its credits per second are of all there are, a byte costs both the
/// same, and when one stops the other has it all.
#[tokio::test(flavor = "current_thread")]
async fn what_all_want_is_divided_by_what_they_pay() {
    let mut out = Out::new(RATE).await;
    let paid_until = 2 * SECOND;
    for at in (0..3 * SECOND).step_by(EVERY_US as usize) {
        out.until(at);
        // Twice the rate for nine credits a second, eight times for one; then only those.
        let many = if at < paid_until { BATCH / 5 } else { 0 };
        let batch: Vec<u32> = (0..BATCH).map(|at| if at < many { 9 } else { 1 }).collect();
        out.send(at, &batch);
        if at < paid_until && at + EVERY_US >= paid_until {
            let (nine, one) = (out.of(9, 0).len() as f64, out.of(1, 0).len() as f64);
            assert!((nine / one / 9.0 - 1.0).abs() <= 0.05, "{nine} to {one}");
            let mut charges = Vec::new();
            let now = out.at(at);
            out.egress.take_charges(now, &mut charges);
            charges.sort_by_key(|charge| charge.cid);
            let price = |i: usize| charges[i].credit_us as f64 / charges[i].bytes as f64;
            assert!((price(0) / price(1) - 1.0).abs() <= 0.05);
            // Ten credits a second for all bytes of a second.
            let all = 10.0 * 1e6 / RATE as f64;
            assert!((price(0) / all - 1.0).abs() <= 0.05, "{} for {all}", price(0));
        }
    }
    out.settle(3 * SECOND);
    // What had been paid for goes first, for as long as it may wait.
    let from = paid_until + Limits::default().delay_us_max;
    let last = out.came.iter().filter(|c| c.cid == paying(1).cid && (from..3 * SECOND).contains(&c.at_us));
    let bytes = (last.count() * PACKET) as u64;
    assert!(bytes >= RATE * (3 * SECOND - from) / SECOND * 99 / 100, "{bytes}");
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
        assert!(!out.egress.has_charges(), "it costs nothing");
        let came: Vec<u32> = out.came.iter().map(|c| c.cid - 1).collect();
        assert!(came.chunks(BATCH).all(|batch| batch == mixed) && came.len() == 20 * BATCH, "in one piece, in order");
    }
}

/// Of a batch that a rate lets only a part of, the queue says which: as much of each circuit as it pays for.
#[tokio::test(flavor = "current_thread")]
async fn of_a_batch_in_part_those_go_that_pay_for_it() {
    // A burst is 5 ms: 13 packets, but never less than the longest packet.
    let mut out = Out::new(13 * PACKET as u64 * 200).await;
    let mixed: Vec<u32> = (0..BATCH as u32).map(|at| if at % 4 == 3 { 4 } else { 1 }).collect();
    out.send(0, &mixed);
    out.flush(0);
    assert_eq!((out.of(4, 0).len(), out.of(1, 0).len()), (10, 3));
    out.until(SECOND);
    assert_eq!(out.came.len(), BATCH);
    assert_eq!(out.charge(SECOND, 4).bytes, 11 * PACKET as u64);
}
