//! How a closure's error becomes the outcome of its attempt.

use crate::outcome::{Cause, OutcomeKind};
use crate::port::Refusal;
use crate::said::Said;

/// An attempt that did not succeed: its outcome, the system's code, and its message.
///
/// Errors of tokio-postgres, sqlx and async-nats convert into it by the same tables that scenarios use. A lost connection is
/// [`OutcomeKind::Unknown`]: what the closure had asked for may have taken effect.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}: {message} ({code})", kind.as_str())]
pub struct Refused {
    pub(super) kind: OutcomeKind,
    cause: Cause,
    code: String,
    message: Said,
}

impl Refused {
    /// A refusal with this outcome and code. A success is not a refusal, and becomes a crash.
    pub fn new(kind: OutcomeKind, code: impl Into<String>, message: impl Into<String>) -> Self {
        let kind = if kind == OutcomeKind::Success { OutcomeKind::Crash } else { kind };
        Refused { kind, cause: Cause::Server, code: code.into(), message: Said::new(message) }
    }

    /// Somebody else came first.
    pub fn conflict(message: impl Into<String>) -> Self {
        Refused::new(OutcomeKind::Conflict, "", message)
    }

    /// A rule said no.
    pub fn rejected(message: impl Into<String>) -> Self {
        Refused::new(OutcomeKind::Rejected, "", message)
    }

    /// Nobody knows whether it took effect.
    pub fn unknown(message: impl Into<String>) -> Self {
        Refused::new(OutcomeKind::Unknown, "", message)
    }

    /// Something that no race should bring about.
    pub fn crash(message: impl Into<String>) -> Self {
        Refused::new(OutcomeKind::Crash, "", message)
    }

    /// The same, with what brought it about.
    pub(super) fn because(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }

    /// Its outcome.
    pub fn kind(&self) -> OutcomeKind {
        self.kind
    }
}

impl From<Refused> for Refusal {
    fn from(Refused { kind, cause, code, message }: Refused) -> Self {
        Refusal { kind, cause, code, message }
    }
}

impl From<std::convert::Infallible> for Refused {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
