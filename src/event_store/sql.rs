//! The tables of the SQL backends and the statements that PostgreSQL and SQLite share.
//!
//! Each event row carries `previous`, the version that its writer had read. A unique key on
//! `(actor, version)` alone would let versions 3 and 2 be stored in that order, both on top of 1;
//! `(actor, previous)` lets only one of them follow 1.

use jiff::Timestamp;

use super::error::{Doing, StoreError};
use super::{Backend, Event, EventsRead, Guard, Malformed, Snapshot, SnapshotSaved};

/// The head of an actor's history: `version`, `position`; no row when there is none.
pub(super) const LATEST: &str = "SELECT version, position FROM events WHERE actor = $1 ORDER BY version DESC LIMIT 1";

/// Parameters: id, actor, type, version, previous, data, time.
pub(super) const APPEND: &str = "INSERT INTO events (id, actor, type, version, previous, data, recorded_at) \
     VALUES ($1, $2, $3, $4, $5, $6, $7)";

/// Parameters: actor, the version before the first.
pub(super) const EVENTS: &str = "SELECT position, id, actor, type, version, data, recorded_at \
     FROM events WHERE actor = $1 AND version > $2 ORDER BY position";

/// Makes what [`NewEvent::filling`](super::NewEvent) makes. Parameters: actor, the version before
/// the first, count, time.
pub(super) const FILL: &str = "INSERT INTO events (id, actor, type, version, previous, data, recorded_at) \
     WITH RECURSIVE filling (version) AS ( \
       SELECT CAST($2 AS BIGINT) + 1 WHERE CAST($3 AS BIGINT) > 0 \
       UNION ALL \
       SELECT version + 1 FROM filling WHERE version < CAST($2 AS BIGINT) + CAST($3 AS BIGINT) \
     ) \
     SELECT 'fill-' || version, CAST($1 AS TEXT), 'Filled', version, version - 1, \
            '{\"version\":' || version || '}', CAST($4 AS TEXT) \
     FROM filling";

/// Parameters: actor, version, data. Changes no row when a higher version is stored.
pub(super) const SAVE_SNAPSHOT: &str = "INSERT INTO snapshots (actor, version, data) VALUES ($1, $2, $3) \
     ON CONFLICT (actor) DO UPDATE SET version = excluded.version, data = excluded.data \
     WHERE snapshots.version <= excluded.version";

/// `version`, `data`; no row when there is none.
pub(super) const LATEST_SNAPSHOT: &str = "SELECT version, data FROM snapshots WHERE actor = $1";

/// What to do when the tables are missing.
pub(super) const TABLES_REMEDY: &str = "create the tables first, with `create_tables`";

/// The statements that create the tables. Only the guard `server` has unique keys; with them the
/// other guards could not show what they let through.
pub(super) fn create_tables(backend: Backend, guard: Guard) -> String {
    let position = match backend {
        Backend::Sqlite => "INTEGER PRIMARY KEY AUTOINCREMENT",
        Backend::Memory | Backend::Postgres | Backend::JetStream => "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    };
    let keys = match guard {
        Guard::Server => {
            "CREATE UNIQUE INDEX events_previous ON events (actor, previous); \
             CREATE UNIQUE INDEX events_version ON events (actor, version);"
        }
        Guard::None | Guard::Mutex => "CREATE INDEX events_version ON events (actor, version);",
    };
    format!(
        "CREATE TABLE events (\
           position {position}, id TEXT NOT NULL, actor TEXT NOT NULL, type TEXT NOT NULL, \
           version BIGINT NOT NULL, previous BIGINT NOT NULL, data TEXT NOT NULL, recorded_at TEXT NOT NULL\
         ); \
         {keys} \
         CREATE TABLE snapshots (actor TEXT PRIMARY KEY, version BIGINT NOT NULL, data TEXT NOT NULL);"
    )
}

/// A row of `events`, as the drivers return it.
pub(super) struct EventRow {
    pub(super) position: i64,
    pub(super) id: String,
    pub(super) actor: String,
    pub(super) kind: String,
    pub(super) version: i64,
    pub(super) data: String,
    pub(super) recorded_at: String,
}

/// Sorts rows into events and what is none.
pub(super) fn events_of(rows: impl Iterator<Item = EventRow>) -> EventsRead {
    let mut read = EventsRead::default();
    for row in rows {
        let position = position_of(row.position);
        match event_of(row) {
            Ok(event) => read.events.push(event),
            Err(reason) => read.malformed.push(Malformed { position, reason }),
        }
    }
    read
}

/// A row number as a position.
pub(super) fn position_of(row: i64) -> u64 {
    u64::try_from(row).expect("the tables number their rows from 1")
}

fn event_of(row: EventRow) -> Result<Event, String> {
    let EventRow { position, id, actor, kind, version, data, recorded_at } = row;
    let data = serde_json::from_str(&data).map_err(|error| format!("`data` is not JSON: {error}"))?;
    let timestamp: Timestamp = recorded_at.parse().map_err(|error| format!("`recorded_at` is not a time: {error}"))?;
    Ok(Event { position: position_of(position), id, actor, kind, version, data, timestamp })
}

/// A row of `snapshots`.
pub(super) fn snapshot_of(doing: &Doing, actor: &str, version: i64, data: &str) -> Result<Snapshot, StoreError> {
    match serde_json::from_str(data) {
        Ok(data) => Ok(Snapshot { actor: actor.to_owned(), version, data }),
        Err(error) => Err(doing.malformed(format!("`data` is not JSON: {error}"))),
    }
}

impl SnapshotSaved {
    /// By the number of rows that `SAVE_SNAPSHOT` has changed.
    pub(super) fn from_rows(changed: u64) -> Self {
        match changed {
            0 => Self::Superseded,
            _ => Self::Stored,
        }
    }
}
