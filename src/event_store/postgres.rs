//! Events in PostgreSQL tables.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join5};
use jiff::Timestamp;
use tokio_postgres::error::{Severity, SqlState};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use super::connection::{Connection, Head, Written};
use super::error::{Doing, StoreError};
use super::sql::{self, EventRow, position_of};
use super::{Backend, EventsRead, Guard, NewEvent, Refusal, Snapshot, SnapshotSaved};

/// One worker's connection to a PostgreSQL store, with its statements prepared. The tables are the
/// `events` and `snapshots` that the connection's `search_path` leads to.
pub struct PostgresConnection {
    client: Arc<Client>,
    deadline: Duration,
    latest: Statement,
    append: Statement,
    events: Statement,
    save_snapshot: Statement,
    latest_snapshot: Statement,
}

impl PostgresConnection {
    /// Creates the tables in the first schema of the connection's `search_path`. They have the
    /// unique keys only for the guard `server`; it must be the guard of the instances that write.
    pub async fn create_tables(client: &Client, guard: Guard, deadline: Duration) -> Result<(), StoreError> {
        let doing = Doing::write("creating the tables");
        let statements = sql::create_tables(Backend::Postgres, guard);
        reply(&doing, deadline, client.batch_execute(&statements)).await
    }

    /// Prepares the store's statements. The tables must exist. Each operation waits up to
    /// `deadline` for its reply; after a missed one the connection may still be busy.
    pub async fn prepare(client: Arc<Client>, deadline: Duration) -> Result<Self, StoreError> {
        let doing = Doing::read("preparing the store's statements");
        let append = format!("{} RETURNING position", sql::APPEND);
        let prepared = try_join5(
            client.prepare(sql::LATEST),
            client.prepare(&append),
            client.prepare(sql::EVENTS),
            client.prepare(sql::SAVE_SNAPSHOT),
            client.prepare(sql::LATEST_SNAPSHOT),
        );
        let (latest, append, events, save_snapshot, latest_snapshot) = reply(&doing, deadline, prepared).await?;
        Ok(Self { client, deadline, latest, append, events, save_snapshot, latest_snapshot })
    }

    async fn reply<T>(
        &self,
        doing: &Doing,
        answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        reply(doing, self.deadline, answer).await
    }

    /// A write on a connection that is known to be closed is not sent.
    fn check_open(&self, doing: &Doing) -> Result<(), StoreError> {
        match self.client.is_closed() {
            true => Err(Doing::read(&doing.what).lost("the connection was closed before")),
            false => Ok(()),
        }
    }
}

async fn reply<T>(
    doing: &Doing,
    deadline: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, StoreError> {
    doing.within(deadline, answer).await?.map_err(|error| failure(doing, &error))
}

fn failure(doing: &Doing, error: &tokio_postgres::Error) -> StoreError {
    match (error.as_db_error(), error.source()) {
        (Some(refusal), _) if *refusal.code() == SqlState::UNDEFINED_TABLE => {
            doing.no_store(refusal.message(), sql::TABLES_REMEDY)
        }
        // The server has ended the session. A commit may have been written just before.
        (Some(end), _) if matches!(end.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => {
            doing.lost(format_args!("{} ({})", end.message(), end.code().code()))
        }
        (Some(refusal), _) => doing.refused(refusal.code().code(), refusal.message()),
        (None, Some(source)) => doing.lost(format_args!("{error}: {source}")),
        (None, None) => doing.lost(error),
    }
}

impl Connection for PostgresConnection {
    fn backend(&self) -> Backend {
        Backend::Postgres
    }

    fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    fn latest<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Head, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the latest version of `{actor}`"));
            let row = self.reply(&doing, self.client.query_opt(&self.latest, &[&actor])).await?;
            Ok(row.map(|row| Head { version: row.get(0), position: position_of(row.get(1)) }).unwrap_or_default())
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
            self.check_open(&doing)?;
            let NewEvent { id, actor, kind, version, data } = event;
            let (data, now) = (data.to_string(), Timestamp::now().to_string());
            let row: [&(dyn ToSql + Sync); 7] = [id, actor, kind, version, &read.version, &data, &now];
            match self.reply(&doing, self.client.query_one(&self.append, &row)).await {
                Ok(row) => Ok(Written::Stored { position: position_of(row.get(0)) }),
                Err(StoreError::Refused { refusal: Refusal { code, .. }, .. })
                    if code == SqlState::UNIQUE_VIOLATION.code() =>
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
            let rows = self.reply(&doing, self.client.query(&self.events, &[&actor, &since])).await?;
            Ok(sql::events_of(rows.iter().map(|row| EventRow {
                position: row.get(0),
                id: row.get(1),
                actor: row.get(2),
                kind: row.get(3),
                version: row.get(4),
                data: row.get(5),
                recorded_at: row.get(6),
            })))
        }
        .boxed()
    }

    fn fill<'a>(&'a self, actor: &'a str, after: i64, count: u32) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let doing = Doing::write(format!("filling `{actor}` with {count} events"));
            self.check_open(&doing)?;
            let (count, now) = (i64::from(count), Timestamp::now().to_string());
            let parameters: [&(dyn ToSql + Sync); 4] = [&actor, &after, &count, &now];
            self.reply(&doing, self.client.execute(sql::FILL, &parameters)).await?;
            Ok(())
        }
        .boxed()
    }

    fn save_snapshot<'a>(&'a self, snapshot: &'a Snapshot) -> BoxFuture<'a, Result<SnapshotSaved, StoreError>> {
        async move {
            let Snapshot { actor, version, data } = snapshot;
            let doing = Doing::write(format!("saving the snapshot of `{actor}` at version {version}"));
            self.check_open(&doing)?;
            let data = data.to_string();
            let parameters: [&(dyn ToSql + Sync); 3] = [actor, version, &data];
            let changed = self.reply(&doing, self.client.execute(&self.save_snapshot, &parameters)).await?;
            Ok(SnapshotSaved::from_rows(changed))
        }
        .boxed()
    }

    fn latest_snapshot<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the snapshot of `{actor}`"));
            let row = self.reply(&doing, self.client.query_opt(&self.latest_snapshot, &[&actor])).await?;
            row.map(|row| sql::snapshot_of(&doing, actor, row.get(0), row.get(1))).transpose()
        }
        .boxed()
    }
}
