//! What an operation of the store ends with when it has no answer to give.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use crate::said::Said;

/// A server that answered "no", for a reason that is not a version conflict.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Refusal {
    /// The SQLSTATE, SQLite's extended result code as decimal text (`2067`), or JetStream's API
    /// error code (`10054`).
    pub code: String,
    /// The server's own words.
    pub message: Said,
}

/// Why no reply came.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub enum Silence {
    /// Our own deadline passed.
    Deadline(Duration),
    /// The connection was lost; the driver's words.
    Lost(Said),
    /// The server is there, and what should have answered is not: nobody took the request.
    Unanswered(Said),
}

/// Why an operation has no result. `doing` reads like "appending version 3 of `order-1`".
#[derive(Clone, Debug, thiserror::Error)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub enum StoreError {
    /// The server answered, and refused. Appends answer [`Appended::Refused`](super::Appended) instead.
    #[error("{doing}: refused by the server: {refusal}")]
    Refused {
        /// What was being done.
        doing: String,
        /// What the server said.
        refusal: Refusal,
    },

    /// No reply came.
    #[error("{doing}: {silence}; {}", if *sent { "a write had been sent, so its effect is not known" } else { "no write had been sent" })]
    NoReply {
        /// What was being done.
        doing: String,
        /// Whether a write had been handed to the connection, so that it may have taken effect.
        sent: bool,
        /// Why there was no reply.
        silence: Silence,
    },

    /// What is stored is not what the store writes: the latest message is not an event, so that it
    /// has no version, or a snapshot is none. [`Lookup::Scan`](super::Lookup) passes over such events.
    #[error("{doing}: what is stored is malformed: {reason}")]
    Malformed {
        /// What was being done.
        doing: String,
        /// What is wrong with it, and where.
        reason: String,
    },

    /// There is no store where one was expected: no stream, no tables, no JetStream.
    #[error("{doing}: {found}; {remedy}")]
    Environment {
        /// What was being done.
        doing: String,
        /// What was found instead of the store.
        found: String,
        /// What to do about it.
        remedy: String,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deadline(deadline) => write!(f, "no reply within {deadline:?}"),
            Self::Lost(why) => write!(f, "connection lost: {why}"),
            Self::Unanswered(why) => write!(f, "nobody took the request: {why}"),
        }
    }
}

/// What is being done: the words for errors, and whether a write is in flight.
#[derive(Clone, Debug)]
pub(super) struct Doing {
    pub(super) what: String,
    pub(super) sent: bool,
}

impl Doing {
    /// A read, or a write that has not been sent.
    pub(super) fn read(what: impl Into<String>) -> Self {
        Self { what: what.into(), sent: false }
    }

    /// A write that has been, or may have been, handed to the connection.
    pub(super) fn write(what: impl Into<String>) -> Self {
        Self { what: what.into(), sent: true }
    }

    /// Waits for a future, at most until the deadline.
    pub(super) async fn within<T>(&self, deadline: Duration, future: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::time::timeout(deadline, future).await.map_err(|_| self.late(deadline))
    }

    pub(super) fn late(&self, deadline: Duration) -> StoreError {
        self.silent(Silence::Deadline(deadline))
    }

    pub(super) fn lost(&self, why: impl fmt::Display) -> StoreError {
        self.silent(Silence::Lost(Said::new(why.to_string())))
    }

    /// Nobody took the request, so that a write had no effect.
    pub(super) fn unanswered(&self, why: impl fmt::Display) -> StoreError {
        Doing::read(&self.what).silent(Silence::Unanswered(Said::new(why.to_string())))
    }

    pub(super) fn refused(&self, code: impl fmt::Display, message: impl fmt::Display) -> StoreError {
        let refusal = Refusal { code: code.to_string(), message: Said::new(message.to_string()) };
        StoreError::Refused { doing: self.what.clone(), refusal }
    }

    pub(super) fn no_store(&self, found: impl fmt::Display, remedy: impl fmt::Display) -> StoreError {
        StoreError::Environment { doing: self.what.clone(), found: found.to_string(), remedy: remedy.to_string() }
    }

    pub(super) fn malformed(&self, reason: impl fmt::Display) -> StoreError {
        StoreError::Malformed { doing: self.what.clone(), reason: reason.to_string() }
    }

    fn silent(&self, silence: Silence) -> StoreError {
        StoreError::NoReply { doing: self.what.clone(), sent: self.sent, silence }
    }
}
