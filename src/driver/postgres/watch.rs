//! The connection that looks at the sessions while they race: who waits for whom, and ending what takes too long.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Statement};

use super::connect::{Link, Server};
use crate::driver::reconnect::patiently;
use crate::driver::runtime::on;
use crate::port::{Holder, TargetError, Wait};

const LOOK_DEADLINE: Duration = Duration::from_secs(10);
/// How long a server process may take to end. It takes a millisecond, but for a machine whose processors and disks are
/// busy with something else.
const TERMINATE_DEADLINE: Duration = Duration::from_secs(20);
const TERMINATE_POLL: Duration = Duration::from_millis(5);

/// One row per waiting session and one that it waits for directly.
const WAITS: &str = "\
    SELECT waiter.pid, blocker.pid, holder.application_name, holder.state
    FROM pg_stat_activity waiter
    CROSS JOIN LATERAL unnest(pg_blocking_pids(waiter.pid) || pg_safe_snapshot_blocking_pids(waiter.pid)) blocker (pid)
    LEFT JOIN pg_stat_activity holder ON holder.pid = blocker.pid
    WHERE waiter.pid = ANY ($1) AND (waiter.wait_event_type = 'Lock' OR waiter.wait_event = 'SafeSnapshot')";

/// One row per process that a process waits for, with the lock in words.
const BLOCKERS: &str = "\
    SELECT blocker.pid, format('%s on %s', wanted.mode, CASE
        WHEN wanted.locktype <> 'advisory' THEN concat_ws(' ', wanted.locktype, wanted.relation::regclass)
        WHEN wanted.objsubid = 1 THEN format('advisory lock %s', (wanted.classid::bigint << 32) | wanted.objid::bigint)
        ELSE format('advisory lock (%s, %s)', wanted.classid, wanted.objid) END)
    FROM unnest(pg_blocking_pids($1)) blocker (pid)
    JOIN pg_locks wanted ON wanted.pid = $1 AND NOT wanted.granted";

/// Whether a name belongs to anything but a plain table: a view's, a rule's or a policy's functions may write. The server's
/// own views don't. `a.f` calls a function `f` of the table's rows. Operators and casts call functions that are not named.
const OTHER_THAN_TABLES: &str = "\
    SELECT FROM pg_class
    WHERE relname = ANY ($1) AND (relkind IN ('v', 'f') OR relhasrules OR relrowsecurity)
        AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
    UNION ALL
    SELECT FROM pg_proc called JOIN pg_language language ON language.oid = called.prolang
    WHERE called.pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
        AND (called.proname = ANY ($1) OR language.lanname NOT IN ('c', 'internal')
            AND (EXISTS (SELECT FROM pg_operator WHERE oprcode = called.oid)
                OR EXISTS (SELECT FROM pg_cast WHERE castfunc = called.oid)))
    LIMIT 1";

/// Looks at the server processes of a case's sessions.
pub(super) struct Watch {
    server: Arc<Server>,
    /// Where the connection lives: sessions on other runtimes use it too.
    runtime: Handle,
    application: String,
    open: tokio::sync::Mutex<Option<Arc<Open>>>,
    /// Workers by the process that serves them.
    workers: Mutex<BTreeMap<i32, usize>>,
    /// The processes of connections that were given up, and were not yet seen to be gone.
    given_up: Mutex<Vec<Arc<str>>>,
}

struct Open {
    link: Link,
    waits: Statement,
}

impl Watch {
    /// A watch whose connection lives on the current runtime.
    pub(super) fn new(server: Arc<Server>, application: String) -> Self {
        Watch {
            server,
            runtime: Handle::current(),
            application,
            open: tokio::sync::Mutex::new(None),
            workers: Mutex::new(BTreeMap::new()),
            given_up: Mutex::new(Vec::new()),
        }
    }

    /// From now on process `pid` serves `worker`.
    pub(super) fn add(&self, pid: i32, worker: usize) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).insert(pid, worker);
    }

    /// Process `pid` serves nobody any more.
    pub(super) fn remove(&self, pid: i32) {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// The connection that `process` serves was given up: what it has in flight may still go on.
    pub(super) fn give_up(&self, process: &Arc<str>) {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).push(process.clone());
    }

    /// Ends the processes of connections that were given up, and waits until they are gone: what they had in flight has
    /// taken effect by then, or never will.
    pub(super) async fn settle(&self) -> Result<(), TargetError> {
        let given_up = std::mem::take(&mut *self.given_up.lock().unwrap_or_else(PoisonError::into_inner));
        if given_up.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = given_up.iter().map(|process| &**process).collect();
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE pid || ':' || extract(epoch FROM backend_start) = ANY ($1)";
        self.terminate_all(terminate, (&names, Type::TEXT_ARRAY)).await
    }

    /// The lock that process `waiter` waits for and the worker whose session has it, if that is so.
    pub(super) async fn blocker(&self, waiter: i32) -> Result<Option<(String, usize)>, TargetError> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let open = self.open().await?;
        let rows = self.answer(open.link.client.query_typed(BLOCKERS, &[(&waiter, Type::INT4)])).await?;
        Ok(rows.iter().find_map(|row| Some((row.get(1), *workers.get(&row.get(0))?))))
    }

    /// Whether `names` belong to nothing but plain tables, so that reading them changed nothing. `false` if it isn't known.
    pub(super) async fn are_plain_tables(&self, names: &[String]) -> bool {
        let Ok(open) = self.open().await else { return false };
        let found = self.answer(open.link.client.query_typed(OTHER_THAN_TABLES, &[(&names, Type::TEXT_ARRAY)])).await;
        found.is_ok_and(|found| found.is_empty())
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
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
            WHERE starts_with(application_name, $1) AND pid <> pg_backend_pid()";
        self.terminate_all(terminate, (&application, Type::TEXT)).await
    }

    /// Asks `terminate` until there is nothing left; over a new connection, if this one is lost.
    async fn terminate_all(&self, terminate: &str, which: (&(dyn ToSql + Sync), Type)) -> Result<(), TargetError> {
        let mut open = self.open().await?;
        let deadline = Instant::now() + TERMINATE_DEADLINE;
        loop {
            let asked = self.answer(open.link.client.query_typed(terminate, std::slice::from_ref(&which))).await;
            let left = match asked {
                Err(_) if open.link.client.is_closed() && Instant::now() < deadline => {
                    open = self.open().await?;
                    continue;
                }
                asked => asked?,
            };
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
        let connect = || on(&self.runtime, self.server.connect(&self.application));
        let link = match place.as_ref() {
            Some(open) if !open.link.client.is_closed() => return Ok(open.clone()),
            Some(_) => patiently(connect).await?,
            None => connect().await?,
        };
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
