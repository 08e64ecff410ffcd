//! The connection that looks at the sessions while they race: who waits for whom, and ending what takes too long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Statement};

use super::connect::{Link, Server};
use crate::target::{Holder, TargetError, Wait};

const LOOK_DEADLINE: Duration = Duration::from_secs(10);
/// How long a server process may take to end. It takes a millisecond, but for a machine whose processors and disks are
/// busy with something else.
const TERMINATE_DEADLINE: Duration = Duration::from_secs(20);
const TERMINATE_POLL: Duration = Duration::from_millis(5);

/// One row per waiting session and one that it waits for directly.
const WAITS: &str = "\
    SELECT waiter.pid, blocker.pid, holder.application_name, holder.state
    FROM pg_stat_activity waiter
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiter.pid)) blocker (pid)
    LEFT JOIN pg_stat_activity holder ON holder.pid = blocker.pid
    WHERE waiter.pid = ANY ($1) AND waiter.wait_event_type = 'Lock'";

/// Looks at the server processes of a case's sessions.
pub(super) struct Watch {
    server: Arc<Server>,
    application: String,
    open: tokio::sync::Mutex<Option<Arc<Open>>>,
    /// Workers by the process that serves them.
    workers: Mutex<BTreeMap<i32, usize>>,
}

struct Open {
    link: Link,
    waits: Statement,
}

impl Watch {
    pub(super) fn new(server: Arc<Server>, application: String) -> Self {
        Watch { server, application, open: tokio::sync::Mutex::new(None), workers: Mutex::new(BTreeMap::new()) }
    }

    /// From now on process `pid` serves `worker`.
    pub(super) fn add(&self, pid: i32, worker: usize) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, worker);
    }

    /// Process `pid` serves nobody any more.
    pub(super) fn remove(&self, pid: i32) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// Who waits for whom at this moment.
    pub(super) async fn waits(&self) -> Result<Vec<Wait>, TargetError> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let pids: Vec<i32> = workers.keys().copied().collect();
        let open = self.open().await?;
        let rows = self.answer(open.link.client.query(&open.waits, &[&pids])).await?;

        let mut waits: BTreeMap<usize, Vec<Holder>> = BTreeMap::new();
        for row in rows {
            let (waiter, holder): (i32, i32) = (row.get(0), row.get(1));
            let Some(waiter) = workers.get(&waiter) else { continue };
            let holder = match workers.get(&holder) {
                Some(worker) => Holder::Worker(*worker),
                None if holder == 0 => Holder::Other("a prepared transaction".to_owned()),
                None => Holder::Other(named_process(holder, row.get(2), row.get(3))),
            };
            waits.entry(*waiter).or_default().push(holder);
        }
        Ok(waits.into_iter().map(|(waiter, holders)| Wait { waiter, holders }).collect())
    }

    /// Asks process `pid` to end its statement. When this returns, the request has reached it: unlike the protocol's own
    /// cancel request, it cannot hit the next statement.
    pub(super) async fn cancel(&self, pid: i32) -> Result<(), TargetError> {
        let open = self.open().await?;
        let cancel = "SELECT pg_cancel_backend($1)";
        self.answer(open.link.client.query_typed(cancel, &[(&pid, Type::INT4)])).await.map(drop)
    }

    /// Ends the processes that serve connections whose application's name begins with `application`, and waits until
    /// they are gone with their locks.
    pub(super) async fn terminate(&self, application: &str) -> Result<(), TargetError> {
        let open = self.open().await?;
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE starts_with(application_name, $1) AND pid <> pg_backend_pid()";
        let deadline = Instant::now() + TERMINATE_DEADLINE;
        loop {
            let parameters = [(&application as &(dyn ToSql + Sync), Type::TEXT)];
            let left = self.answer(open.link.client.query_typed(terminate, &parameters)).await?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(TargetError::Environment {
                    message: format!(
                        "server processes of earlier connections did not end within {TERMINATE_DEADLINE:?} on PostgreSQL at {}: {} still there; see the server's log",
                        self.server.name(),
                        left.len()
                    ),
                });
            }
            sleep(TERMINATE_POLL).await;
        }
    }

    /// Closes the connection; the next use opens a fresh one.
    pub(super) async fn close(&self) {
        *self.open.lock().await = None;
    }

    async fn open(&self) -> Result<Arc<Open>, TargetError> {
        let mut place = self.open.lock().await;
        if let Some(open) = place.as_ref().filter(|open| !open.link.client.is_closed()) {
            return Ok(open.clone());
        }
        let link = self.server.connect(&self.application).await?;
        let waits = self.answer(link.client.prepare(WAITS)).await?;
        let open = Arc::new(Open { link, waits });
        *place = Some(open.clone());
        Ok(open)
    }

    async fn answer<T>(&self, answer: impl Future<Output = Result<T, Error>>) -> Result<T, TargetError> {
        match timeout(LOOK_DEADLINE, answer).await {
            Ok(answer) => answer.map_err(|error| self.server.unavailable(&error)),
            Err(_) => Err(self.server.silent(LOOK_DEADLINE)),
        }
    }
}

/// A process that is not ours: `pid 123 (psql, idle in transaction)`.
fn named_process(pid: i32, application: Option<&str>, state: Option<&str>) -> String {
    let known: Vec<&str> = [application, state].into_iter().flatten().filter(|word| !word.is_empty()).collect();
    if known.is_empty() { format!("pid {pid}") } else { format!("pid {pid} ({})", known.join(", ")) }
}
