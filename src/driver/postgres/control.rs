//! The connection for fixtures and invariants.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::argument::Argument;
use super::connect::{Link, Server};
use super::execute::{Failure, Prepared, ends_connection, execute, prepare};
use super::{fault, leftovers};
use crate::driver::reconnect::patiently;
use crate::port::{Done, TargetError};
use crate::value::Value;

/// How long the end of a transaction that a fixture left open may take.
const ROLLBACK_DEADLINE: Duration = Duration::from_secs(10);

/// A connection that is opened when it is first needed, and again when it was lost.
pub(super) struct Control {
    server: Arc<Server>,
    application: String,
    open: Mutex<Option<Open>>,
    /// The server process of the latest connection.
    pid: AtomicI32,
}

struct Open {
    link: Link,
    statements: HashMap<Arc<str>, Prepared>,
    /// Whether something was asked since it was cleaned.
    is_used: bool,
}

/// Removes what may have been left in the connection; closes it if that cannot be done.
async fn clean(place: &mut Option<Open>) {
    let Some(open) = place.as_mut() else { return };
    match leftovers::remove(&open.link.client, false, open.statements.len(), ROLLBACK_DEADLINE).await {
        Ok(()) => open.is_used = false,
        Err(leftovers::NotCleaned) => *place = None,
    }
}

impl Control {
    pub(super) fn new(server: Arc<Server>, application: String) -> Self {
        Control { server, application, open: Mutex::new(None), pid: AtomicI32::new(0) }
    }

    /// Carries out a text of one or several statements without arguments. What it sets holds for itself alone.
    pub(super) async fn batch(&self, text: &str, deadline: Duration) -> Result<(), TargetError> {
        let (mut place, open) = self.open().await?;
        let answer = timeout(deadline, open.link.client.batch_execute(text)).await;
        let answer = answer.map(|answer| answer.map_err(Failure::Ended));
        self.settle(&mut place, open, text, &[], answer, deadline)?;
        if leftovers::may_begin(text) && self.ends_open(place.as_ref()).await {
            *place = None;
            return Err(fault::left_open(text));
        }
        clean(&mut place).await;
        Ok(())
    }

    /// As [`Control::query`], for a fixture: what the statement sets holds for itself alone.
    pub(super) async fn apply(&self, text: &Arc<str>, args: &[Value], deadline: Duration) -> Result<(), TargetError> {
        self.query(text, args, deadline).await?;
        clean(&mut *self.open.lock().await).await;
        Ok(())
    }

    /// Removes what queries since the last time left in the connection.
    pub(super) async fn clean(&self) {
        let mut place = self.open.lock().await;
        if place.as_ref().is_some_and(|open| open.is_used) {
            clean(&mut place).await;
        }
    }

    /// The server process that serves the connection, if one is open.
    pub(super) fn pid(&self) -> i32 {
        self.pid.load(Ordering::Acquire)
    }

    /// Whether a transaction was still open, which is rolled back.
    async fn ends_open(&self, open: Option<&Open>) -> bool {
        let Some(Open { link, .. }) = open else { return false };
        let idle_ends = link.idle_ends();
        let ended = timeout(ROLLBACK_DEADLINE, link.client.batch_execute("ROLLBACK")).await;
        matches!(ended, Ok(Ok(()))) && link.idle_ends() == idle_ends
    }

    /// Carries out one statement, which is prepared at its first use.
    pub(super) async fn query(&self, text: &Arc<str>, args: &[Value], deadline: Duration) -> Result<Done, TargetError> {
        let args: Vec<Argument> = args.iter().map(Argument::new).collect();
        let (mut place, mut open) = self.open().await?;
        let answer = timeout(deadline, open.query(text, &args)).await;
        self.settle(&mut place, open, text, &args, answer, deadline)
    }

    /// Closes the connection; the next use opens a fresh one.
    pub(super) async fn close(&self) {
        *self.open.lock().await = None;
    }

    /// Takes the connection out of its place: whoever is cut off in the middle leaves none behind.
    async fn open(&self) -> Result<(MutexGuard<'_, Option<Open>>, Open), TargetError> {
        let mut place = self.open.lock().await;
        let was_open = place.is_some();
        let mut open = match place.take() {
            Some(open) if !open.link.client.is_closed() => open,
            _ => {
                let connect = || self.server.connect(&self.application);
                let link = if was_open { patiently(connect).await? } else { connect().await? };
                self.pid.store(link.pid, Ordering::Release);
                Open { link, statements: HashMap::new(), is_used: false }
            }
        };
        open.is_used = true;
        Ok((place, open))
    }

    /// Puts the connection back, if there still is one, and says what the answer means.
    fn settle<T>(
        &self,
        place: &mut Option<Open>,
        open: Open,
        text: &str,
        args: &[Argument],
        answer: Result<Result<T, Failure>, Elapsed>,
        deadline: Duration,
    ) -> Result<T, TargetError> {
        let answer = answer.map_err(|_| TargetError::Environment {
            message: format!(
                "{} did not end within {deadline:?} on PostgreSQL at {}; look for a lock that something else holds, or for a missing index",
                fault::snippet(text),
                self.server.name()
            ),
        })?;
        let failure = match answer {
            Ok(answer) => {
                *place = Some(open);
                return Ok(answer);
            }
            Err(failure) => failure,
        };
        let is_usable = failure.leaves_connection_usable();
        let error = match failure {
            Failure::NotStarted(error) | Failure::Ended(error) if ends_connection(&error) => {
                return Err(self.server.lost(open.link.end().unwrap_or(&error)));
            }
            Failure::NotStarted(error) => {
                let refusal = error.as_db_error();
                refusal
                    .and_then(|refusal| fault::argument(text, args, refusal))
                    .unwrap_or_else(|| fault::statement(text, &error))
            }
            Failure::Ended(error) => fault::statement(text, &error),
            Failure::Fault(error) => error,
        };
        *place = is_usable.then_some(open);
        Err(error)
    }
}

impl Open {
    async fn query(&mut self, text: &Arc<str>, args: &[Argument]) -> Result<Done, Failure> {
        match self.query_once(text, args).await {
            Err(failure) if failure.is_stale() => {
                self.statements.remove(text);
                self.query_once(text, args).await
            }
            answer => answer,
        }
    }

    async fn query_once(&mut self, text: &Arc<str>, args: &[Argument]) -> Result<Done, Failure> {
        let client = &self.link.client;
        if !self.statements.contains_key(text) {
            let prepared = prepare(client, text).await?;
            self.statements.insert(text.clone(), prepared);
        }
        execute(client, &self.statements[text], args).await
    }
}
