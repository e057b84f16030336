//! Set-ups and replies that were changed on the way open nothing; nothing panics.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wayfare_onion::{ClientSetup, HopSpec, OnionPublic, OnionSecret, Suite, open_setup};
use wayfare_types::{NodeId, Random};
use wayfare_wire::SizeClass;

struct Counting(u8);

impl Random for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_mul(5).wrapping_add(113);
            *byte = self.0;
        }
    }
}

static HOP: LazyLock<(OnionSecret, OnionPublic)> = LazyLock::new(|| {
    let secret = OnionSecret::from_seed([7; 32]);
    let public = secret.public();
    (secret, public)
});

fuzz_target!(|input: (u32, Vec<(u16, u8)>, Vec<(u8, u8)>)| {
    let (now_minute, setup_changes, reply_changes) = input;
    let (secret, public) = &*HOP;
    let mut rng = Counting(1);
    let path = [HopSpec { node: NodeId([1; 32]), onion_key: public.clone() }];
    let Ok((pending, message)) = ClientSetup::build(&path, Suite::Aes128Gcm, SizeClass::M, 100, &mut rng) else {
        unreachable!("one hop with a sound key")
    };
    let mut changed = message.clone();
    setup_changes.iter().for_each(|&(at, change)| changed[usize::from(at) % 6240] ^= change);
    let opened = open_setup(&[secret], &changed, now_minute, 0, &mut rng);
    assert_eq!(opened.is_ok(), changed == message && (97..=103).contains(&now_minute));
    if let Ok(opened) = opened {
        let reply = opened.reply.origin();
        let mut changed = reply;
        reply_changes.iter().for_each(|&(at, change)| changed[usize::from(at) % 240] ^= change);
        assert_eq!(pending.complete(&mut changed.clone()).is_ok(), changed == reply);
    }
});
