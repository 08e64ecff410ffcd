//! Where an event store lives, and how its connections are opened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::endpoints::Source;
use crate::event_store::{
    Backend, Connection, JetStreamConnection, MemoryConnection, PostgresConnection, SqliteConnection, StoreError,
};
use crate::plan::{StoreOptions, TargetSpec};
use crate::target::{Description, TargetError};

/// How long one operation may take: the engine's deadlines are shorter.
const DEADLINE: Duration = Duration::from_secs(30);

/// Connections of the SQLite pool that all workers share.
const SQLITE_CONNECTIONS: u32 = 16;

/// A place that holds one case's events.
pub(super) enum Home {
    Memory(MemoryConnection),
    Sqlite { shared: SqliteConnection, _directory: TempDir },
}

impl Home {
    pub(super) async fn open(
        spec: &TargetSpec,
        options: &StoreOptions,
        source: &Source,
        space: &str,
    ) -> Result<Self, TargetError> {
        match options.backend {
            Backend::Memory => Ok(Home::Memory(MemoryConnection::default())),
            Backend::Sqlite => {
                let directory = tempfile::Builder::new().prefix("deadheat-sqlite-").tempdir().map_err(|error| {
                    environment(format!(
                        "no temporary directory for SQLite: {error}; set TMPDIR to a directory with free space"
                    ))
                })?;
                let path = directory.path().join("events.db");
                let shared = SqliteConnection::open(&path, SQLITE_CONNECTIONS, DEADLINE).await.map_err(store_error)?;
                shared.create_tables(options.guard).await.map_err(store_error)?;
                Ok(Home::Sqlite { shared, _directory: directory })
            }
            Backend::Postgres | Backend::JetStream => todo!(),
        }
    }
}
