//! Whole set-ups and replies that were changed on the way open nothing; nothing panics.
//!
//! Each runs a hybrid key encapsulation: some hundred a second. What comes after that is in `onion_slots`, `onion_info`,
//! `onion_cache` and `onion_reply`; only here are encapsulations that were changed, and the parts together.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wayfare_onion::{ClientSetup, HopSpec, OnionSecret, Suite, open_setup};
use wayfare_types::{NodeId, Random};
use wayfare_wire::{SETUP_BYTES, SizeClass};

struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(113);
            *byte = self.0;
        }
    }
}

/// The same each time, so that it need be sealed only once; and again where its reply is looked at.
fn build() -> (ClientSetup, Box<[u8; SETUP_BYTES]>) {
    let path = [HopSpec { node: NodeId([1; 32]), onion_key: OnionSecret::from_seed([7; 32]).public() }];
    let built = ClientSetup::build(&path, Suite::Aes128Gcm, SizeClass::M, 100, &mut Counting(1));
    built.unwrap_or_else(|_| unreachable!("one hop with a sound key"))
}

static MESSAGE: LazyLock<(OnionSecret, Box<[u8; SETUP_BYTES]>)> =
    LazyLock::new(|| (OnionSecret::from_seed([7; 32]), build().1));

fuzz_target!(|input: (u32, Vec<(u16, u8)>, Vec<(u8, u8)>)| {
    let (now_minute, setup_changes, reply_changes) = input;
    let (secret, message) = &*MESSAGE;
    let mut rng = Counting(1);
    let mut changed = message.clone();
    setup_changes.iter().for_each(|&(at, change)| changed[usize::from(at) % SETUP_BYTES] ^= change);
    let opened = open_setup(&[secret], &changed, now_minute, 0, &mut rng);
    assert_eq!(opened.is_ok(), changed == *message && (97..=103).contains(&now_minute));
    if let Ok(opened) = opened {
        let reply = opened.reply.origin();
        let mut changed = reply;
        reply_changes.iter().for_each(|&(at, change)| changed[usize::from(at) % 240] ^= change);
        assert_eq!(build().0.complete(&mut changed.clone()).is_ok(), changed == reply);
    }
});
