//! What a caller is told when a call did not do what it says.

use std::fmt;

use wayfare_types::Reason;

/// A code that programs compare and a sentence that people read, in one text: `code: text`. The code is the name of a drop
/// reason, or an `ErrorCode` of ts/base/errors.ts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub code: &'static str,
    pub text: String,
}

impl Failure {
    /// A value the caller gave is not what the call takes.
    pub const INVALID: &'static str = "argument_invalid";
    /// The engine is closed.
    pub const CLOSED: &'static str = "closed";
    /// The machine below gave not what is needed.
    pub const SYSTEM: &'static str = "native_failed";

    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self { code: Self::INVALID, text: text.into() }
    }

    pub(crate) fn closed() -> Self {
        Self { code: Self::CLOSED, text: "the engine is closed; make another".into() }
    }
}

impl From<Reason> for Failure {
    fn from(reason: Reason) -> Self {
        Self { code: reason.name(), text: reason.name().replace('_', " ") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl std::error::Error for Failure {}
