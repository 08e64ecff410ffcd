//! The reference event store: one small store over four backends, so that one race can be run
//! against each way of guarding it.
//!
//! # The story
//!
//! An event-sourced service keeps an actor's state as a list of numbered events. Before it appends
//! version 4 it reads the latest version, finds 3, and publishes. Two requests that both read 3
//! both publish version 4, and one of them has decided on a state that no longer holds:
//!
//! ```text
//! writer A   read 3 ── 4 > 3, fine ─────────── publish 4 ✓
//! writer B        read 3 ── 4 > 3, fine ── publish 4 ✓        one of them is lost
//!                                  ▲
//!                          pause point `checked`
//! ```
//!
//! [`Guard`] names the three ways of dealing with that:
//!
//! - [`Guard::None`]: check, then publish. The bug.
//! - [`Guard::Mutex`]: one lock, held from the check to the end of the publish. It belongs to one
//!   [`Instance`], that is to one process of the service, so a second instance walks past it.
//! - [`Guard::Server`]: the server refuses a write that is not based on the latest event. JetStream
//!   compares the subject's last sequence; the SQL tables carry the version that the writer had read
//!   in a unique column; the memory store compares under a short lock.
//!
//! # The parts
//!
//! An [`Instance`] is what one process of the service holds: its guard, its mutex, its version
//! cache. A [`Connection`] is one worker's way to the server. An [`EventStore`] is an instance used
//! over a connection, and has the operations.
//!
//! # What "latest" means
//!
//! With [`Guard::Server`] versions increase in append order, and every lookup gives the same answer.
//! Without it versions 3 and 2 may be stored in that order. The memory and SQL stores then answer 3,
//! the greatest version. So does [`Lookup::Scan`] everywhere. A JetStream lookup of the last message
//! answers 2: reading only the last message is right only while the guard keeps the order.

mod cache;
mod connection;
mod error;
mod guard;
mod instance;
mod jetstream;
mod memory;
mod mutex;
mod postgres;
mod sql;
mod sqlite;
mod store;
mod subject;

#[cfg(test)]
mod tests;

pub use connection::{Connection, Head, Written};
pub use error::{Refusal, Silence, StoreError};
pub use guard::{Backend, Guard, Lookup, UnknownName, UnsupportedLookup};
pub use instance::{Instance, InstanceOptions};
pub use jetstream::JetStreamConnection;
pub use memory::MemoryConnection;
pub use mutex::Caller;
pub use postgres::PostgresConnection;
pub use sqlite::SqliteConnection;
pub use store::{Appended, EventStore, Pause, PauseBroken, PausePoint, VersionConflict};

use jiff::Timestamp;

/// An event to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Names the event for its readers; the store does not check that it is unique.
    pub id: String,
    /// The actor whose history the event belongs to: any text, also with dots, spaces or wildcards.
    pub actor: String,
    /// What happened, for instance `OrderPlaced`; stored as `type`.
    pub kind: String,
    /// Must be greater than the actor's latest version. Gaps are allowed; the first is at least 1.
    pub version: i64,
    /// The event's own data.
    pub data: serde_json::Value,
}

/// A stored event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Where the server put it: a JetStream stream sequence, a table's row number. It grows in
    /// append order and may have gaps.
    pub position: u64,
    /// The id given by the writer.
    pub id: String,
    /// The actor whose history the event belongs to.
    pub actor: String,
    /// What happened; stored as `type`.
    pub kind: String,
    /// The version given by the writer.
    pub version: i64,
    /// The event's own data.
    pub data: serde_json::Value,
    /// When the store sent it to the server, by this machine's clock.
    pub timestamp: Timestamp,
}

/// A stored thing that is not an event, although it lies where events lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where the server put it, as in [`Event::position`].
    pub position: u64,
    /// Why it is not an event.
    pub reason: String,
}

/// What a read of an actor's events found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventsRead {
    /// The events in append order.
    pub events: Vec<Event>,
    /// What could not be read as an event, in append order.
    pub malformed: Vec<Malformed>,
}

/// An actor's state at one version.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The actor whose state this is.
    pub actor: String,
    /// The version of the last event that is in the state.
    pub version: i64,
    /// The state.
    pub data: serde_json::Value,
}

/// What became of a snapshot that was to be saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotSaved {
    /// It is now the actor's latest snapshot. It replaces one of the same or a lower version.
    Stored,
    /// A snapshot of a higher version was there already, and stays.
    Superseded,
}
