//! A hop's side of the set-up.

use std::fmt;

use wayfare_types::{Random, Reason};
use wayfare_wire::{REPLY_BYTES, REPLY_SLOT, SETUP_BYTES, SizeClass};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::info::{Info, Role};
use super::schedule::{ENC_BYTES, Rng, decapsulate, hop_keys, transcript};
use super::{OnionSecret, VERSION, slots};
use crate::{HopKeys, Suite};

/// A set-up as its hop reads it.
pub struct OpenedSetup {
    pub version: u8,
    pub suite: Suite,
    pub class: SizeClass,
    pub role: Role,
    pub minute: u32,
    /// For the [`ReplayCache`](super::ReplayCache), with the minute. It must be asked, and have written, before anything
    /// of this set-up is used.
    pub replay_tag: [u8; 16],
    pub keys: HopKeys,
    pub reply: ReplyKey,
    /// What a relay sends on.
    pub next_message: Box<[u8; SETUP_BYTES]>,
}

impl fmt::Debug for OpenedSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenedSetup({:?}, {:?})", self.suite, self.class)
    }
}

/// Opens a set-up with the first of `secrets` that fits: the current onion key and, while it is valid, the one before.
/// `oldest_minute` is the floor of the replay cache.
///
/// # Errors
/// [`Reason::SetupSealed`], [`Reason::SetupVersion`], [`Reason::SetupSuite`], [`Reason::SetupMalformed`],
/// [`Reason::SetupStale`].
pub fn open_setup(
    secrets: &[&OnionSecret],
    message: &[u8; SETUP_BYTES],
    now_minute: u32,
    oldest_minute: u32,
    rng: &mut dyn Random,
) -> Result<OpenedSetup, Reason> {
    let open = |secret: &&OnionSecret| {
        let exports = decapsulate(secret, &message[..ENC_BYTES])?;
        let (info, next_message) = slots::open_setup(&exports.setup, message)?;
        Some((exports, info, next_message))
    };
    let (exports, info, next_message) = secrets.iter().find_map(open).ok_or(Reason::SetupSealed)?;
    let info = Info::parse(&info)?;
    info.check_minute(now_minute, oldest_minute)?;
    let Info { suite, class, role, client_ephemeral, minute } = info;
    let secret = StaticSecret::random_from_rng(&mut Rng(rng));
    let ephemeral = PublicKey::from(&secret).to_bytes();
    let shared = secret.diffie_hellman(&PublicKey::from(client_ephemeral));
    if !shared.was_contributory() {
        return Err(Reason::SetupMalformed);
    }
    let keys = hop_keys(&exports, shared.as_bytes(), suite, class, transcript(message), &ephemeral);
    Ok(OpenedSetup {
        version: VERSION,
        suite,
        class,
        role,
        minute,
        replay_tag: exports.replay,
        keys,
        reply: ReplyKey { key: exports.reply, ephemeral },
        next_message,
    })
}

/// What seals a hop's part of the reply. It is used up by that: its nonce is fixed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct ReplyKey {
    key: [u8; 32],
    ephemeral: [u8; 32],
}

impl ReplyKey {
    /// Exit: begins the reply.
    pub fn origin(self) -> [u8; REPLY_BYTES] {
        slots::seal_reply(&self.key, &self.ephemeral, &[0; REPLY_BYTES - REPLY_SLOT])
    }

    /// Relay: puts this hop's slot in front of a reply on its way back.
    pub fn wrap(self, reply: &mut [u8; REPLY_BYTES]) {
        let slots = reply.first_chunk().expect("a reply has more than one slot");
        *reply = slots::seal_reply(&self.key, &self.ephemeral, slots);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::schedule::encapsulate;
    use crate::setup::slots::Slot;

    struct Counting(u8);

    impl Random for Counting {
        fn fill(&mut self, out: &mut [u8]) {
            out.iter_mut().for_each(|byte| {
                self.0 = self.0.wrapping_mul(5).wrapping_add(113);
                *byte = self.0;
            });
        }
    }

    /// A set-up for one hop, whose client shows this ephemeral key.
    fn message(secret: &OnionSecret, client_ephemeral: [u8; 32]) -> Box<[u8; SETUP_BYTES]> {
        let (enc, exports) = encapsulate(&secret.public(), &mut Counting(1)).unwrap();
        let info = Info { suite: Suite::Aes128Gcm, class: SizeClass::M, role: Role::Exit, client_ephemeral, minute: 9 };
        let slot = Slot { enc: &enc, key: &exports.setup, info: info.to_bytes() };
        slots::seal_setup(&[slot], &mut Counting(3)).remove(0)
    }

    /// Points of small order (RFC 7748, section 6.1) give a secret that everyone knows.
    #[test]
    fn an_ephemeral_key_that_contributes_nothing_is_refused() {
        let secret = OnionSecret::from_seed([5; 32]);
        let open = |ephemeral| open_setup(&[&secret], &message(&secret, ephemeral), 9, 0, &mut Counting(2)).map(|_| ());
        assert_eq!(open([9; 32]), Ok(()));
        let mut one = [0; 32];
        one[0] = 1;
        assert_eq!(open([0; 32]), Err(Reason::SetupMalformed));
        assert_eq!(open(one), Err(Reason::SetupMalformed));
    }
}
