//! What the store needs of a server.

use futures::future::BoxFuture;

use super::error::{Refusal, StoreError};
use super::{Backend, EventsRead, NewEvent, Snapshot, SnapshotSaved};

/// The end of an actor's history, as one read saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The latest version; 0 when there is no event.
    pub version: i64,
    /// The position of the event that has it; 0 when there is no event. On JetStream this is the last
    /// sequence of the actor's subject, which guarded writes must match.
    pub position: u64,
}

/// What became of one write.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub enum Written {
    /// The event is stored at this position.
    Stored {
        /// As in [`Event::position`](super::Event::position).
        position: u64,
    },
    /// The server's guard refused it: something was appended since the head was read.
    Stale {
        /// The server's code, where there is a server.
        code: Option<String>,
    },
    /// The server refused it for another reason.
    Refused(Refusal),
}

/// One worker's way to the place where the events are. Every method waits for at most the deadline
/// that the connection was made with.
///
/// None of them checks versions. That is what [`EventStore`](super::EventStore) is for, which calls
/// `latest`, judges, pauses and calls `write`.
pub trait Connection: Send + Sync {
    /// What the events are kept in.
    fn backend(&self) -> Backend;

    /// Whether the connection is known to be gone for good, so that nothing more can be asked over it.
    fn is_lost(&self) -> bool {
        false
    }

    /// The head of an actor's history, by the cheapest means that the server has.
    fn latest<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Head, StoreError>>;

    /// The head by a consumer that starts at the last message. The answer of a backend without
    /// consumers is that of `latest`; an [`Instance`](super::Instance) of it does not ask.
    fn latest_by_consumer<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Head, StoreError>> {
        self.latest(actor)
    }

    /// Stores an event. With `guarded`, only if `read` is still the head of the actor's history. (A SQL
    /// backend has the guard in its tables, and needs no telling.)
    fn write<'a>(
        &'a self,
        event: &'a NewEvent,
        read: Head,
        guarded: bool,
    ) -> BoxFuture<'a, Result<Written, StoreError>>;

    /// The events of versions greater than `since`, in append order.
    fn events<'a>(&'a self, actor: &'a str, since: i64) -> BoxFuture<'a, Result<EventsRead, StoreError>>;

    /// Stores events of the versions `after + 1 ..= after + count`, without any guard. Not atomic
    /// on JetStream.
    fn fill<'a>(&'a self, actor: &'a str, after: i64, count: u32) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Stores a snapshot, unless one of a higher version is stored.
    fn save_snapshot<'a>(&'a self, snapshot: &'a Snapshot) -> BoxFuture<'a, Result<SnapshotSaved, StoreError>>;

    /// The snapshot of the highest version, if there is one.
    fn latest_snapshot<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>>;
}

impl NewEvent {
    /// The event of one version that `fill` stores.
    pub(super) fn filling(actor: &str, version: i64) -> Self {
        Self {
            id: format!("fill-{version}"),
            actor: actor.to_owned(),
            kind: "Filled".to_owned(),
            version,
            data: serde_json::json!({ "version": version }),
        }
    }
}
