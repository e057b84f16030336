//! From encapsulation and ephemerals to the keys of a hop.

use hkdf::Hkdf;
use hpke::aead::ExportOnlyAead;
use hpke::kdf::HkdfSha256;
use hpke::kem::XWing;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender_with_rng};
use sha2::{Digest, Sha256};
use wayfare_types::Random;
use wayfare_wire::SizeClass;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::{OnionPublic, OnionSecret, VERSION};
use crate::{DirectionKeys, HopKeys, Suite};

pub const ENC_BYTES: usize = 1120;
/// HPKE's info: what the encapsulation is for, apart from anything else sealed to the same key.
const PURPOSE: &[u8] = b"wayfare set-up";

/// What HPKE exports to both sides.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Exports {
    /// Seals the slot.
    pub(super) setup: [u8; 32],
    /// Seals the slot of the reply, once.
    pub(super) reply: [u8; 32],
    /// Salts the circuit's keys.
    keys: [u8; 32],
    /// Names the set-up in the replay cache, telling nothing about it.
    pub(super) replay: [u8; 16],
}

impl Exports {
    fn new(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>) -> Result<Self, HpkeError> {
        let mut out = Self { setup: [0; 32], reply: [0; 32], keys: [0; 32], replay: [0; 16] };
        export(b"setup", &mut out.setup)?;
        export(b"reply", &mut out.reply)?;
        export(b"keys", &mut out.keys)?;
        export(b"replay", &mut out.replay)?;
        Ok(out)
    }
}

/// Client: a fresh encapsulation to `public`; `None` when that is no key.
pub(super) fn encapsulate(public: &OnionPublic, rng: &mut dyn Random) -> Option<([u8; ENC_BYTES], Exports)> {
    let public = public.decode()?;
    let mode = OpModeS::<XWing>::Base;
    let (enc, context) =
        setup_sender_with_rng::<ExportOnlyAead, HkdfSha256, XWing>(&mode, &public, PURPOSE, &mut Rng(rng)).ok()?;
    let mut bytes = [0; ENC_BYTES];
    enc.write_exact(&mut bytes);
    Some((bytes, Exports::new(|label, out| context.export(label, out)).ok()?))
}

/// Hop: what `enc` encapsulates. ML-KEM rejects implicitly, so a wrong one gives exports that open nothing.
pub(super) fn decapsulate(secret: &OnionSecret, enc: &[u8]) -> Option<Exports> {
    let enc = <XWing as Kem>::EncappedKey::from_bytes(enc).ok()?;
    let mode = OpModeR::<XWing>::Base;
    let context = setup_receiver::<ExportOnlyAead, HkdfSha256, XWing>(&mode, &secret.decode(), &enc, PURPOSE).ok()?;
    Exports::new(|label, out| context.export(label, out)).ok()
}

/// Begins the transcript with the set-up as the hop receives it.
pub(super) fn transcript(message: &[u8]) -> Sha256 {
    Sha256::new_with_prefix(message)
}

/// The circuit's keys at one hop. `shared` is X25519 of the two ephemerals.
pub(super) fn hop_keys(
    exports: &Exports,
    shared: &[u8; 32],
    suite: Suite,
    class: SizeClass,
    transcript: Sha256,
    hop_ephemeral: &[u8; 32],
) -> HopKeys {
    let mut info = [0; 35];
    info[..3].copy_from_slice(&[VERSION, suite.code(), class.code()]);
    info[3..].copy_from_slice(&transcript.chain_update(hop_ephemeral).finalize());
    let mut okm = Zeroizing::new([0; 2 * 52 + 8]);
    let hkdf = Hkdf::<Sha256>::new(Some(&exports.keys), shared);
    hkdf.expand(&info, &mut okm[..]).expect("far below 255 hashes");
    let (forward, rest) = okm.split_at(52);
    let (backward, start) = rest.split_at(52);
    HopKeys { suite, forward: direction(forward), backward: direction(backward), backward_start: number(start) }
}

fn direction(okm: &[u8]) -> DirectionKeys {
    let mut keys = DirectionKeys { key: [0; 32], iv: [0; 12], step: number(&okm[44..]) };
    keys.key.copy_from_slice(&okm[..32]);
    keys.iv.copy_from_slice(&okm[32..44]);
    keys
}

fn number(bytes: &[u8]) -> u64 {
    let mut out = [0; 8];
    out.copy_from_slice(bytes);
    u64::from_be_bytes(out)
}

/// The handed-in randomness, as the cryptographic crates want it.
pub(super) struct Rng<'a>(pub(super) &'a mut dyn Random);

impl TryRng for Rng<'_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(self.0.next_u64() as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        self.0.fill(out);
        Ok(())
    }
}

impl TryCryptoRng for Rng<'_> {}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
