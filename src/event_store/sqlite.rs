//! Events in a SQLite file.

use std::path::Path;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Row, Sqlite};

use super::connection::{Connection, Head, Written};
use super::error::{Doing, StoreError};
use super::sql::{self, EventRow, position_of};
use super::{Backend, EventsRead, Guard, NewEvent, Refusal, Snapshot, SnapshotSaved};
use crate::said::Said;

/// How long SQLite itself waits for another writer, before it answers `SQLITE_BUSY` (5).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Extended result codes of a broken unique key: `SQLITE_CONSTRAINT_PRIMARYKEY` and `_UNIQUE`.
const UNIQUE_VIOLATIONS: [&str; 2] = ["1555", "2067"];

/// A SQLite store. Clones share a pool of connections to the file, as the workers of one process
/// do; each operation takes one connection and gives it back.
#[derive(Clone, Debug)]
pub struct SqliteConnection {
    pool: SqlitePool,
    deadline: Duration,
}

impl SqliteConnection {
    /// Opens the file, which is created if there is none, in write-ahead-log mode. At most
    /// `connections` are opened. Each operation waits up to `deadline` for a connection, then up
    /// to `deadline` for the answer.
    pub async fn open(path: &Path, connections: u32, deadline: Duration) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(deadline);
        let doing = Doing::read(format!("opening `{}`", path.display()));
        match doing.within(deadline, pool.connect_with(options)).await? {
            Ok(pool) => Ok(Self { pool, deadline }),
            Err(error) => Err(doing.no_store(error, "name a file in a folder that exists and can be written to")),
        }
    }

    /// Creates the tables, which the file must not have yet. They have the unique keys only for the
    /// guard `server`; it must be the guard of the instances that write.
    pub async fn create_tables(&self, guard: Guard) -> Result<(), StoreError> {
        let doing = Doing::write("creating the tables");
        let mut connection = self.acquire(&doing).await?;
        let statements = sqlx::raw_sql(AssertSqlSafe(sql::create_tables(Backend::Sqlite, guard)));
        self.reply(&doing, statements.execute(&mut *connection)).await?;
        Ok(())
    }

    /// The version of SQLite.
    pub async fn version(&self) -> Result<String, StoreError> {
        let doing = Doing::read("reading SQLite's version");
        let mut connection = self.acquire(&doing).await?;
        self.reply(&doing, sqlx::query_scalar("SELECT sqlite_version()").fetch_one(&mut *connection)).await
    }

    /// Closes the pool's connections, so that the file can be removed.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    async fn acquire(&self, doing: &Doing) -> Result<PoolConnection<Sqlite>, StoreError> {
        let doing = Doing::read(&doing.what);
        self.pool.acquire().await.map_err(|error| failure(&doing, self.deadline, &error))
    }

    async fn reply<T>(
        &self,
        doing: &Doing,
        reply: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let reply = doing.within(self.deadline, reply).await?;
        reply.map_err(|error| failure(doing, self.deadline, &error))
    }
}

/// The disk is full, and what writing the file or growing its index says then. (SQLITE_FULL, SQLITE_IOERR_WRITE,
/// SQLITE_IOERR_SHMSIZE)
const DISK_FULL: [&str; 3] = ["13", "778", "4874"];
const DISK_REMEDY: &str =
    "its file lies in the temporary directory: free space there, or set `TMPDIR` to a directory that has more";

fn failure(doing: &Doing, deadline: Duration, error: &sqlx::Error) -> StoreError {
    match error {
        // SQLite has one code for this and for every statement that it does not understand.
        sqlx::Error::Database(refusal) if Said::new(refusal.message()).mentions("no such table") => {
            doing.no_store(refusal.message(), sql::TABLES_REMEDY)
        }
        sqlx::Error::Database(refusal) => {
            let code = refusal.code().expect("the SQLite driver gives every error a code");
            if DISK_FULL.contains(&&*code) {
                return doing.no_store(refusal.message(), DISK_REMEDY);
            }
            doing.refused(code, refusal.message())
        }
        sqlx::Error::PoolTimedOut => doing.late(deadline),
        // What is stored has not the type that the store writes.
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => doing.malformed(error),
        other => doing.lost(other),
    }
}

impl Connection for SqliteConnection {
    fn backend(&self) -> Backend {
        Backend::Sqlite
    }

    fn latest<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Head, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the latest version of `{actor}`"));
            let mut connection = self.acquire(&doing).await?;
            let query = sqlx::query_as::<_, (i64, i64)>(sql::LATEST).bind(actor);
            let row = self.reply(&doing, query.fetch_optional(&mut *connection)).await?;
            Ok(row.map(|(version, row)| Head { version, position: position_of(row) }).unwrap_or_default())
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        event: &'a NewEvent,
        read: Head,
        _guarded: bool,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        async move {
            let doing = Doing::write(format!("appending version {} of `{}`", event.version, event.actor));
            let mut connection = self.acquire(&doing).await?;
            let query = sqlx::query(sql::APPEND)
                .bind(&event.id)
                .bind(&event.actor)
                .bind(&event.kind)
                .bind(event.version)
                .bind(read.version)
                .bind(event.data.to_string())
                .bind(Timestamp::now().to_string());
            match self.reply(&doing, query.execute(&mut *connection)).await {
                Ok(done) => Ok(Written::Stored { position: position_of(done.last_insert_rowid()) }),
                Err(StoreError::Refused { refusal: Refusal { code, .. }, .. })
                    if UNIQUE_VIOLATIONS.contains(&code.as_str()) =>
                {
                    Ok(Written::Stale { code: Some(code) })
                }
                Err(StoreError::Refused { refusal, .. }) => Ok(Written::Refused(refusal)),
                Err(error) => Err(error),
            }
        }
        .boxed()
    }

    fn events<'a>(&'a self, actor: &'a str, since: i64) -> BoxFuture<'a, Result<EventsRead, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the events of `{actor}`"));
            let mut connection = self.acquire(&doing).await?;
            let query = sqlx::query(sql::EVENTS).bind(actor).bind(since).try_map(|row| {
                Ok(EventRow {
                    position: row.try_get(0)?,
                    id: row.try_get(1)?,
                    actor: row.try_get(2)?,
                    kind: row.try_get(3)?,
                    version: row.try_get(4)?,
                    data: row.try_get(5)?,
                    recorded_at: row.try_get(6)?,
                })
            });
            let rows = self.reply(&doing, query.fetch_all(&mut *connection)).await?;
            Ok(sql::events_of(rows.into_iter()))
        }
        .boxed()
    }

    fn fill<'a>(&'a self, actor: &'a str, after: i64, count: u32) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let doing = Doing::write(format!("filling `{actor}` with {count} events"));
            let mut connection = self.acquire(&doing).await?;
            let query = sqlx::query(sql::FILL)
                .bind(actor)
                .bind(after)
                .bind(i64::from(count))
                .bind(Timestamp::now().to_string());
            self.reply(&doing, query.execute(&mut *connection)).await?;
            Ok(())
        }
        .boxed()
    }

    fn save_snapshot<'a>(&'a self, snapshot: &'a Snapshot) -> BoxFuture<'a, Result<SnapshotSaved, StoreError>> {
        async move {
            let Snapshot { actor, version, data } = snapshot;
            let doing = Doing::write(format!("saving the snapshot of `{actor}` at version {version}"));
            let mut connection = self.acquire(&doing).await?;
            let query = sqlx::query(sql::SAVE_SNAPSHOT).bind(actor).bind(version).bind(data.to_string());
            let done = self.reply(&doing, query.execute(&mut *connection)).await?;
            Ok(SnapshotSaved::from_rows(done.rows_affected()))
        }
        .boxed()
    }

    fn latest_snapshot<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the snapshot of `{actor}`"));
            let mut connection = self.acquire(&doing).await?;
            let query = sqlx::query_as::<_, (i64, String)>(sql::LATEST_SNAPSHOT).bind(actor);
            let row = self.reply(&doing, query.fetch_optional(&mut *connection)).await?;
            row.map(|(version, data)| sql::snapshot_of(&doing, actor, version, &data)).transpose()
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_the_surroundings_error() {
        let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
        let mut connection = pool.acquire().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 2").execute(&mut *connection).await.unwrap();
        sqlx::query("CREATE TABLE t (b)").execute(&mut *connection).await.unwrap();
        let full = sqlx::query("INSERT INTO t VALUES (zeroblob(100000))").execute(&mut *connection).await.unwrap_err();
        let failure = failure(&Doing::write("appending"), Duration::ZERO, &full);
        assert!(matches!(failure, StoreError::Environment { .. }), "{failure}");
        assert!(failure.to_string().contains("`TMPDIR`"), "{failure}");
    }
}
