//! The ids that one shard works on: what packets need, and nothing else.
//!
//! A shard's slots belong to its thread alone. Who gives ids out ([`CircuitTable`](crate::CircuitTable)) has another shard's
//! slots changed by [`Command`]s, which arrive in the order in which they were given.

use bytes::BytesMut;
use wayfare_onion::{BackwardHop, ForwardHop, Gcm};
use wayfare_types::{Counters, Reason};
use wayfare_wire::{HEADER, Header, Joiner, Part, packet::rewrite};

use crate::egress::Payer;
use crate::memory::{prefetch, prefetch_line};
use crate::slab::Slab;

/// A link, by the number its host gave it. Never used twice.
pub type LinkId = u32;

/// A circuit id is `generation u8 | shard 3 bits | index 21 bits`.
pub(crate) const SHARD_SHIFT: u32 = 21;
pub(crate) const GENERATION_SHIFT: u32 = 24;
const PLACE_MASK: u32 = (1 << GENERATION_SHIFT) - 1;
/// Ids of one shard, the one of index 0 included, which is never given out.
pub(crate) const INDICES: usize = 1 << SHARD_SHIFT;
/// How many shards a circuit id can tell apart.
pub const SHARDS_MAX: usize = 1 << (GENERATION_SHIFT - SHARD_SHIFT);

/// The shard that a circuit id is at home in.
#[inline]
pub const fn shard_of(cid: u32) -> usize {
    ((cid & PLACE_MASK) >> SHARD_SHIFT) as usize
}

/// Where a packet goes next: a link, and the circuit id that the node at its other end gave out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Next {
    pub link: LinkId,
    pub cid: u32,
}

/// What this node does with packets of a circuit id.
pub enum Duty {
    /// Open a layer and send on, away from the client.
    Forward(ForwardHop, Next),
    /// Add a layer and send on, towards the client.
    Backward(BackwardHop, Next),
    /// Open the last layer: this node is the exit.
    Exit(ForwardHop),
    /// This node is the client; its path opens all layers.
    Client,
    /// Given out in a set-up that has not been answered.
    Pending,
}

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It is ready to go out on this link, and who pays.
    Forward { link: LinkId, payer: Payer },
    /// Likewise, towards the client.
    Backward { link: LinkId, payer: Payer },
    /// Its payload, for this exit, begins at `HEADER + TAGS`.
    Exit { circuit: u32, counter: u64 },
    /// All its layers are still on.
    Client { circuit: u32, counter: u64 },
    /// The first half of a packet that was split.
    Half,
}

/// What became of a body that stands by itself, its header read already.
#[derive(Debug, PartialEq, Eq)]
pub enum Peeled {
    /// It goes on to there, with this counter; it came by an id of this weight, as in [`Payer`].
    Forward { next: Next, counter: u64, weight: u32 },
    /// Likewise, towards the client.
    Backward { next: Next, counter: u64, weight: u32 },
    /// Its payload, for this exit, begins at `TAGS`.
    Exit { circuit: u32 },
    /// All its layers are still on.
    Client { circuit: u32 },
}

/// What packets of one id need, laid out so that a packet needs few lines of memory: what it is (one line, with the head of its key), the
/// key, and behind it the head of its window; see [`Asked`].
#[repr(C, align(64))]
pub struct Slot {
    pub(crate) link: LinkId,
    pub(crate) circuit: u32,
    pub(crate) body_bytes: u32,
    /// Credits per second that its packets pay where they have to wait.
    pub(crate) weight: u32,
    /// Packets worked since [`Slots::take_moved`], while somebody pays for them.
    moved: u32,
    generation: u8,
    used: bool,
    /// Made when the first half of a split packet arrives.
    joiner: Option<Box<Joiner>>,
    pub(crate) duty: Duty,
}

/// What is asked of memory before a packet is worked, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// That its pages be found. Unlike a line, a page makes whoever asks wait for it; several that are asked for together are found at the same time.
    Pages,
    /// Half of the lines.
    First,
    /// The other half.
    Second,
}

impl Asked {
    /// Where the lines begin that every packet needs, on x86_64 with AES-128-GCM. Of our own: what the slot is and the head of its key, the
    /// key, and behind the room that a library's key would take iv, step and the head of the window. Of the library: what the slot is and the head of
    /// its key; the powers of the hash's key; the round keys and their number; the same end. Between them lie powers for smaller CPUs, at 256.
    /// Behind either come the window's words, of which [`Slots::prefetch_window`] asks for one.
    const fn lines(self, gcm: Gcm) -> &'static [usize] {
        match (self, gcm) {
            (Self::Pages, _) => &[0, 576],
            (Self::First, Gcm::Lanes) => &[0, 64, 128, 192],
            (Self::Second, Gcm::Lanes) => &[256, 320, 576],
            (Self::First, Gcm::Library) => &[0, 64, 128, 192, 320],
            (Self::Second, Gcm::Library) => &[384, 448, 512, 576],
        }
    }
}

/// A change of another shard's slots.
pub enum Command {
    /// Packets of this id are worked so from now on.
    Put { cid: u32, slot: Box<Slot> },
    /// Packets of this id pay so many credits per second from now on.
    Weigh { cid: u32, weight: u32 },
    /// The id is taken back; its key and window go with it.
    Drop { cid: u32 },
}

/// See the module's first paragraph.
pub struct Slots {
    slots: Slab<Slot>,
    /// Places of those whose `moved` is not 0, and perhaps of some that have been given out anew.
    touched: Vec<u32>,
    used: usize,
    shard: u32,
    shards: u32,
    /// By whom the keys are that slots hold.
    gcm: Gcm,
}

impl Slots {
    /// Of shard number `shard`, one of `shards`.
    pub fn new(shard: usize, shards: usize) -> Self {
        let (shard, shards) = (shard as u32, shards as u32);
        Self { slots: Slab::new(), touched: Vec::new(), used: 0, shard, shards, gcm: Gcm::here() }
    }

    /// Ids in use.
    pub fn len(&self) -> usize {
        self.used
    }

    /// No id is in use.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Where an id's slot is. Another shard's ids are beyond every slot there can be.
    #[inline]
    fn place(&self, cid: u32) -> usize {
        ((cid & PLACE_MASK) ^ (self.shard << SHARD_SHIFT)) as usize
    }

    /// Whether an id is at home in another shard.
    #[inline]
    pub fn away(&self, cid: u32) -> bool {
        let shard = shard_of(cid) as u32;
        shard != self.shard && shard < self.shards
    }

    /// Does what a command says.
    pub fn apply(&mut self, command: Command) {
        match command {
            Command::Put { cid, slot } => self.put(cid, *slot),
            Command::Weigh { cid, weight } => self.weigh(cid, weight),
            Command::Drop { cid } => self.take(cid),
        }
    }

    pub(crate) fn put(&mut self, cid: u32, mut slot: Slot) {
        let place = self.place(cid);
        if place >= INDICES {
            return;
        }
        // Ids are given out one behind the other, so this is the next one at most.
        while self.slots.len() <= place {
            self.slots.push(Slot::empty());
        }
        let Some(old) = self.slots.get_mut(place) else { return };
        (slot.generation, slot.used) = ((cid >> GENERATION_SHIFT) as u8, true);
        self.used += usize::from(!old.used);
        *old = slot;
    }

    pub(crate) fn set(&mut self, cid: u32, duty: Duty) {
        let place = self.place(cid);
        if let Some(slot) = self.slots.get_mut(place) {
            slot.duty = duty;
        }
    }

    pub(crate) fn weigh(&mut self, cid: u32, weight: u32) {
        let place = self.place(cid);
        if let Some(slot) = self.slots.get_mut(place) {
            slot.weight = weight;
        }
    }

    pub(crate) fn take(&mut self, cid: u32) {
        let place = self.place(cid);
        if let Some(slot) = self.slots.get_mut(place)
            && slot.used
            && u32::from(slot.generation) == cid >> GENERATION_SHIFT
        {
            *slot = Slot::empty();
            self.used -= 1;
        }
    }

    /// Asks memory for what [`Self::peel`] will need for this id.
    #[inline]
    pub fn prefetch(&self, cid: u32, asked: Asked) {
        if let Some(slot) = self.slots.get(self.place(cid)) {
            prefetch(slot, asked.lines(self.gcm));
        }
    }

    /// Begins to load what [`Self::peel`] will need of the window for this counter, once [`Self::prefetch`] has what it asked for.
    #[inline]
    pub fn prefetch_window(&self, cid: u32, counter: u64) {
        if let Some(slot) = self.slots.get(self.place(cid)) {
            let word = match &slot.duty {
                Duty::Forward(hop, _) | Duty::Exit(hop) => hop.window_word(counter),
                Duty::Backward(hop, _) => hop.window_word(counter),
                Duty::Client | Duty::Pending => return,
            };
            prefetch_line(word);
        }
    }

    #[inline]
    fn slot(slots: &mut Slab<Slot>, place: usize, link: LinkId, cid: u32) -> Result<&mut Slot, Reason> {
        let slot = slots.get_mut(place).ok_or(Reason::CircuitUnknown)?;
        if !slot.used || slot.link != link || u32::from(slot.generation) != cid >> GENERATION_SHIFT {
            return Err(Reason::CircuitUnknown);
        }
        Ok(slot)
    }

    /// Whether [`Self::take_moved`] has something to tell.
    pub fn has_moved(&self) -> bool {
        !self.touched.is_empty()
    }

    /// What packets that somebody pays for came by each id since this was last called: bytes of their bodies. They may have been dropped since.
    pub fn take_moved(&mut self, mut each: impl FnMut(u32, u64)) {
        let Self { slots, touched, shard, .. } = self;
        for place in touched.drain(..) {
            let Some(slot) = slots.get_mut(place as usize) else { continue };
            let moved = std::mem::take(&mut slot.moved);
            if slot.used && moved > 0 {
                let cid = u32::from(slot.generation) << GENERATION_SHIFT | (place ^ *shard << SHARD_SHIFT);
                each(cid, u64::from(moved) * u64::from(slot.body_bytes));
            }
        }
    }

    /// Works one body in place. What is not for us is refused with its reason, and nothing is changed by it.
    ///
    /// # Errors
    /// [`Reason::CircuitUnknown`], [`Reason::PacketSize`], and those of [`ForwardHop::open`] and [`BackwardHop::seal`].
    #[inline]
    pub fn peel(&mut self, link: LinkId, cid: u32, counter: u64, body: &mut [u8]) -> Result<Peeled, Reason> {
        let place = self.place(cid);
        let slot = Self::slot(&mut self.slots, place, link, cid)?;
        let peeled = slot.peel(counter, body)?;
        slot.count(place, &mut self.touched);
        Ok(peeled)
    }

    /// Works one packet in place, or half of one. What is not for us is refused with its reason, and nothing is changed by it.
    ///
    /// # Errors
    /// Those of [`Self::peel`]; [`Reason::PacketTruncated`] and [`Reason::PacketVersion`] for a header that is none.
    #[inline]
    pub fn work(&mut self, link: LinkId, packet: &mut BytesMut, counters: &mut Counters) -> Result<Arrival, Reason> {
        let Header { part, cid, counter } = Header::parse(packet)?;
        let place = self.place(cid);
        let slot = Self::slot(&mut self.slots, place, link, cid)?;
        if part != Part::Whole && !slot.join(Header { part, cid, counter }, packet, counters)? {
            return Ok(Arrival::Half);
        }
        let peeled = slot.peel(counter, &mut packet[HEADER..])?;
        slot.count(place, &mut self.touched);
        Ok(match peeled {
            Peeled::Forward { next, counter, weight } => {
                rewrite(packet, next.cid, counter);
                Arrival::Forward { link: next.link, payer: Payer { cid, weight } }
            }
            Peeled::Backward { next, counter, weight } => {
                rewrite(packet, next.cid, counter);
                Arrival::Backward { link: next.link, payer: Payer { cid, weight } }
            }
            Peeled::Exit { circuit } => Arrival::Exit { circuit, counter },
            Peeled::Client { circuit } => Arrival::Client { circuit, counter },
        })
    }
}

impl Slot {
    pub(crate) fn new(link: LinkId, circuit: u32, body_bytes: u32, duty: Duty) -> Self {
        Self { link, circuit, body_bytes, weight: 0, moved: 0, generation: 0, used: true, duty, joiner: None }
    }

    fn empty() -> Self {
        Self { used: false, ..Self::new(0, 0, 0, Duty::Pending) }
    }

    /// A packet has been worked.
    #[inline]
    fn count(&mut self, place: usize, touched: &mut Vec<u32>) {
        if self.weight > 0 {
            if self.moved == 0 {
                touched.push(place as u32);
            }
            self.moved = self.moved.saturating_add(1);
        }
    }

    #[inline]
    fn peel(&mut self, counter: u64, body: &mut [u8]) -> Result<Peeled, Reason> {
        if body.len() != self.body_bytes as usize {
            return Err(Reason::PacketSize);
        }
        match &mut self.duty {
            Duty::Forward(hop, next) => {
                let counter = hop.open(counter, body)?;
                Ok(Peeled::Forward { next: *next, counter, weight: self.weight })
            }
            Duty::Backward(hop, next) => {
                let counter = hop.seal(counter, body)?;
                Ok(Peeled::Backward { next: *next, counter, weight: self.weight })
            }
            Duty::Exit(hop) => {
                hop.open(counter, body)?;
                Ok(Peeled::Exit { circuit: self.circuit })
            }
            Duty::Client => Ok(Peeled::Client { circuit: self.circuit }),
            Duty::Pending => Err(Reason::CircuitUnknown),
        }
    }

    /// Joins a half with its other half, if that is here; then `packet` is whole.
    #[cold]
    fn join(&mut self, header: Header, packet: &mut BytesMut, counters: &mut Counters) -> Result<bool, Reason> {
        let body_bytes = self.body_bytes as usize;
        let joiner = self.joiner.get_or_insert_with(|| Box::new(Joiner::new(body_bytes)));
        let mut whole = BytesMut::zeroed(HEADER + body_bytes);
        let joined = joiner.join(header, &packet[HEADER..], &mut whole, counters)?.is_some();
        if joined {
            *packet = whole;
        }
        Ok(joined)
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;
    use crate::slab::Slab;
    use wayfare_onion::{DirectionKeys, Suite};

    /// Where the compiler and the cipher library have put things: if elsewhere, packets wait for what was not asked for.
    #[test]
    fn what_every_packet_needs_is_asked_for() {
        // Lines of a key that no packet needs: for smaller CPUs, or room for the larger of the two.
        check(Gcm::Library, &[256]);
        if Gcm::here() == Gcm::Lanes {
            check(Gcm::Lanes, &[384, 448, 512]);
        }
    }

    fn check(gcm: Gcm, left_out: &[usize]) {
        let asked: Vec<usize> =
            [Asked::First, Asked::Second].iter().flat_map(|half| half.lines(gcm)).copied().collect();
        let keys = DirectionKeys { key: [0xa5; 32], iv: [2; 12], step: 3 };
        let next = Next { link: 1, cid: 2 };
        for duty in [
            Duty::Forward(ForwardHop::by(gcm, Suite::Aes128Gcm, &keys), next),
            Duty::Backward(BackwardHop::by(gcm, Suite::Aes128Gcm, &keys, 0), next),
        ] {
            let mut slots = Slab::new();
            slots.push(Slot::new(1, 1, 100, duty));
            let slot = slots.get(0).expect("just pushed");
            let start = std::ptr::from_ref(slot) as usize;
            assert_eq!((start % 64, size_of::<Slot>()), (0, 896));
            let word = match &slot.duty {
                Duty::Forward(hop, _) => hop.window_word(0),
                Duty::Backward(hop, _) => hop.window_word(0),
                _ => unreachable!(),
            };
            // Before the window's words lies what is asked for.
            let words = std::ptr::from_ref(word) as usize - start;
            let read: Vec<usize> = (0..words).step_by(64).filter(|line| !left_out.contains(line)).collect();
            assert_eq!(asked, read);
        }
    }
}
