//! What errors of the drivers' crates are: by the same tables that scenarios use.

use super::refused::Refused;
#[cfg(feature = "jetstream")]
use crate::driver::jetstream::api_code;
#[cfg(feature = "postgres")]
use crate::driver::postgres::sqlstate::{self, Meaning, was_never_made};
use crate::outcome::{Cause, OutcomeKind};

#[cfg(feature = "postgres")]
impl Refused {
    fn of_sqlstate(code: &str, message: &str) -> Self {
        let (kind, cause) = match sqlstate::meaning(code) {
            Meaning::Outcome(kind) => (kind, Cause::Server),
            Meaning::ConnectionLost if was_never_made(code) => (OutcomeKind::Disconnected, Cause::ConnectionLost),
            Meaning::ConnectionLost => (OutcomeKind::Unknown, Cause::ConnectionLost),
        };
        Refused::new(kind, code, message).because(cause)
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

#[cfg(feature = "postgres")]
impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(refusal) => Refused::of_sqlstate(refusal.code().code(), refusal.message()),
            None if error.is_closed() => lost(&error),
            None => Refused::crash(chain(&error)),
        }
    }
}

#[cfg(feature = "event-store")]
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

#[cfg(feature = "jetstream")]
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
