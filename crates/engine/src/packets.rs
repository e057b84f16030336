//! The packets of circuits that begin or end here: batches of inner datagrams wrapped for their link, arrivals opened.
//!
//! A batch is written once, front to back, into room that the last batch has left: nothing is zeroed that is overwritten,
//! and nothing allocated while the host has let go of what it was given before.

use bytes::{Buf, BytesMut};
use wayfare_credit::Direction;
use wayfare_quic::Instant;
use wayfare_relay::LinkId;
use wayfare_relay::egress::Payer;
use wayfare_types::Reason;
use wayfare_wire::fast::FAST_HEADER;
use wayfare_wire::{HEADER, Header, Part, Piece, SizeClass, TAGS, get_payload};

use crate::api::{CircuitId, Event, FREE, Output};
use crate::circuits::{Circuit, count_moved};
use crate::engine::Engine;

/// Room for the next batches at a time.
const ROOM_BYTES: usize = 256 << 10;

/// Where batches are written.
#[derive(Default)]
pub(crate) struct Room(BytesMut);

impl Room {
    /// Writes the inner datagrams in `inner`, of `segment` bytes each but for the last, as packets of `class` for circuit
    /// id `cid`, in pieces where they do not fit. `seal` is given each body with its payload in place and says the packet's counter.
    ///
    /// Stops at what `seal` refuses; the packets before it are whole.
    #[inline]
    fn fill(
        &mut self,
        class: SizeClass,
        cid: u32,
        inner: &[u8],
        segment: usize,
        mut seal: impl FnMut(&mut [u8]) -> Result<u64, Reason>,
    ) -> (BytesMut, Result<(), Reason>) {
        let stride = FAST_HEADER + class.body_bytes();
        let (segment, most) = (segment.max(1), class.inner_bytes());
        // A jumbo connection that has moved to smaller packets has to find that out.
        if segment.min(inner.len()) > class.spanned_bytes() {
            return (BytesMut::new(), Err(Reason::PayloadLength));
        }
        let bytes = inner.len().div_ceil(segment) * segment.div_ceil(most) * stride;
        if self.0.capacity() < bytes {
            // Takes the old room again where the host has let go of all of it.
            self.0.reserve(bytes.max(ROOM_BYTES));
        }
        let mut result = Ok(());
        let pieces = inner.chunks(segment).flat_map(|datagram| {
            let count = datagram.len().div_ceil(most);
            datagram.chunks(most).enumerate().map(move |(i, part)| (Piece::of(i == 0, i + 1 == count), part))
        });
        for (piece, inner) in pieces {
            let at = self.0.len();
            let length = piece.length_field(inner.len()).expect("what fits a payload");
            // Headers and tag slots are written when they are known; the payload is put where it belongs now.
            self.0.extend_from_slice(&[0; FAST_HEADER + TAGS]);
            self.0.extend_from_slice(&length.to_be_bytes());
            self.0.extend_from_slice(inner);
            self.0.resize(at + stride, 0);
            let packet = &mut self.0[at..];
            match seal(&mut packet[FAST_HEADER..]) {
                Ok(counter) => Header { part: Part::Whole, cid, counter }.emit(&mut packet[FREE..]),
                Err(reason) => {
                    self.0.truncate(at);
                    result = Err(reason);
                    break;
                }
            }
        }
        (self.0.split(), result)
    }
}

/// What became of a batch.
struct Sent {
    link: LinkId,
    data: BytesMut,
    stride: usize,
    payer: Payer,
    result: Result<(), Reason>,
}

impl Sent {
    fn packets(&self) -> u64 {
        (self.data.len() / self.stride) as u64
    }

    /// As links count them: without what only fast links put in front.
    fn bytes(&self) -> u64 {
        self.data.len() as u64 - self.packets() * FREE as u64
    }
}

impl Engine {
    /// Sends inner datagrams away on a circuit of this client's: `segment` bytes each but for the last.
    pub(crate) fn client_send(&mut self, id: CircuitId, inner: &[u8], segment: usize) {
        let Self { circuits, room, random, credits, .. } = self;
        let Some(Circuit::Client(c)) = circuits.get_mut(&id) else {
            return self.counters.count(Reason::CircuitUnknown);
        };
        let Some(path) = &mut c.path else { return self.counters.count(Reason::CircuitUnknown) };
        let seal = |body: &mut [u8]| path.wrap(body, &mut **random);
        let (data, result) = room.fill(c.class, c.forward_cid, inner, segment, seal);
        let stride = FAST_HEADER + c.class.body_bytes();
        let payer = Payer { cid: c.backward_cid, weight: c.weight };
        let sent = Sent { link: c.link, data, stride, payer, result };
        c.info.packets_forward += sent.packets();
        c.info.bytes_forward += sent.bytes();
        count_moved(&mut credits.touched, id, (&mut c.moved, c.weight), Direction::Forward, sent.bytes());
        self.stats.client_packets_forward += sent.packets();
        self.stats.client_bytes_forward += sent.bytes();
        if path.packets() >= self.config.limits.renew_after_packets && !c.worn_told {
            c.worn_told = true;
            self.events.push_back(Event::CircuitWorn(id));
        }
        self.send_packets(sent);
    }

    /// Sends inner datagrams back to the client of a circuit that ends here.
    pub(crate) fn exit_send(&mut self, id: CircuitId, inner: &[u8], segment: usize) {
        let Self { circuits, room, credits, .. } = self;
        let Some(Circuit::Exit(c)) = circuits.get_mut(&id) else {
            return self.counters.count(Reason::CircuitUnknown);
        };
        let backward = &mut c.backward;
        let (data, result) = room.fill(c.class, c.prev.cid, inner, segment, |body| backward.origin(body));
        let stride = FAST_HEADER + c.class.body_bytes();
        let payer = Payer { cid: c.forward_cid, weight: c.weight };
        let sent = Sent { link: c.prev.link, data, stride, payer, result };
        count_moved(&mut credits.touched, id, (&mut c.moved, c.weight), Direction::Backward, sent.bytes());
        self.stats.exit_packets_backward += sent.packets();
        self.stats.exit_bytes_backward += sent.bytes();
        self.send_packets(sent);
    }

    /// Queues a batch for its link, packet by packet where its datagrams are too small for one.
    fn send_packets(&mut self, sent: Sent) {
        if let Err(reason) = sent.result {
            self.counters.count(reason);
        }
        let Sent { link, mut data, stride, payer, .. } = sent;
        if data.is_empty() {
            return;
        }
        match self.links.get(&link) {
            None => (0..data.len() / stride).for_each(|_| self.counters.count(Reason::LinkGone)),
            Some(l) if l.carries(stride) => self.outputs.push_back(Output::Packets { link, data, stride, payer }),
            Some(_) => {
                while data.len() >= stride {
                    let mut packet = data.split_to(stride);
                    packet.advance(FREE);
                    self.send_packet(link, packet, payer);
                }
            }
        }
    }

    /// A packet of a circuit of ours came back, its layers still on: `body` is its tag slots and payload. Opens it in place
    /// and hands the inner datagram on in the same memory.
    #[inline]
    pub(crate) fn client_packet(&mut self, now: Instant, id: CircuitId, counter: u64, mut body: BytesMut) {
        let Some(Circuit::Client(c)) = self.circuits.get_mut(&id) else {
            return self.counters.count(Reason::CircuitUnknown);
        };
        let Some(path) = &mut c.path else { return self.counters.count(Reason::CircuitUnknown) };
        if let Err(failed) = path.open(counter, &mut body) {
            return self.counters.count(failed.reason);
        }
        let bytes = (HEADER + body.len()) as u64;
        c.heard_at = now;
        c.info.packets_backward += 1;
        c.info.bytes_backward += bytes;
        self.stats.client_packets_backward += 1;
        self.stats.client_bytes_backward += bytes;
        let exit = c.exit;
        match cut(body) {
            Ok((Piece::Whole, inner)) => self.inner_arrived_client(now, exit, inner),
            Ok((piece, inner)) => {
                if let Some(inner) = c.pieces.join(&self.pieces, counter, piece, &inner, &mut self.counters) {
                    self.inner_arrived_client(now, exit, inner);
                }
            }
            Err(reason) => self.counters.count(reason),
        }
    }

    /// A client's packet has reached its exit, its last layer off: `body` is the tag slots, of which nothing is left to
    /// read, and the payload.
    #[inline]
    pub(crate) fn exit_packet(&mut self, now: Instant, id: CircuitId, counter: u64, body: BytesMut) {
        self.stats.exit_packets_forward += 1;
        self.stats.exit_bytes_forward += (HEADER + body.len()) as u64;
        match cut(body) {
            Ok((Piece::Whole, inner)) => self.inner_arrived_exit(now, id, inner),
            Ok((piece, inner)) => self.piece_arrived_exit(now, id, counter, piece, &inner),
            Err(reason) => self.counters.count(reason),
        }
    }

    /// A piece of an inner datagram reached this exit.
    pub(crate) fn piece_arrived_exit(&mut self, now: Instant, id: CircuitId, counter: u64, piece: Piece, bytes: &[u8]) {
        let Some(Circuit::Exit(c)) = self.circuits.get_mut(&id) else {
            return self.counters.count(Reason::CircuitUnknown);
        };
        if let Some(inner) = c.pieces.join(&self.pieces, counter, piece, bytes, &mut self.counters) {
            self.inner_arrived_exit(now, id, inner);
        }
    }
}

/// What an opened body has for its end.
#[inline]
pub(crate) fn payload(body: &[u8]) -> Result<(Piece, &[u8]), Reason> {
    body.get(TAGS..).ok_or(Reason::PacketTruncated).and_then(get_payload)
}

/// Cuts what a payload has out of an opened body, without a copy.
#[inline]
fn cut(mut body: BytesMut) -> Result<(Piece, BytesMut), Reason> {
    let (piece, inner) = payload(&body)?;
    let bytes = inner.len();
    body.advance(TAGS + 2);
    body.truncate(bytes);
    Ok((piece, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use wayfare_types::Counters;
    use wayfare_wire::{PieceJoiner, PieceQuota};

    /// The model of a batch is its packets one at a time.
    #[test]
    fn a_batch_is_its_packets_behind_one_another() {
        let mut room = Room::default();
        for class in SizeClass::ALL {
            let stride = FAST_HEADER + class.body_bytes();
            let inner: Vec<u8> = (0..class.inner_bytes() * 2 + 7).map(|i| i as u8).collect();
            // What an earlier batch left behind must not shine through.
            drop(room.fill(class, 1, &vec![0xff; class.inner_bytes() * 3], class.inner_bytes(), |_| Ok(0)));
            let mut counter = 40;
            let seal = |body: &mut [u8]| {
                assert_eq!(body.len(), class.body_bytes());
                counter += 1;
                Ok(counter)
            };
            let (data, result) = room.fill(class, 9, &inner, class.inner_bytes(), seal);
            assert_eq!((result, data.len()), (Ok(()), 3 * stride));
            for (i, packet) in data.chunks(stride).enumerate() {
                let header = Header { part: Part::Whole, cid: 9, counter: 41 + i as u64 };
                assert_eq!(Header::parse(&packet[FREE..]), Ok(header));
                let body = BytesMut::from(&packet[FAST_HEADER..]);
                assert!(body[..TAGS].iter().all(|&b| b == 0));
                let part = &inner[i * class.inner_bytes()..inner.len().min((i + 1) * class.inner_bytes())];
                assert!(body[TAGS + 2 + part.len()..].iter().all(|&b| b == 0));
                assert_eq!(cut(body).unwrap(), (Piece::Whole, BytesMut::from(part)));
            }
        }
    }

    #[test]
    fn what_does_not_fit_goes_in_pieces_and_comes_together_again() {
        let (mut room, quota, mut counters) = (Room::default(), PieceQuota::new(1), Counters::default());
        for class in [SizeClass::M, SizeClass::L] {
            let (stride, segment) = (FAST_HEADER + class.body_bytes(), class.spanned_bytes());
            // Two full ones and a third of two packets.
            let inner: Vec<u8> = (0..segment * 2 + class.inner_bytes() + 1).map(|i| (i * 7) as u8).collect();
            let mut counter = u64::MAX - 3;
            let seal = |_: &mut [u8]| {
                counter = counter.wrapping_add(1);
                Ok(counter)
            };
            let (data, result) = room.fill(class, 9, &inner, segment, seal);
            assert_eq!((result, data.len()), (Ok(()), (2 * SizeClass::SPAN + 2) * stride));
            let mut joiner = PieceJoiner::default();
            let joined: Vec<BytesMut> = data
                .chunks(stride)
                .filter_map(|packet| {
                    let header = Header::parse(&packet[FREE..]).unwrap();
                    let (piece, part) = cut(BytesMut::from(&packet[FAST_HEADER..])).unwrap();
                    joiner.join(&quota, header.counter, piece, &part, &mut counters)
                })
                .collect();
            assert_eq!(joined, inner.chunks(segment).collect::<Vec<_>>());
        }
        assert_eq!(counters.get(Reason::PieceLost), 0);
    }

    #[test]
    fn what_is_refused_ends_the_batch_and_leaves_whole_packets() {
        let mut room = Room::default();
        let class = SizeClass::M;
        let mut left = 2;
        let seal = |_: &mut [u8]| {
            left -= 1;
            if left >= 0 { Ok(0) } else { Err(Reason::KeyWorn) }
        };
        let (data, result) = room.fill(class, 1, &[1; 4800], 1200, seal);
        assert_eq!((result, data.len()), (Err(Reason::KeyWorn), 2 * (FAST_HEADER + class.body_bytes())));
        for class in SizeClass::ALL {
            let large = class.spanned_bytes() + 1;
            let (data, result) = room.fill(class, 1, &vec![1; large], large, |_| Ok(0));
            assert_eq!((result, data.len()), (Err(Reason::PayloadLength), 0), "{class:?}");
        }
    }

    #[test]
    fn room_is_used_again_once_the_host_has_let_go() {
        let mut room = Room::default();
        let mut places = std::collections::HashSet::new();
        for _ in 0..200 {
            let (data, _) = room.fill(SizeClass::M, 1, &[1; 12_000], 1200, |_| Ok(0));
            places.insert(data.as_ptr() as usize);
        }
        // Of a room's 256 KiB a batch of ten takes 13 KB: it comes round to the same twenty places.
        assert!(places.len() <= 21, "{}", places.len());
    }

    #[test]
    fn bodies_too_short_for_a_payload_are_refused() {
        for length in 0..TAGS + 2 {
            assert!(cut(BytesMut::zeroed(length)).is_err());
        }
    }
}
