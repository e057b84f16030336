//! A node is named by its Ed25519 public key; people and files see it as 64 lowercase hex digits.

use std::fmt;
use std::str::FromStr;

/// An Ed25519 public key (RFC 8032), 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub [u8; 32]);

/// Why a text is not a node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdError {
    /// Not 64 characters.
    Length(usize),
    /// A character that is no hex digit, and its index.
    Digit(usize),
}

impl fmt::Display for IdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(n) => write!(f, "a node id has 64 hex digits, this has {n} characters"),
            Self::Digit(at) => write!(f, "a node id has hex digits only, character {} is none", at + 1),
        }
    }
}

impl std::error::Error for IdError {}

impl FromStr for NodeId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(IdError::Length(text.chars().count()));
        }
        let mut id = [0; 32];
        for (i, byte) in id.iter_mut().enumerate() {
            let digit = |at: usize| (digits[at] as char).to_digit(16).ok_or(IdError::Digit(at));
            *byte = (digit(2 * i)? << 4 | digit(2 * i + 1)?) as u8;
        }
        Ok(Self(id))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4].iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips_and_bad_text_is_named() {
        let id = NodeId(std::array::from_fn(|i| (i * 7) as u8));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!("ab".parse::<NodeId>(), Err(IdError::Length(2)));
        assert_eq!(format!("{:0<63}x", "").parse::<NodeId>(), Err(IdError::Digit(63)));
        assert_eq!("é".repeat(32).parse::<NodeId>(), Err(IdError::Digit(0)));
    }
}
