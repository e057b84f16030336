//! What a caller is told when something it asked for did not happen.

use std::fmt;
use std::io::ErrorKind;

use wayfare_types::Reason;

/// A code that programs compare and a sentence that people read. The code is the name of a drop reason, or an `ErrorCode`
/// of ts/base/errors.ts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub text: String,
}

impl Failure {
    /// The node is closed, or was never started.
    pub const CLOSED: &'static str = "closed";
    /// A value the caller gave is not what the operation takes.
    pub const INVALID: &'static str = "argument_invalid";
    /// The operating system refused.
    pub const SYSTEM: &'static str = "native_failed";

    pub fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn closed() -> Self {
        Self::new(Self::CLOSED, "the node is closed; make another with createNode()")
    }

    pub(crate) fn unknown(what: &str, id: u32) -> Self {
        Self::new(Self::CLOSED, format!("there is no {what} {id} any more"))
    }

    /// From binding `address`.
    pub(crate) fn bind(address: &str, error: &std::io::Error) -> Self {
        let code = match error.kind() {
            ErrorKind::AddrInUse => {
                return Self::new("address_in_use", format!("{address} is taken by another program"));
            }
            ErrorKind::AddrNotAvailable => "address_unavailable",
            ErrorKind::PermissionDenied => "permission_denied",
            _ => Self::SYSTEM,
        };
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
