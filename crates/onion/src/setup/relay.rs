//! A hop's side of the set-up.

use std::fmt;

use wayfare_types::{Random, Reason};
use wayfare_wire::{REPLY_BYTES, REPLY_SLOT, SETUP_BYTES, SETUP_SLOT, SizeClass};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::info::{INFO_BYTES, Info, MINUTES, Role};
use super::schedule::{ENC_BYTES, Exports, Rng, decapsulate, hop_keys, transcript};
use super::{OnionSecret, VERSION, ladder};
use crate::cipher::TAG;
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
    let (exports, plain) = secrets.iter().find_map(|s| open_slot(s, message)).ok_or(Reason::SetupSealed)?;
    let (info, next) = plain.split_first_chunk::<INFO_BYTES>().ok_or(Reason::SetupMalformed)?;
    let Info { suite, class, role, client_ephemeral, minute } = Info::parse(info)?;
    if minute.abs_diff(now_minute) > MINUTES || minute < oldest_minute {
        return Err(Reason::SetupStale);
    }
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
        next_message: Box::<[u8]>::from(next).try_into().map_err(|_| Reason::SetupMalformed)?,
    })
}

fn open_slot(secret: &OnionSecret, message: &[u8; SETUP_BYTES]) -> Option<(Exports, Vec<u8>)> {
    let (enc, rest) = message.split_at(ENC_BYTES);
    let (tag, sealed) = rest.split_first_chunk::<TAG>()?;
    let exports = decapsulate(secret, enc)?;
    let mut plain = Vec::with_capacity(sealed.len() + SETUP_SLOT);
    plain.extend_from_slice(sealed);
    plain.resize(sealed.len() + SETUP_SLOT, 0);
    ladder::open(&exports.setup, enc, tag, &mut plain).then_some((exports, plain))
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
        self.seal(&[0; REPLY_BYTES - REPLY_SLOT])
    }

    /// Relay: puts this hop's slot in front of a reply on its way back.
    pub fn wrap(self, reply: &mut [u8; REPLY_BYTES]) {
        *reply = self.seal(&reply[..REPLY_BYTES - REPLY_SLOT]);
    }

    fn seal(&self, slots: &[u8]) -> [u8; REPLY_BYTES] {
        let mut out = [0; REPLY_BYTES];
        let (tag, rest) = out.split_at_mut(TAG);
        rest[..32].copy_from_slice(&self.ephemeral);
        rest[32..].copy_from_slice(slots);
        tag.copy_from_slice(&ladder::seal(&self.key, &[], rest));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::schedule::encapsulate;
    use wayfare_wire::SETUP_BYTES;

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
    fn message(secret: &OnionSecret, client_ephemeral: [u8; 32]) -> [u8; SETUP_BYTES] {
        let (enc, exports) = encapsulate(&secret.public(), &mut Counting(1)).unwrap();
        let info = Info { suite: Suite::Aes128Gcm, class: SizeClass::M, role: Role::Exit, client_ephemeral, minute: 9 };
        let mut plain = vec![0; SETUP_BYTES - ENC_BYTES - TAG];
        plain[..INFO_BYTES].copy_from_slice(&info.to_bytes());
        // What the hop appends decrypts to its keystream; it is authenticated, so it is computed as the hop will.
        let mut whole = plain.clone();
        whole.extend_from_slice(&ladder::filler([&exports.setup].into_iter(), INFO_BYTES, SETUP_SLOT));
        let tag = ladder::seal(&exports.setup, &enc, &mut whole);
        let mut message = [0; SETUP_BYTES];
        message[..ENC_BYTES].copy_from_slice(&enc);
        message[ENC_BYTES..ENC_BYTES + TAG].copy_from_slice(&tag);
        message[ENC_BYTES + TAG..].copy_from_slice(&whole[..SETUP_BYTES - ENC_BYTES - TAG]);
        message
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
