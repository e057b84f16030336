//! Onion keys: a relay's medium-term X-Wing key pair (X25519 + ML-KEM-768), to which set-ups are sealed.

use std::fmt;

use hpke::kem::XWing;
use hpke::{Deserializable, Kem, Serializable};
use wayfare_types::Reason;
use zeroize::Zeroizing;

/// The public half, as it stands in a descriptor.
#[derive(Clone, PartialEq, Eq)]
pub struct OnionPublic(pub [u8; OnionPublic::BYTES]);

impl OnionPublic {
    pub const BYTES: usize = 1216;

    /// The key in these bytes, checked as FIPS 203 section 7.2 asks, so that whoever keeps it can seal to it.
    ///
    /// # Errors
    /// [`Reason::DescriptorMalformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Reason> {
        let public = bytes.try_into().map(Self).map_err(|_| Reason::DescriptorMalformed)?;
        public.decode().map(|_| public).ok_or(Reason::DescriptorMalformed)
    }

    pub(super) fn decode(&self) -> Option<<XWing as Kem>::PublicKey> {
        <XWing as Kem>::PublicKey::from_bytes(&self.0).ok()
    }
}

impl fmt::Debug for OnionPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// The secret half, kept as its seed and wiped when dropped: rotating it is what closes old set-ups.
pub struct OnionSecret(Zeroizing<[u8; 32]>);

impl OnionSecret {
    /// The key pair of a seed.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Zeroizing::new(seed))
    }

    /// The seed, for the key file.
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public half.
    pub fn public(&self) -> OnionPublic {
        let mut public = [0; OnionPublic::BYTES];
        XWing::sk_to_pk(&self.decode()).write_exact(&mut public);
        OnionPublic(public)
    }

    pub(super) fn decode(&self) -> <XWing as Kem>::PrivateKey {
        <XWing as Kem>::PrivateKey::from_bytes(&self.0[..]).expect("every 32 bytes are an X-Wing seed")
    }
}

impl fmt::Debug for OnionSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnionSecret")
    }
}
