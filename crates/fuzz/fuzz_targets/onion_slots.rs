//! A set-up under keys that are agreed on: every hop opens exactly what was sealed to it, and nothing that was changed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wayfare_onion::setup::parts::{ENC_BYTES, INFO_BYTES, Slot, open_setup, seal_setup};
use wayfare_types::Random;
use wayfare_wire::{SETUP_BYTES, SLOTS};

struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(113);
            *byte = self.0;
        }
    }
}

const fn key(hop: usize) -> [u8; 32] {
    [hop as u8 + 1; 32]
}

const fn info(hop: usize) -> [u8; INFO_BYTES] {
    [hop as u8 + 101; INFO_BYTES]
}

/// For paths of one hop to as many as there are, the set-up as each hop is to receive it.
static SEALED: LazyLock<Vec<Vec<Box<[u8; SETUP_BYTES]>>>> = LazyLock::new(|| {
    let encs: Vec<_> = (0..SLOTS).map(|hop| [hop as u8 + 201; ENC_BYTES]).collect();
    let keys: Vec<_> = (0..SLOTS).map(key).collect();
    let slot = |hop: usize| Slot { enc: &encs[hop], key: &keys[hop], info: info(hop) };
    (1..=SLOTS).map(|hops| seal_setup(&(0..hops).map(slot).collect::<Vec<_>>(), &mut Counting(1))).collect()
});

/// A byte changed on the way to a hop.
type Change = (u8, u16, u8);

fuzz_target!(|input: (u8, Vec<Change>)| {
    let (hops, changes) = input;
    let sealed = &SEALED[usize::from(hops) % SLOTS];
    let mut message = sealed[0].clone();
    for (hop, expected) in sealed.iter().enumerate() {
        for &(_, at, change) in changes.iter().filter(|&&(to, ..)| usize::from(to) % SLOTS == hop) {
            message[usize::from(at) % SETUP_BYTES] ^= change;
        }
        let opened = open_setup(&key(hop), &message);
        assert_eq!(opened.is_some(), message == *expected);
        let Some((read, next)) = opened else { return };
        assert_eq!(read, info(hop));
        message = next;
    }
    // What the exit would send on was sealed to nobody: there is no hop behind it, whoever it asks.
    assert!((0..=SLOTS).all(|hop| open_setup(&key(hop), &message).is_none()));
});
