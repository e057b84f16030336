//! Packets of fast links, which the host works where they lie: it borrows the table for that, and hands back what stays here.

use bytes::BytesMut;
use wayfare_credit::Direction;
use wayfare_quic::Instant;
use wayfare_relay::{Command, LinkId, Slots};
use wayfare_types::{Counters, Reason};
use wayfare_wire::Piece;

use crate::api::CircuitId;
use crate::circuits::{Circuit, count_moved};
use crate::engine::Engine;
use crate::packets::payload;

/// What inner datagrams are copied into, many to one allocation. Small enough that a piece which is kept keeps little else.
const ARENA_BYTES: usize = 32 << 10;

impl Engine {
    /// The circuits at home in shard 0, the counters of what is dropped, and whether this node passes packets on.
    pub fn fast_parts(&mut self) -> (&mut Slots, &mut Counters, bool) {
        (self.table.slots(), &mut self.counters, self.forwarding)
    }

    /// Packets of a link arrive at this shard: ids given out on it from now on are at home there.
    pub fn link_home(&mut self, link: LinkId, shard: usize) {
        if self.links.contains_key(&link) {
            self.table.home(link, shard);
        }
    }

    /// Inner datagrams of which some pieces have arrived.
    pub fn pieces_held(&self) -> usize {
        self.pieces.held()
    }

    /// What other shards have to be told, in order, before any output that is still to be taken goes out.
    pub fn shard_commands(&mut self) -> std::vec::Drain<'_, (usize, Command)> {
        self.table.commands()
    }

    /// The host has passed on so many packets and bytes.
    pub fn relayed(&mut self, forward: (u64, u64), backward: (u64, u64)) {
        self.stats.relayed_packets_forward += forward.0;
        self.stats.relayed_bytes_forward += forward.1;
        self.stats.relayed_packets_backward += backward.0;
        self.stats.relayed_bytes_backward += backward.1;
    }

    /// A packet of one of this client's circuits has come back, with all its layers on.
    pub fn handle_client_body(&mut self, now: Instant, id: CircuitId, counter: u64, body: &mut [u8]) {
        let Some(Circuit::Client(c)) = self.circuits.get_mut(&id) else {
            return self.counters.count(Reason::CircuitUnknown);
        };
        let Some(path) = &mut c.path else { return self.counters.count(Reason::CircuitUnknown) };
        if let Err(failed) = path.open(counter, body) {
            return self.counters.count(failed.reason);
        }
        c.heard_at = now;
        c.info.packets_backward += 1;
        c.info.bytes_backward += body.len() as u64;
        count_moved(&mut self.credits.touched, id, (&mut c.moved, c.weight), Direction::Backward, body.len() as u64);
        self.stats.client_packets_backward += 1;
        self.stats.client_bytes_backward += body.len() as u64;
        let exit = c.exit;
        let inner = match payload(body) {
            Ok((Piece::Whole, inner)) => copied(&mut self.arena, inner),
            Ok((piece, bytes)) => match c.pieces.join(&self.pieces, counter, piece, bytes, &mut self.counters) {
                Some(inner) => inner,
                None => return,
            },
            Err(reason) => return self.counters.count(reason),
        };
        self.inner_arrived_client(now, exit, inner);
    }

    /// A client's packet has reached its exit, its last layer open.
    pub fn handle_exit_body(&mut self, now: Instant, id: CircuitId, counter: u64, body: &[u8]) {
        self.stats.exit_packets_forward += 1;
        self.stats.exit_bytes_forward += body.len() as u64;
        match payload(body) {
            Ok((Piece::Whole, inner)) => {
                let inner = copied(&mut self.arena, inner);
                self.inner_arrived_exit(now, id, inner);
            }
            Ok((piece, bytes)) => self.piece_arrived_exit(now, id, counter, piece, bytes),
            Err(reason) => self.counters.count(reason),
        }
    }
}

/// An inner datagram in memory of its own.
fn copied(arena: &mut BytesMut, inner: &[u8]) -> BytesMut {
    if arena.capacity() < inner.len() {
        *arena = BytesMut::with_capacity(ARENA_BYTES.max(inner.len()));
    }
    arena.extend_from_slice(inner);
    arena.split()
}
