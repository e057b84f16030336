//! User name and password of a proxy that is not open to everyone who can reach it (RFC 1929, RFC 7617).
//!
//! Invariant: the comparison takes the same time whatever was sent, and the password is wiped when dropped.

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// RFC 1929 gives lengths one byte.
const LEN_MAX: usize = 255;

/// What a client has to present. Its `Debug` shows nothing of it.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// Why credentials cannot be used with both proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// User name or password is empty or longer than 255 bytes, which SOCKS5 cannot carry.
    Length,
    /// A colon in the user name, which HTTP cannot carry.
    Colon,
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a proxy's user name and password have 1 to 255 bytes each",
            Self::Colon => "a proxy's user name has no colon",
        })
    }
}

impl std::error::Error for CredentialsError {}

impl Credentials {
    pub fn new(user: &str, password: &str) -> Result<Self, CredentialsError> {
        if [user, password].iter().any(|text| text.is_empty() || text.len() > LEN_MAX) {
            return Err(CredentialsError::Length);
        }
        if user.contains(':') {
            return Err(CredentialsError::Colon);
        }
        Ok(Self { user: user.into(), password: password.into() })
    }

    /// Whether these are the ones.
    pub fn matches(&self, user: &[u8], password: &[u8]) -> bool {
        bool::from(equal(&self.user, user) & equal(&self.password, password))
    }
}

/// Compares all of a fixed size, so that not even a length shows.
fn equal(ours: &[u8], theirs: &[u8]) -> subtle::Choice {
    let padded = |text: &[u8]| -> [u8; LEN_MAX] { std::array::from_fn(|i| text.get(i).copied().unwrap_or(0)) };
    padded(ours).ct_eq(&padded(theirs)) & (ours.len() as u64).ct_eq(&(theirs.len() as u64))
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(..)")
    }
}

/// One text for a pair, different for different pairs.
pub(crate) fn isolation(user: &[u8], password: &[u8]) -> String {
    let mut text = String::with_capacity(user.len() + password.len() + 1);
    percent_encode(user, &mut text);
    text.push(':');
    percent_encode(password, &mut text);
    text
}

fn percent_encode(bytes: &[u8], text: &mut String) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_pair_matches() {
        let ours = Credentials::new("ann", "pass:word").unwrap();
        assert!(ours.matches(b"ann", b"pass:word"));
        for (user, password) in [
            ("", ""),
            ("ann", ""),
            ("ann", "pass:wor"),
            ("ann", "pass:word\0"),
            ("Ann", "pass:word"),
            ("pass:word", "ann"),
        ] {
            assert!(!ours.matches(user.as_bytes(), password.as_bytes()), "{user} {password}");
        }
        assert!(!ours.matches(b"ann", &[b'p'; 4096]));
        let longest = Credentials::new(&"u".repeat(255), &"p".repeat(255)).unwrap();
        assert!(longest.matches(&[b'u'; 255], &[b'p'; 255]));
        assert!(!longest.matches(&[b'u'; 255], &[b'p'; 256]));
    }

    #[test]
    fn what_a_protocol_cannot_carry_is_refused_and_nothing_is_shown() {
        assert_eq!(Credentials::new("", "x").unwrap_err(), CredentialsError::Length);
        assert_eq!(Credentials::new("x", &"p".repeat(256)).unwrap_err(), CredentialsError::Length);
        assert_eq!(Credentials::new("a:b", "x").unwrap_err(), CredentialsError::Colon);
        assert!(!format!("{:?}", Credentials::new("ann", "secret").unwrap()).contains("secret"));
    }

    #[test]
    fn isolation_tells_all_pairs_apart() {
        let pairs: [(&[u8], &[u8]); 6] =
            [(b"a", b"b:c"), (b"a:b", b"c"), (b"a%3Ab", b"c"), (b"", b"a:b:c"), (b"\xff", b""), (b"%FF", b"")];
        let tokens: std::collections::HashSet<_> = pairs.iter().map(|(u, p)| isolation(u, p)).collect();
        assert_eq!(tokens.len(), pairs.len());
    }
}
