//! The client's side of the set-up.

use std::fmt;

use sha2::Sha256;
use wayfare_types::{NodeId, Random, Reason};
use wayfare_wire::{REPLY_BYTES, SETUP_BYTES, SLOTS, SizeClass};
use x25519_dalek::{PublicKey, StaticSecret};

use super::OnionPublic;
use super::info::{Info, Role};
use super::schedule::{ENC_BYTES, Exports, Rng, encapsulate, hop_keys, transcript};
use super::slots::{self, Slot};
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

        let mut sealed = Vec::with_capacity(pending.len());
        for (i, hop) in pending.iter().enumerate() {
            let role = hops.get(i + 1).map_or(Role::Exit, |next| Role::Relay { next: next.node });
            let client_ephemeral = PublicKey::from(&hop.ephemeral).to_bytes();
            let info = Info { suite, class, role, client_ephemeral, minute }.to_bytes();
            sealed.push(Slot { enc: &hop.enc, key: &hop.exports.setup, info });
        }
        let mut messages = slots::seal_setup(&sealed, rng);
        for (hop, message) in pending.iter_mut().zip(&messages) {
            hop.transcript = transcript(&message[..]);
        }
        let message = messages.swap_remove(0);
        Ok((Self { hops: pending, suite, class, start: rng.next_u64() }, message))
    }

    /// By what the exit tells this set-up from others: see [`OpenedSetup::replay_tag`](super::OpenedSetup::replay_tag).
    pub fn exit_tag(&self) -> [u8; 16] {
        self.hops.last().map_or([0; 16], |hop| hop.exports.replay)
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
        let hop_ephemerals = slots::open_reply(&reply_keys, reply)?;
        let agree = |(hop, hop_ephemeral): (&PendingHop, [u8; 32])| {
            let shared = hop.ephemeral.diffie_hellman(&PublicKey::from(hop_ephemeral));
            if !shared.was_contributory() {
                return None;
            }
            let transcript = hop.transcript.clone();
            Some(hop_keys(&hop.exports, shared.as_bytes(), self.suite, self.class, transcript, &hop_ephemeral))
        };
        self.hops.iter().zip(hop_ephemerals).map(agree).collect()
    }
}
