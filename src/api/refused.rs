//! How a closure's error becomes the outcome of its attempt.

use crate::driver::jetstream::api_code;
use crate::driver::postgres::sqlstate::{self, Meaning, was_never_made};
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

    fn of_sqlstate(code: &str, message: &str) -> Self {
        let (kind, cause) = match sqlstate::meaning(code) {
            Meaning::Outcome(kind) => (kind, Cause::Server),
            Meaning::ConnectionLost if was_never_made(code) => (OutcomeKind::Disconnected, Cause::ConnectionLost),
            Meaning::ConnectionLost => (OutcomeKind::Unknown, Cause::ConnectionLost),
        };
        Refused::new(kind, code, message).because(cause)
    }
}

impl From<Refused> for Refusal {
    fn from(Refused { kind, cause, code, message }: Refused) -> Self {
        Refusal { kind, cause, code, message }
    }
}

/// The connection is gone, and nobody knows what it took with it.
fn lost(error: &dyn std::error::Error) -> Refused {
    Refused::new(OutcomeKind::Unknown, "connection-lost", chain(error)).because(Cause::ConnectionLost)
}

/// What an error says with all its causes: drivers keep the reason in the last one.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => Refused::of_sqlstate(refusal.code().code(), refusal.message()),
            None if error.is_closed() => lost(&error),
            None => Refused::crash(chain(&error)),
        }
    }
}

impl From<sqlx::Error> for Refused {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(refusal) => {
                let code = refusal.code().unwrap_or_default();
                // SQLite's codes are numbers without leading letters or five digits; SQLSTATEs have five characters.
                if code.len() == 5 {
                    Refused::of_sqlstate(&code, refusal.message())
                } else {
                    let kind = crate::driver::event_store::sqlite_code::classify(&code);
                    Refused::new(kind, code, refusal.message())
                }
            }
            sqlx::Error::PoolTimedOut => {
                Refused::new(OutcomeKind::Timeout, "pool-timed-out", error.to_string()).because(Cause::Deadline)
            }
            sqlx::Error::Io(_) => lost(&error),
            sqlx::Error::RowNotFound => Refused::rejected(error.to_string()),
            _ => Refused::crash(chain(&error)),
        }
    }
}

impl From<async_nats::jetstream::context::PublishError> for Refused {
    fn from(error: async_nats::jetstream::context::PublishError) -> Self {
        use async_nats::jetstream::context::PublishErrorKind;
        let api = std::iter::successors(std::error::Error::source(&error), |error| error.source())
            .find_map(|source| source.downcast_ref::<async_nats::jetstream::Error>());
        if let Some(api) = api {
            let code = api.error_code().0;
            let kind = api_code::classify(code).unwrap_or(OutcomeKind::Crash);
            return Refused::new(kind, code.to_string(), chain(&error));
        }
        match error.kind() {
            PublishErrorKind::WrongLastSequence => {
                Refused::new(OutcomeKind::Conflict, api_code::WRONG_LAST_SEQUENCE.to_string(), chain(&error))
            }
            PublishErrorKind::StreamNotFound => Refused::crash(chain(&error)),
            _ => Refused::new(OutcomeKind::Unknown, "no-ack", chain(&error)).because(Cause::Deadline),
        }
    }
}

impl From<std::convert::Infallible> for Refused {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}
