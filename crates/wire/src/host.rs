//! A host as an application names it: a DNS name or an address in text, checked before anyone acts on it.
//!
//! Invariant: 1 to 255 printable ASCII characters without white space, so that it can be emitted behind a length byte
//! and logged or compared without surprises. International names travel in their ASCII form (RFC 5890). Whether it may
//! be dialled is the exit policy's question, not asked here.

use std::fmt;

use wayfare_types::Reason;

/// A checked host text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host(Box<str>);

impl Host {
    /// The longest host text in bytes.
    pub const MAX: usize = 255;

    /// Checks a text.
    ///
    /// # Errors
    /// [`Reason::RequestMalformed`] for an empty or over-long text or one with characters no host has.
    pub fn new(text: &str) -> Result<Self, Reason> {
        Self::from_bytes(text.as_bytes())
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Reason> {
        let sound = (1..=Self::MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        match std::str::from_utf8(bytes) {
            Ok(text) if sound => Ok(Self(text.into())),
            _ => Err(Reason::RequestMalformed),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn emit(&self, out: &mut Vec<u8>) {
        out.push(self.0.len() as u8);
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
