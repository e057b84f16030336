//! The client's side of the set-up.

use std::fmt;

use sha2::Sha256;
use wayfare_types::{NodeId, Random, Reason};
use wayfare_wire::{REPLY_BYTES, REPLY_SLOT, SETUP_BYTES, SETUP_SLOT, SLOTS, SizeClass};
use x25519_dalek::{PublicKey, StaticSecret};

use super::info::{INFO_BYTES, Info, Role};
use super::schedule::{ENC_BYTES, Exports, Rng, encapsulate, hop_keys, transcript};
use super::{OnionPublic, ladder};
use crate::cipher::TAG;
use crate::{ClientPath, HopKeys, Suite};

/// A hop as the client knows it from its descriptor.
#[derive(Clone, Debug)]
pub struct HopSpec {
    pub node: NodeId,
    pub onion_key: OnionPublic,
}

/// Why no set-up can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetupError {
    /// A path has 1 to [`SLOTS`] hops, not this many.
    Hops(usize),
    /// The onion key of the hop with this index is no key.
    OnionKey(usize),
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hops(n) => write!(f, "a path has 1 to {SLOTS} hops, not {n}"),
            Self::OnionKey(hop) => write!(f, "the onion key of hop {} is no X-Wing public key", hop + 1),
        }
    }
}

impl std::error::Error for SetupError {}

struct PendingHop {
    exports: Exports,
    enc: [u8; ENC_BYTES],
    ephemeral: StaticSecret,
    transcript: Sha256,
}

/// A set-up that waits for its reply. Dropping it forgets the circuit.
pub struct ClientSetup {
    hops: Vec<PendingHop>,
    suite: Suite,
    class: SizeClass,
    start: u64,
}

impl ClientSetup {
    /// Seals a set-up for the path `hops`, first hop first, the last being the exit.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn build(
        hops: &[HopSpec],
        suite: Suite,
        class: SizeClass,
        minute: u32,
        rng: &mut dyn Random,
    ) -> Result<(Self, Box<[u8; SETUP_BYTES]>), SetupError> {
        if !(1..=SLOTS).contains(&hops.len()) {
            return Err(SetupError::Hops(hops.len()));
        }
        let mut pending = Vec::with_capacity(hops.len());
        for (i, hop) in hops.iter().enumerate() {
            let (enc, exports) = encapsulate(&hop.onion_key, rng).ok_or(SetupError::OnionKey(i))?;
            let ephemeral = StaticSecret::random_from_rng(&mut Rng(rng));
            pending.push(PendingHop { exports, enc, ephemeral, transcript: Sha256::default() });
        }

        // What the exit decrypts to: its info, random slots, and what the hops append.
        let filler = ladder::filler(pending.iter().map(|h| &h.exports.setup), INFO_BYTES, SETUP_SLOT);
        let mut plain = vec![0; INFO_BYTES + SETUP_BYTES];
        let free = plain.len() - filler.len();
        rng.fill(&mut plain[INFO_BYTES..free]);
        plain[free..].copy_from_slice(&filler);

        let mut message = Box::new([0; SETUP_BYTES]);
        for (i, hop) in pending.iter_mut().enumerate().rev() {
            let role = hops.get(i + 1).map_or(Role::Exit, |next| Role::Relay { next: next.node });
            let client_ephemeral = PublicKey::from(&hop.ephemeral).to_bytes();
            plain[..INFO_BYTES].copy_from_slice(&Info { suite, class, role, client_ephemeral, minute }.to_bytes());
            let tag = ladder::seal(&hop.exports.setup, &hop.enc, &mut plain);
            debug_assert!(plain[SETUP_BYTES - ENC_BYTES - TAG..].iter().all(|&b| b == 0), "the slot the hop appends");
            message[..ENC_BYTES].copy_from_slice(&hop.enc);
            message[ENC_BYTES..ENC_BYTES + TAG].copy_from_slice(&tag);
            message[ENC_BYTES + TAG..].copy_from_slice(&plain[..SETUP_BYTES - ENC_BYTES - TAG]);
            hop.transcript = transcript(&message[..]);
            plain[INFO_BYTES..].copy_from_slice(&message[..]);
        }
        Ok((Self { hops: pending, suite, class, start: rng.next_u64() }, message))
    }

    /// The circuit, when the reply proves that every hop holds its onion key.
    ///
    /// # Errors
    /// [`Reason::ReplyForged`].
    pub fn complete(self, reply: &mut [u8; REPLY_BYTES]) -> Result<ClientPath, Reason> {
        let keys = self.open_reply(reply).ok_or(Reason::ReplyForged)?;
        ClientPath::new(&keys, self.start).ok_or(Reason::ReplyForged)
    }

    fn open_reply(&self, reply: &mut [u8; REPLY_BYTES]) -> Option<Vec<HopKeys>> {
        let reply_keys: Vec<&[u8; 32]> = self.hops.iter().map(|h| &h.exports.reply).collect();
        let dropped = ladder::dropped(&reply_keys, REPLY_SLOT - TAG, REPLY_SLOT);
        let mut keys = Vec::with_capacity(self.hops.len());
        for (i, hop) in self.hops.iter().enumerate() {
            let (tag, plain) = reply.split_first_chunk_mut::<TAG>()?;
            if !ladder::open(&hop.exports.reply, &[], tag, plain) {
                return None;
            }
            let hop_ephemeral = *plain.first_chunk::<32>()?;
            let shared = hop.ephemeral.diffie_hellman(&PublicKey::from(hop_ephemeral));
            if !shared.was_contributory() {
                return None;
            }
            let transcript = hop.transcript.clone();
            keys.push(hop_keys(&hop.exports, shared.as_bytes(), self.suite, self.class, transcript, &hop_ephemeral));
            if let Some(dropped) = dropped.get(i) {
                reply.copy_within(REPLY_SLOT.., 0);
                reply[REPLY_BYTES - REPLY_SLOT..].copy_from_slice(dropped);
            }
        }
        Some(keys)
    }
}
