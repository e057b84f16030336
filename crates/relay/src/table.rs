//! The table of circuit ids that this node has given out.

use bytes::BytesMut;
use wayfare_onion::{BackwardHop, ForwardHop};
use wayfare_types::{Counters, Reason};
use wayfare_wire::{HEADER, Header, Joiner, Part, SizeClass, packet::rewrite};

use crate::prefetch::prefetch;

/// A link, by the number its host gave it. Never used twice.
pub type LinkId = u32;

const INDEX_BITS: u32 = 24;
const INDEX_MASK: u32 = (1 << INDEX_BITS) - 1;
/// Slots that are never given out: the one of index 0.
const RESERVED: usize = 1;

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
    /// It is ready to go out on this link.
    Forward(LinkId),
    /// Likewise, towards the client.
    Backward(LinkId),
    /// Its payload, for this exit, begins at `HEADER + TAGS`.
    Exit { circuit: u32 },
    /// All its layers are still on.
    Client { circuit: u32, counter: u64 },
    /// The first half of a packet that was split.
    Half,
}

/// What became of a body that stands by itself, its header read already.
#[derive(Debug, PartialEq, Eq)]
pub enum Peeled {
    /// It goes on to there, with this counter.
    Forward { next: Next, counter: u64 },
    /// Likewise, towards the client.
    Backward { next: Next, counter: u64 },
    /// Its payload, for this exit, begins at `TAGS`.
    Exit { circuit: u32 },
    /// All its layers are still on.
    Client { circuit: u32 },
}

struct Slot {
    link: LinkId,
    circuit: u32,
    body_bytes: u32,
    generation: u8,
    used: bool,
    duty: Duty,
    /// Made when the first half of a split packet arrives.
    joiner: Option<Box<Joiner>>,
}

/// See the crate's first paragraph.
pub struct CircuitTable {
    slots: Vec<Slot>,
    free: Vec<u32>,
    capacity: usize,
}

impl CircuitTable {
    /// Gives out at most `capacity` ids at a time, and never 0, which means the link itself.
    pub fn new(capacity: usize) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), capacity: capacity.min(INDEX_MASK as usize) }
    }

    /// Ids in use.
    pub fn len(&self) -> usize {
        self.slots.len().saturating_sub(RESERVED) - self.free.len()
    }

    /// No id is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives out an id that holds on `link`, for `circuit`.
    ///
    /// # Errors
    /// `CircuitTableFull`.
    pub fn give(&mut self, link: LinkId, circuit: u32, class: SizeClass, duty: Duty) -> Result<u32, Reason> {
        self.give_bytes(link, circuit, class.body_bytes(), duty)
    }

    /// As `give`, for any body size: the kernels take every payload length, and so do their benchmarks.
    pub fn give_bytes(&mut self, link: LinkId, circuit: u32, body_bytes: usize, duty: Duty) -> Result<u32, Reason> {
        let body_bytes = u32::try_from(body_bytes).map_err(|_| Reason::PacketSize)?;
        if let Some(index) = self.free.pop() {
            let slot = &mut self.slots[index as usize];
            let generation = slot.generation;
            *slot = Slot { link, circuit, body_bytes, generation, used: true, duty, joiner: None };
            return Ok(u32::from(generation) << INDEX_BITS | index);
        }
        if self.len() >= self.capacity {
            return Err(Reason::CircuitTableFull);
        }
        let slot = |used, duty| Slot { link, circuit, body_bytes, generation: 0, used, duty, joiner: None };
        if self.slots.is_empty() {
            self.slots.push(slot(false, Duty::Pending));
        }
        let index = self.slots.len() as u32;
        self.slots.push(slot(true, duty));
        Ok(index)
    }

    /// Says what is to be done with packets of an id that was given out.
    pub fn set(&mut self, cid: u32, duty: Duty) {
        if let Some(slot) = self.slots.get_mut((cid & INDEX_MASK) as usize) {
            slot.duty = duty;
        }
    }

    /// The circuit that an id on this link belongs to.
    pub fn circuit(&self, link: LinkId, cid: u32) -> Option<u32> {
        let slot = self.slots.get((cid & INDEX_MASK) as usize)?;
        (slot.used && slot.link == link && u32::from(slot.generation) == cid >> INDEX_BITS).then_some(slot.circuit)
    }

    /// Takes an id back; its key and window go with it.
    pub fn take(&mut self, cid: u32) {
        let index = cid & INDEX_MASK;
        if let Some(slot) = self.slots.get_mut(index as usize)
            && slot.used
            && u32::from(slot.generation) == cid >> INDEX_BITS
        {
            slot.generation = slot.generation.wrapping_add(1);
            slot.used = false;
            slot.duty = Duty::Pending;
            slot.joiner = None;
            self.free.push(index);
        }
    }

    /// Circuits with an id on this link.
    pub fn on_link(&self, link: LinkId) -> impl Iterator<Item = u32> + '_ {
        self.slots.iter().filter(move |s| s.used && s.link == link).map(|s| s.circuit)
    }

    /// Begins to load what [`Self::peel`] will need for this id.
    #[inline]
    pub fn prefetch(&self, cid: u32) {
        if let Some(slot) = self.slots.get((cid & INDEX_MASK) as usize) {
            prefetch(slot);
        }
    }

    #[inline]
    fn slot(&mut self, link: LinkId, cid: u32) -> Result<&mut Slot, Reason> {
        let slot = self.slots.get_mut((cid & INDEX_MASK) as usize).ok_or(Reason::CircuitUnknown)?;
        if !slot.used || slot.link != link || u32::from(slot.generation) != cid >> INDEX_BITS {
            return Err(Reason::CircuitUnknown);
        }
        Ok(slot)
    }

    /// Works one body in place. What is not for us is refused with its reason, and nothing is changed by it.
    ///
    /// # Errors
    /// [`Reason::CircuitUnknown`], [`Reason::PacketSize`], and those of [`ForwardHop::open`] and [`BackwardHop::seal`].
    #[inline]
    pub fn peel(&mut self, link: LinkId, cid: u32, counter: u64, body: &mut [u8]) -> Result<Peeled, Reason> {
        self.slot(link, cid)?.peel(counter, body)
    }

    /// Works one packet in place, or half of one. What is not for us is refused with its reason, and nothing is changed by it.
    ///
    /// # Errors
    /// Those of [`Self::peel`]; [`Reason::PacketTruncated`] and [`Reason::PacketVersion`] for a header that is none.
    #[inline]
    pub fn work(&mut self, link: LinkId, packet: &mut BytesMut, counters: &mut Counters) -> Result<Arrival, Reason> {
        let Header { part, cid, counter } = Header::parse(packet)?;
        let slot = self.slot(link, cid)?;
        if part != Part::Whole && !slot.join(Header { part, cid, counter }, packet, counters)? {
            return Ok(Arrival::Half);
        }
        Ok(match slot.peel(counter, &mut packet[HEADER..])? {
            Peeled::Forward { next, counter } => {
                rewrite(packet, next.cid, counter);
                Arrival::Forward(next.link)
            }
            Peeled::Backward { next, counter } => {
                rewrite(packet, next.cid, counter);
                Arrival::Backward(next.link)
            }
            Peeled::Exit { circuit } => Arrival::Exit { circuit },
            Peeled::Client { circuit } => Arrival::Client { circuit, counter },
        })
    }
}

impl Slot {
    #[inline]
    fn peel(&mut self, counter: u64, body: &mut [u8]) -> Result<Peeled, Reason> {
        if body.len() != self.body_bytes as usize {
            return Err(Reason::PacketSize);
        }
        match &mut self.duty {
            Duty::Forward(hop, next) => {
                let counter = hop.open(counter, body)?;
                Ok(Peeled::Forward { next: *next, counter })
            }
            Duty::Backward(hop, next) => {
                let counter = hop.seal(counter, body)?;
                Ok(Peeled::Backward { next: *next, counter })
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
