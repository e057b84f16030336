//! The table of circuit ids that this node has given out.

use std::collections::HashMap;

use bytes::BytesMut;
use wayfare_types::{Counters, Reason};
use wayfare_wire::SizeClass;

use crate::slots::{
    Arrival, Command, Duty, GENERATION_SHIFT, INDICES, LinkId, Peeled, SHARD_SHIFT, SHARDS_MAX, Slot, Slots, shard_of,
};

/// Whose an id is, and how a shard is told of it.
struct Given {
    link: LinkId,
    circuit: u32,
    body_bytes: u32,
    weight: u32,
    generation: u8,
    used: bool,
}

/// The ids of one shard.
#[derive(Default)]
struct Ids {
    given: Vec<Given>,
    free: Vec<u32>,
}

/// Gives ids out, for all shards, and works those of shard 0, which its own thread has; see the crate's first paragraph.
pub struct CircuitTable {
    shards: Vec<Ids>,
    local: Slots,
    /// Where ids on a link are at home, unless in shard 0.
    homes: HashMap<LinkId, usize>,
    outbox: Vec<(usize, Command)>,
    used: usize,
    capacity: usize,
}

impl CircuitTable {
    /// Gives out at most `capacity` ids at a time, and never 0, which means the link itself.
    pub fn new(capacity: usize) -> Self {
        Self::with_shards(capacity, 1)
    }

    /// The same for ids of so many shards, [`SHARDS_MAX`] at most.
    pub fn with_shards(capacity: usize, shards: usize) -> Self {
        let shards = shards.clamp(1, SHARDS_MAX);
        Self {
            shards: (0..shards).map(|_| Ids::default()).collect(),
            local: Slots::new(0, shards),
            homes: HashMap::new(),
            outbox: Vec::new(),
            used: 0,
            capacity,
        }
    }

    /// The slots of shard 0.
    #[inline]
    pub fn slots(&mut self) -> &mut Slots {
        &mut self.local
    }

    /// Ids given out on this link from now on are at home in this shard. Those that were stay where they are.
    pub fn home(&mut self, link: LinkId, shard: usize) {
        if shard == 0 || shard >= self.shards.len() {
            self.homes.remove(&link);
        } else {
            self.homes.insert(link, shard);
        }
    }

    /// What other shards have to be told, in order, before anything goes out that came after it.
    pub fn commands(&mut self) -> std::vec::Drain<'_, (usize, Command)> {
        self.outbox.drain(..)
    }

    /// Ids in use.
    pub fn len(&self) -> usize {
        self.used
    }

    /// No id is in use.
    pub fn is_empty(&self) -> bool {
        self.used == 0
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
        if self.used >= self.capacity {
            return Err(Reason::CircuitTableFull);
        }
        let shard = self.homes.get(&link).copied().unwrap_or(0);
        let Ids { given, free } = &mut self.shards[shard];
        let id = |generation| Given { link, circuit, body_bytes, weight: 0, generation, used: true };
        let index = match free.pop() {
            Some(index) => {
                let old = &mut given[index as usize];
                *old = id(old.generation);
                index
            }
            None if given.len() >= INDICES => return Err(Reason::CircuitTableFull),
            None => {
                if given.is_empty() {
                    // The one of index 0 is never given out.
                    given.push(Given { used: false, ..id(0) });
                }
                given.push(id(0));
                given.len() as u32 - 1
            }
        };
        self.used += 1;
        let generation = u32::from(given[index as usize].generation);
        let cid = generation << GENERATION_SHIFT | (shard as u32) << SHARD_SHIFT | index;
        self.put(cid, Slot::new(link, circuit, body_bytes, duty));
        Ok(cid)
    }

    fn put(&mut self, cid: u32, slot: Slot) {
        match shard_of(cid) {
            0 => self.local.put(cid, slot),
            shard => self.outbox.push((shard, Command::Put { cid, slot: Box::new(slot) })),
        }
    }

    fn given(&self, cid: u32) -> Option<&Given> {
        let given = self.shards.get(shard_of(cid))?.given.get(cid as usize & (INDICES - 1))?;
        (given.used && u32::from(given.generation) == cid >> GENERATION_SHIFT).then_some(given)
    }

    /// Says what is to be done with packets of an id that was given out.
    pub fn set(&mut self, cid: u32, duty: Duty) {
        let Some(&Given { link, circuit, body_bytes, weight, .. }) = self.given(cid) else { return };
        match shard_of(cid) {
            0 => self.local.set(cid, duty),
            _ => {
                let mut slot = Slot::new(link, circuit, body_bytes, duty);
                slot.weight = weight;
                self.put(cid, slot);
            }
        }
    }

    /// Packets of an id that was given out pay so many credits per second from now on while they have to wait for their next link,
    /// and are served there in proportion. 0 before anything is said.
    pub fn set_weight(&mut self, cid: u32, weight: u32) {
        if self.given(cid).is_none_or(|given| given.weight == weight) {
            return;
        }
        let shard = shard_of(cid);
        self.shards[shard].given[cid as usize & (INDICES - 1)].weight = weight;
        match shard {
            0 => self.local.weigh(cid, weight),
            shard => self.outbox.push((shard, Command::Weigh { cid, weight })),
        }
    }

    /// The circuit that an id on this link belongs to.
    pub fn circuit(&self, link: LinkId, cid: u32) -> Option<u32> {
        self.given(cid).filter(|given| given.link == link).map(|given| given.circuit)
    }

    /// The circuit that an id belongs to, whatever its link.
    pub fn owner(&self, cid: u32) -> Option<u32> {
        self.given(cid).map(|given| given.circuit)
    }

    /// Takes an id back; its key and window go with it.
    pub fn take(&mut self, cid: u32) {
        if self.given(cid).is_none() {
            return;
        }
        let (shard, index) = (shard_of(cid), cid & (INDICES as u32 - 1));
        let Ids { given, free } = &mut self.shards[shard];
        let old = &mut given[index as usize];
        (old.generation, old.used) = (old.generation.wrapping_add(1), false);
        free.push(index);
        self.used -= 1;
        match shard {
            0 => self.local.take(cid),
            shard => self.outbox.push((shard, Command::Drop { cid })),
        }
    }

    /// Circuits with an id on this link.
    pub fn on_link(&self, link: LinkId) -> impl Iterator<Item = u32> + '_ {
        let given = self.shards.iter().flat_map(|ids| &ids.given);
        given.filter(move |g| g.used && g.link == link).map(|g| g.circuit)
    }

    /// [`Slots::peel`] of shard 0.
    #[inline]
    pub fn peel(&mut self, link: LinkId, cid: u32, counter: u64, body: &mut [u8]) -> Result<Peeled, Reason> {
        self.local.peel(link, cid, counter, body)
    }

    /// [`Slots::work`] of shard 0.
    #[inline]
    pub fn work(&mut self, link: LinkId, packet: &mut BytesMut, counters: &mut Counters) -> Result<Arrival, Reason> {
        self.local.work(link, packet, counters)
    }
}
