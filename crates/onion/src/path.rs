//! The client's end of a circuit: wraps a payload in every hop's layer and opens what comes back.
//!
//! Each hop appends a slot forwards and drops one backwards. What it appends is its own keystream, what it drops began
//! as zeros at the exit; the client computes both beforehand, so that every layer's tag covers the whole body.

use wayfare_types::{Random, Reason};
use wayfare_wire::{LADDER, SLOT, SLOTS, TAGS};

use crate::cipher::{Aead, BATCH, Keystream, nonce};
use crate::hop::Wear;
use crate::{DirectionKeys, HopKeys, ReplayWindow, Suite};

struct Direction {
    aead: Aead,
    keystream: Keystream,
    iv: [u8; 12],
    step: u64,
}

impl Direction {
    fn new(suite: Suite, keys: &DirectionKeys) -> Self {
        Self {
            aead: Aead::new(suite, &keys.key),
            keystream: Keystream::new(suite, &keys.key),
            iv: keys.iv,
            step: keys.step,
        }
    }
}

/// Why a packet that came back was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFailed {
    pub reason: Reason,
    /// The index of the first layer that did not verify. It speaks against the hop before it and all hops after it, so
    /// it may only be used statistically; and nobody outside may see a reaction.
    pub layer: Option<usize>,
}

impl From<Reason> for OpenFailed {
    fn from(reason: Reason) -> Self {
        Self { reason, layer: None }
    }
}

/// The client's keys for every hop of a circuit, first hop first.
pub struct ClientPath {
    forward: Box<[Direction]>,
    backward: Box<[Direction]>,
    next: u64,
    /// The slots of the next packets, as the exit will find them, but for the free ones.
    ahead: [[[u8; SLOT]; SLOTS]; BATCH],
    ahead_used: usize,
    wear_forward: Wear,
    wear_backward: Wear,
    window: ReplayWindow,
}

impl ClientPath {
    /// The state for fresh keys of 1 to [`SLOTS`] hops; `start` is the counter of the first packet.
    pub fn new(hops: &[HopKeys], start: u64) -> Option<Self> {
        (1..=SLOTS).contains(&hops.len()).then(|| Self {
            forward: hops.iter().map(|h| Direction::new(h.suite, &h.forward)).collect(),
            backward: hops.iter().map(|h| Direction::new(h.suite, &h.backward)).collect(),
            next: start,
            ahead: [[[0; SLOT]; SLOTS]; BATCH],
            ahead_used: BATCH,
            wear_forward: Wear::default(),
            wear_backward: Wear::default(),
            window: ReplayWindow::default(),
        })
    }

    /// How many hops there are.
    pub fn hops(&self) -> usize {
        self.forward.len()
    }

    /// Packets that the more used direction has had: a client sees what the keys of both ends of its circuit have done.
    pub fn packets(&self) -> u64 {
        self.wear_forward.packets().max(self.wear_backward.packets())
    }

    /// Wraps the payload that stands at `body[TAGS..]` in place and returns the packet's counter. `pad` fills the slots
    /// that are free at the exit.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`], [`Reason::KeyWorn`].
    #[inline]
    pub fn wrap(&mut self, body: &mut [u8], pad: &mut dyn Random) -> Result<u64, Reason> {
        if body.len() < TAGS {
            return Err(Reason::PacketTruncated);
        }
        self.wear_forward.check()?;
        self.wear_forward.count();
        let start = self.next;
        self.next = start.wrapping_add(1);

        if self.ahead_used == BATCH {
            self.look_ahead(start);
        }
        let slots = &mut self.ahead[self.ahead_used];
        self.ahead_used += 1;
        let free = SLOTS - self.forward.len();
        if free > 0 {
            pad.fill(slots[..free].as_flattened_mut());
        }
        body[..TAGS].copy_from_slice(slots.as_flattened());

        let mut nonces = [[0; 12]; SLOTS];
        let mut counter = start;
        for (out, hop) in nonces.iter_mut().zip(&self.forward) {
            *out = nonce(&hop.iv, counter);
            counter = counter.wrapping_add(hop.step);
        }
        for (hop, nonce) in self.forward.iter().zip(&nonces).rev() {
            let tag = hop.aead.seal(*nonce, &[], body);
            debug_assert_eq!(body[LADDER..TAGS], [0; SLOT], "the slot that the hop will put back");
            body.copy_within(..LADDER, SLOT);
            body[..SLOT].copy_from_slice(&tag);
        }
        Ok(start)
    }

    /// Foresees the slots of the packets from counter `start`: they depend on nothing else.
    fn look_ahead(&mut self, start: u64) {
        let mut packets = [[[0; SLOT]; SLOTS]; BATCH];
        let mut counters: [u64; BATCH] = std::array::from_fn(|i| start.wrapping_add(i as u64));
        // `known` slots before the last are the hops' own doing so far.
        for (known, hop) in self.forward.iter().enumerate() {
            if known > 0 {
                for slots in &mut packets {
                    slots.copy_within(1.., 0);
                    slots[SLOTS - 1] = [0; SLOT];
                }
            }
            let nonces = counters.map(|c| nonce(&hop.iv, c));
            hop.keystream.xor_batch(&nonces, SLOTS - 1 - known, &mut packets);
            counters = counters.map(|c| c.wrapping_add(hop.step));
        }
        (self.ahead, self.ahead_used) = (packets, 0);
    }

    /// Opens a packet that came back, in place; the payload then stands at `body[TAGS..]`.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`], [`Reason::PacketReplayed`], [`Reason::KeyWorn`], or [`Reason::PacketForged`] with
    /// the layer. `body` is noise then.
    #[inline]
    pub fn open(&mut self, counter: u64, body: &mut [u8]) -> Result<(), OpenFailed> {
        if body.len() < TAGS {
            return Err(Reason::PacketTruncated.into());
        }
        if !self.window.fresh(counter) {
            return Err(Reason::PacketReplayed.into());
        }
        self.wear_backward.check()?;
        self.wear_backward.count();

        let mut nonces = [[0; 12]; SLOTS];
        let mut at = counter;
        for (out, hop) in nonces.iter_mut().zip(&self.backward) {
            *out = nonce(&hop.iv, at);
            at = at.wrapping_sub(hop.step);
        }
        // What fell out at each hop but the exit: follow the exit's zeros through the slots.
        let mut dropped = [[0; SLOT]; SLOTS];
        let mut slots = [[0; SLOT]; SLOTS];
        let last = self.backward.len() - 1;
        for hop in (1..=last).rev() {
            if hop < last {
                slots.copy_within(..SLOTS - 1, 1);
            }
            // Only the slots that fall out at one of the `hop` hops before this one matter.
            self.backward[hop].keystream.xor(&nonces[hop], SLOTS - 1 - hop, &mut slots[SLOTS - hop..]);
            dropped[hop - 1] = slots[SLOTS - 1];
        }

        for (layer, hop) in self.backward.iter().enumerate() {
            let (tag, rest) = body.split_at_mut(SLOT);
            let mut tag_bytes = [0; SLOT];
            tag_bytes.copy_from_slice(tag);
            if !hop.aead.open(nonces[layer], &[], &tag_bytes, rest) {
                return Err(OpenFailed { reason: Reason::PacketForged, layer: Some(layer) });
            }
            if layer < last {
                body.copy_within(SLOT..TAGS, 0);
                body[LADDER..TAGS].copy_from_slice(&dropped[layer]);
            }
        }
        self.window.mark(counter);
        Ok(())
    }
}
