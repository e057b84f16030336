//! Equal states have equal digests, on every host.

use std::hash::{Hash, Hasher};

use wayfare_types::Reason;

use crate::ledger::Ledger;

/// FNV-1a over words of 64 bits, mixed: no defence against anybody, and the same for any width of pointers.
struct Words(u64);

impl Hasher for Words {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(word.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.write_u64(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(word.into());
    }

    fn write_u128(&mut self, word: u128) {
        self.write_u64(word as u64);
        self.write_u64((word >> 64) as u64);
    }

    fn write_i128(&mut self, word: i128) {
        self.write_u128(word as u128);
    }

    fn write_i64(&mut self, word: i64) {
        self.write_u64(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as i64 as u64);
    }
}

impl Ledger {
    /// Of everything that what happens next depends on, and all that was counted.
    pub fn digest(&self) -> u64 {
        let mut words = Words(0);
        let Self { config, accounts, connections, free, live, totals, tallies, .. } = self;
        (config, accounts, free, live, totals, tallies).hash(&mut words);
        words.write_usize(connections.len());
        for connection in connections {
            connection.hash(&mut words);
        }
        (self.settled_us, self.valued_us, self.weighed_us, self.seed, self.opened).hash(&mut words);
        for &reason in Reason::ALL {
            words.write_u64(self.counters.get(reason));
        }
        words.finish()
    }
}
