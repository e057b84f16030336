//! What a caller is told when something it asked for did not happen.

use std::fmt;

use wayfare_types::Reason;

/// A code that programs compare and a sentence that people read. The code is the name of a drop reason, or one of the
/// constants here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub text: String,
}

impl Failure {
    /// The node is closed, or was never started.
    pub const CLOSED: &'static str = "closed";
    /// A value the caller gave is not what the operation takes.
    pub const INVALID: &'static str = "invalid_argument";
    /// The address is taken by another program.
    pub const TAKEN: &'static str = "address_in_use";
    /// The operating system refused.
    pub const SYSTEM: &'static str = "system";
    /// An id that names nothing (any more).
    pub const UNKNOWN: &'static str = "not_found";

    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn closed() -> Self {
        Self::new(Self::CLOSED, "the node is closed; make another with createNode()")
    }

    pub(crate) fn unknown(what: &str, id: u32) -> Self {
        Self::new(Self::UNKNOWN, format!("there is no {what} {id}"))
    }

    /// From binding `address`.
    pub(crate) fn bind(address: &str, error: &std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::AddrInUse { Self::TAKEN } else { Self::SYSTEM };
        Self::new(code, format!("cannot listen on {address}: {error}"))
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self::new(reason.name(), reason.name().replace('_', " "))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl std::error::Error for Failure {}
