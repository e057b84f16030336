//! What a hop does to a packet: opens one layer forwards, adds one backwards.
//!
//! Invariant: forwards the window is marked after opening, since anyone may send noise; backwards before sealing, since
//! the neighbour chooses the counter and a nonce must never seal twice.

use wayfare_types::Reason;
use wayfare_wire::{LADDER, SLOT, TAGS};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::cipher::{Aead, Gcm, nonce};
use crate::{ReplayWindow, Suite, WORN, WORN_OUT};

/// Key, iv and counter step of one hop in one direction.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DirectionKeys {
    /// As many bytes as the suite's keys have count, from the front.
    pub key: [u8; 32],
    pub iv: [u8; 12],
    /// Added to the counter before a packet goes on (forwards) or is sealed (backwards), modulo 2^64.
    pub step: u64,
}

/// What client and hop share after set-up.
#[derive(Clone)]
pub struct HopKeys {
    pub suite: Suite,
    pub forward: DirectionKeys,
    pub backward: DirectionKeys,
    /// The counter of the first packet that goes back, where this hop is the exit.
    pub backward_start: u64,
}

/// Counts a key's packets. It refuses long before it could overflow.
#[derive(Default)]
pub(crate) struct Wear(u32);

const _: () = assert!(WORN_OUT < u32::MAX as u64);

impl Wear {
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Reason> {
        if self.packets() < WORN_OUT { Ok(()) } else { Err(Reason::KeyWorn) }
    }

    #[inline]
    pub(crate) fn count(&mut self) {
        self.0 += 1;
    }

    pub(crate) fn packets(&self) -> u64 {
        u64::from(self.0)
    }

    pub(crate) fn worn(&self) -> bool {
        self.packets() >= WORN
    }
}

/// A hop's forward state. The window is last: of its words a packet needs one. What a packet needs beside key and word lies between them,
/// in one line of memory (`crates/relay`, `Slot`).
#[repr(C)]
pub struct ForwardHop {
    aead: Aead,
    iv: [u8; 12],
    wear: Wear,
    step: u64,
    window: ReplayWindow,
}

impl ForwardHop {
    /// The state for fresh keys.
    pub fn new(suite: Suite, keys: &DirectionKeys) -> Self {
        Self::by(Gcm::here(), suite, keys)
    }

    /// The same by one of those who do AES-GCM, for tests; by the library where this CPU cannot.
    pub fn by(gcm: Gcm, suite: Suite, keys: &DirectionKeys) -> Self {
        Self {
            aead: Aead::by(gcm, suite, &keys.key),
            iv: keys.iv,
            wear: Wear::default(),
            step: keys.step,
            window: ReplayWindow::default(),
        }
    }

    /// Opens one layer in place. `body` becomes the next hop's body and its counter is returned; at the exit the payload
    /// stands at `body[TAGS..]`. On error `body` is noise and nothing has been remembered of it.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`], [`Reason::PacketReplayed`], [`Reason::PacketForged`], [`Reason::KeyWorn`].
    #[inline]
    pub fn open(&mut self, counter: u64, body: &mut [u8]) -> Result<u64, Reason> {
        let Some(tag) = body.first_chunk::<SLOT>().copied().filter(|_| body.len() >= TAGS) else {
            return Err(Reason::PacketTruncated);
        };
        if !self.window.fresh(counter) {
            return Err(Reason::PacketReplayed);
        }
        self.wear.check()?;
        // Attempts wear the key as well: the tag's strength is a matter of how often it may be tried.
        self.wear.count();
        body.copy_within(SLOT..TAGS, 0);
        body[LADDER..TAGS].fill(0);
        if !self.aead.open(nonce(&self.iv, counter), &[], &tag, body) {
            return Err(Reason::PacketForged);
        }
        self.window.mark(counter);
        Ok(counter.wrapping_add(self.step))
    }

    /// What a packet with this counter will need of the window.
    #[inline]
    pub fn window_word(&self, counter: u64) -> &u64 {
        self.window.word(counter)
    }

    /// Whether the circuit is due for renewal.
    pub fn worn(&self) -> bool {
        self.wear.worn()
    }
}

/// A hop's backward state, laid out as [`ForwardHop`].
#[repr(C)]
pub struct BackwardHop {
    aead: Aead,
    iv: [u8; 12],
    wear: Wear,
    step: u64,
    next: u64,
    window: ReplayWindow,
}

impl BackwardHop {
    /// The state for fresh keys; `start` is the counter of the first packet that this hop originates as the exit.
    pub fn new(suite: Suite, keys: &DirectionKeys, start: u64) -> Self {
        Self::by(Gcm::here(), suite, keys, start)
    }

    /// The same by one of those who do AES-GCM, for tests; by the library where this CPU cannot.
    pub fn by(gcm: Gcm, suite: Suite, keys: &DirectionKeys, start: u64) -> Self {
        Self {
            aead: Aead::by(gcm, suite, &keys.key),
            iv: keys.iv,
            wear: Wear::default(),
            step: keys.step,
            next: start,
            window: ReplayWindow::default(),
        }
    }

    /// What a packet with this counter will need of the window.
    #[inline]
    pub fn window_word(&self, counter: u64) -> &u64 {
        self.window.word(counter.wrapping_add(self.step))
    }

    /// Relay: adds one layer in place and returns the counter the packet goes on with.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`], [`Reason::PacketReplayed`], [`Reason::KeyWorn`].
    #[inline]
    pub fn seal(&mut self, counter: u64, body: &mut [u8]) -> Result<u64, Reason> {
        if body.len() < TAGS {
            return Err(Reason::PacketTruncated);
        }
        let counter = counter.wrapping_add(self.step);
        if !self.window.fresh(counter) {
            return Err(Reason::PacketReplayed);
        }
        self.wear.check()?;
        self.wear.count();
        self.window.mark(counter);
        // The last slot falls out; the client can rebuild it.
        body.copy_within(..LADDER, SLOT);
        self.seal_at(counter, body);
        Ok(counter)
    }

    /// Exit: seals the payload that stands at `body[TAGS..]` and returns the packet's counter.
    ///
    /// # Errors
    /// [`Reason::PacketTruncated`], [`Reason::KeyWorn`]; [`Reason::PacketReplayed`] if this hop has sealed as a relay
    /// with that counter, which no role does.
    #[inline]
    pub fn origin(&mut self, body: &mut [u8]) -> Result<u64, Reason> {
        if body.len() < TAGS {
            return Err(Reason::PacketTruncated);
        }
        let counter = self.next;
        if !self.window.fresh(counter) {
            return Err(Reason::PacketReplayed);
        }
        self.wear.check()?;
        self.wear.count();
        self.window.mark(counter);
        self.next = counter.wrapping_add(1);
        body[SLOT..TAGS].fill(0);
        self.seal_at(counter, body);
        Ok(counter)
    }

    #[inline]
    fn seal_at(&mut self, counter: u64, body: &mut [u8]) {
        let (slot, rest) = body.split_at_mut(SLOT);
        slot.copy_from_slice(&self.aead.seal(nonce(&self.iv, counter), &[], rest));
    }

    /// Whether the circuit is due for renewal.
    pub fn worn(&self) -> bool {
        self.wear.worn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> DirectionKeys {
        DirectionKeys { key: [1; 32], iv: [2; 12], step: 3 }
    }

    #[test]
    fn a_key_asks_for_renewal_and_in_the_end_refuses() {
        let mut exit = BackwardHop::new(Suite::Aes128Gcm, &keys(), 5);
        let mut relay = BackwardHop::new(Suite::Aes128Gcm, &keys(), 5);
        let mut forward = ForwardHop::new(Suite::Aes128Gcm, &keys());
        let mut body = [0; 100];
        (exit.wear, relay.wear, forward.wear) = {
            let nearly = || Wear(WORN as u32 - 1);
            (nearly(), nearly(), nearly())
        };
        assert!(!exit.worn() && !relay.worn() && !forward.worn());
        assert_eq!((exit.origin(&mut body), relay.seal(0, &mut body)), (Ok(5), Ok(3)));
        assert_eq!(forward.open(0, &mut body), Err(Reason::PacketForged));
        assert!(exit.worn() && relay.worn() && forward.worn());
        (exit.wear, relay.wear, forward.wear) = {
            let out = || Wear(WORN_OUT as u32);
            (out(), out(), out())
        };
        assert_eq!((exit.origin(&mut body), relay.seal(1, &mut body)), (Err(Reason::KeyWorn), Err(Reason::KeyWorn)));
        assert_eq!(forward.open(1, &mut body), Err(Reason::KeyWorn));
    }

    #[test]
    fn an_idle_circuit_is_small() {
        // A relay may hold a circuit in 4 KiB altogether; what is here lies within the structures, nothing behind them.
        assert!(size_of::<ForwardHop>() + size_of::<BackwardHop>() <= 2048);
    }
}
