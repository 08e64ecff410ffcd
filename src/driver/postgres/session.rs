//! One worker's connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_postgres::{Client, Error};

use super::argument::Argument;
use super::connect::Link;
use super::execute::{Failure, Prepared, ends_connection, execute, prepare};
use super::refusal::{judge, lost, refused};
use super::statement::Statement;
use super::{Call, Shared, fault, leftovers};
use crate::driver::full_disk::{POSTGRES_FULL, unless_full};
use crate::driver::reconnect::patiently;
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{Bound, Done, Isolation, Pause, Refusal, Reply, Session, TargetError, Transactions};

/// How long a cancelled statement may take to say that it was cancelled.
const CANCEL_GRACE: Duration = Duration::from_secs(2);
/// How long rolling back and preparing may take between attempts.
const RESET_DEADLINE: Duration = Duration::from_secs(10);

/// Our own word for what has no SQLSTATE.
const DEADLINE: &str = "deadline";

/// A session on PostgreSQL.
pub(super) struct PostgresSession {
    shared: Arc<Shared>,
    worker: usize,
    /// `None` when it was lost, and while something is in flight: a call that is dropped takes its connection with it.
    link: Option<Link>,
    /// The process that serves the connection, also after it was lost.
    pid: i32,
    /// The same process, until the connection is given up.
    process: Option<Arc<str>>,
    /// Whether something was asked since the session was cleaned.
    is_used: bool,
    /// By statement; `None` where the server could not prepare it so far.
    prepared: Vec<Option<Arc<Prepared>>>,
    /// Whether the last call had to prepare its statement.
    has_prepared: bool,
    /// Whether the session was prepared when it was opened.
    is_open: bool,
    /// [`Shared::shape`] when the statements were prepared; `None` before.
    shape: Option<u64>,
    transaction: Transaction,
    /// Goes off at the deadline of what is in flight. One for all calls: moving a timer to a later time is much cheaper
    /// than making one, which wakes the runtime's driver.
    timer: Pin<Box<Sleep>>,
}

enum Transaction {
    /// Each statement commits by itself.
    None,
    /// Begun, and nothing has failed.
    Open,
    /// The server has refused something in it, and a COMMIT would silently roll back.
    Failed(Refusal),
}

/// What can be in flight.
enum Request<'a> {
    /// With the place of what was prepared; what is not there yet is prepared first.
    Statement(&'a Statement, &'a mut Option<Arc<Prepared>>, &'a [Argument]),
    Command(&'static str),
}

impl Request<'_> {
    async fn carry_out(self, client: &Client) -> Result<Done, Failure> {
        match self {
            Request::Statement(statement, place, args) => {
                let prepared = match place {
                    Some(prepared) => prepared.clone(),
                    None => {
                        let prepared = prepare(client, &statement.text).await;
                        if let Err(Failure::NotStarted(error)) = &prepared {
                            statement.prepared.wrong(fault::statement(&statement.text, error).to_string());
                        }
                        let prepared = Arc::new(prepared?);
                        statement.prepared.right();
                        place.insert(prepared).clone()
                    }
                };
                let done = execute(client, &prepared, args).await?;
                statement.fits.right();
                Ok(done)
            }
            Request::Command(text) => {
                client.batch_execute(text).await.map(|()| Done::nothing()).map_err(Failure::Ended)
            }
        }
    }
}

impl PostgresSession {
    pub(super) async fn open(shared: Arc<Shared>, worker: usize) -> Result<Self, TargetError> {
        let link = shared.connect_session(name(worker)).await?;
        let pid = link.pid;
        shared.watch.add(pid, worker);
        Ok(PostgresSession {
            shared,
            worker,
            process: Some(link.process.clone()),
            is_used: false,
            link: Some(link),
            pid,
            prepared: Vec::new(),
            has_prepared: false,
            is_open: false,
            shape: None,
            transaction: Transaction::None,
            timer: Box::pin(sleep_until(Instant::now())),
        })
    }

    /// Prepares the statements if tables may have changed their shape since they were prepared.
    async fn prepare_if_stale(&mut self) -> Result<(), TargetError> {
        let shape = self.shared.shape.load(Ordering::Acquire);
        if self.shape == Some(shape) {
            return Ok(());
        }
        self.prepared.clear();
        self.prepared.resize(self.shared.statements.len(), None);
        self.prepare_missing().await?;
        self.shape = Some(shape);
        Ok(())
    }

    /// Prepares what is not prepared, as far as the server can.
    async fn prepare_missing(&mut self) -> Result<(), TargetError> {
        if self.prepared.iter().all(Option::is_some) {
            return Ok(());
        }
        let Some(link) = self.link.take() else { return Ok(()) };
        let missing = self.prepared.iter_mut().zip(&self.shared.statements);
        let missing = missing.filter(|(place, _)| place.is_none());
        let preparing = missing.map(async |(place, statement)| match prepare(&link.client, &statement.text).await {
            Ok(prepared) => {
                statement.prepared.right();
                *place = Some(Arc::new(prepared));
                Ok(())
            }
            Err(Failure::NotStarted(error)) if !is_syntax_error(&error) => {
                statement.prepared.wrong(fault::statement(&statement.text, &error).to_string());
                Ok(())
            }
            Err(Failure::NotStarted(error)) => {
                Err(Failure::Fault(of_request(statement.request, fault::statement(&statement.text, &error))))
            }
            Err(Failure::Fault(fault)) => Err(Failure::Fault(of_request(statement.request, fault))),
            Err(failure) => Err(failure),
        });
        match timeout(RESET_DEADLINE, try_join_all(preparing)).await {
            Ok(Ok(_)) => self.link = Some(link),
            Ok(Err(Failure::Fault(fault))) => return Err(fault),
            Ok(Err(Failure::NotStarted(error) | Failure::Ended(error))) => {
                return Err(self.shared.server.unavailable(link.end().unwrap_or(&error)));
            }
            Err(_) => return Err(self.shared.server.silent(RESET_DEADLINE)),
        }
        Ok(())
    }

    /// Waits for the answer until `deadline`; then has the request cancelled, and waits a little more.
    async fn answer(
        &mut self,
        link: &Link,
        request: Request<'_>,
        deadline: Instant,
    ) -> Result<Result<Done, Failure>, Elapsed> {
        let mut answer = pin!(request.carry_out(&link.client));
        self.timer.as_mut().reset(deadline);
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            () = self.timer.as_mut() => {}
        }
        let cancel = timeout(CANCEL_GRACE, self.shared.watch.cancel(link.pid));
        tokio::join!(timeout(CANCEL_GRACE, answer), cancel).0
    }

    /// Asks the server. `takes_effect`: if no answer comes, something may have happened all the same.
    ///
    /// The connection is kept only if it is fit for the next request.
    async fn ask(&mut self, request: Request<'_>, takes_effect: bool, deadline: Instant) -> Result<Reply, Failure> {
        let lost_before = |error: Option<&Error>| Ok(Reply::Refused(lost(OutcomeKind::Disconnected, error)));
        self.is_used = true;
        let Some(link) = self.link.take() else { return lost_before(None) };
        if link.client.is_closed() {
            return lost_before(link.end());
        }

        let failure = match self.answer(&link, request, deadline).await {
            Ok(Ok(done)) => {
                self.link = Some(link);
                return Ok(Reply::Done(done));
            }
            Ok(Err(failure)) => failure,
            Err(_) => {
                let kind = if takes_effect { OutcomeKind::Unknown } else { OutcomeKind::Timeout };
                let message = "no reply by the deadline, nor to the request to cancel; the connection was given up";
                return Ok(Reply::Refused(Refusal::new(kind, Cause::Deadline, DEADLINE, message)));
            }
        };
        match failure {
            Failure::NotStarted(error) | Failure::Ended(error) if ends_connection(&error) => {
                let kind = if takes_effect { OutcomeKind::Unknown } else { OutcomeKind::Disconnected };
                let error = if error.as_db_error().is_some() { &error } else { link.end().unwrap_or(&error) };
                Ok(Reply::Refused(lost(kind, Some(error))))
            }
            failure => {
                if failure.leaves_connection_usable() {
                    self.link = Some(link);
                }
                Err(failure)
            }
        }
    }

    /// One statement of the scenario's, prepared at its first use if it could not be before, and again if it had to be and
    /// nothing was begun that this would end.
    async fn call_statement(
        &mut self,
        index: usize,
        args: &[Argument],
        deadline: Instant,
    ) -> Result<Reply, TargetError> {
        let is_autocommit = matches!(self.transaction, Transaction::None);
        if is_autocommit {
            self.prepare_if_stale().await?;
        }
        if self.link.is_none() {
            return Ok(Reply::Refused(lost(OutcomeKind::Disconnected, None)));
        }
        let shared = self.shared.clone();
        let statement = &shared.statements[index];
        let takes_effect = is_autocommit && !statement.is_read_only;
        let mut place = self.prepared[index].clone();
        self.has_prepared = place.is_none();
        let mut answer = self.ask(Request::Statement(statement, &mut place, args), takes_effect, deadline).await;
        if is_autocommit && !self.has_prepared && answer.as_ref().is_err_and(Failure::is_stale) {
            (place, self.has_prepared) = (None, true);
            answer = self.ask(Request::Statement(statement, &mut place, args), takes_effect, deadline).await;
        }
        self.prepared[index] = place;
        if answer.as_ref().is_err_and(Failure::is_stale) {
            // It is prepared again before the next transaction begins.
            self.shape = None;
        }
        let mut reply = answer.or_else(|failure| judge(statement, args, failure));
        if let Ok(Reply::Refused(refusal)) = &mut reply
            && is_autocommit
            && self.link.is_none()
            && statement.is_read_only
            && !shared.watch.are_plain_tables(&statement.relations).await
        {
            refusal.kind = OutcomeKind::Unknown;
        }
        if let Ok(Reply::Refused(refusal)) = &mut reply
            && is_autocommit
            && statement.may_commit
            && refusal.kind == OutcomeKind::Timeout
        {
            refusal.kind = OutcomeKind::Unknown;
        }
        match &reply {
            Ok(Reply::Refused(refusal)) if !is_autocommit => self.transaction = Transaction::Failed(refusal.clone()),
            // A fault ends the run; nobody is to commit what came before it.
            Err(_) if !is_autocommit => self.link = None,
            _ => {}
        }
        reply
    }

    async fn command(
        &mut self,
        text: &'static str,
        takes_effect: bool,
        deadline: Instant,
    ) -> Result<Reply, TargetError> {
        let answer = self.ask(Request::Command(text), takes_effect, deadline).await;
        answer.or_else(|failure| refused(text, failure))
    }

    /// Rolls back what was begun, if the connection still does that; else gives it up.
    async fn end_attempt(&mut self) {
        let has_begun = !matches!(self.transaction, Transaction::None) || self.shared.may_begin;
        self.transaction = Transaction::None;
        let is_live = self.link.as_ref().is_some_and(|link| !link.client.is_closed());
        if is_live && has_begun {
            let reply = self.command("ROLLBACK", false, Instant::now() + RESET_DEADLINE).await;
            if !matches!(reply, Ok(Reply::Done(_))) {
                self.link = None;
            }
        }
        if self.link.as_ref().is_none_or(|link| link.client.is_closed()) {
            self.give_up();
        }
    }

    /// Closes the socket. The process that served it may still hold locks: it is ended when the round is over.
    fn give_up(&mut self) {
        self.link = None;
        if let Some(process) = self.process.take() {
            self.shared.watch.give_up(&process);
        }
    }

    /// Opens a new connection once the process that served the former one is gone.
    async fn reconnect(&mut self) -> Result<(), TargetError> {
        self.give_up();
        self.transaction = Transaction::None;
        self.shape = None;
        self.shared.watch.settle().await?;
        self.shared.watch.remove(self.pid);
        let link = patiently(|| self.shared.connect_session(name(self.worker))).await?;
        self.pid = link.pid;
        self.process = Some(link.process.clone());
        self.shared.watch.add(self.pid, self.worker);
        self.link = Some(link);
        Ok(())
    }
}

impl Session for PostgresSession {
    /// Costs nothing unless fixtures or steps may have changed the shape of tables since the last time.
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        async move {
            if self.link.is_none() {
                self.reconnect().await?;
            }
            self.prepare_if_stale().await?;
            // Fixtures may have made what was missing.
            self.prepare_missing().await?;
            let was_open = std::mem::replace(&mut self.is_open, true);
            let can_be_made = self.shared.may_make.load(Ordering::Acquire);
            if was_open && !can_be_made && self.prepared.iter().any(Option::is_none) {
                return self.shared.never_asked().map_or(Ok(()), Err);
            }
            Ok(())
        }
        .boxed()
    }

    fn has_prepared(&mut self) -> bool {
        std::mem::take(&mut self.has_prepared)
    }

    fn call<'a>(
        &'a mut self,
        bound: &'a mut Bound,
        deadline: Instant,
        _pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>> {
        async move {
            let call: &mut Call = bound.get()?;
            let reply = self.call_statement(call.statement, &call.args, deadline).await?;
            unless_full(reply, self.shared.server.is_private(), POSTGRES_FULL)
        }
        .boxed()
    }

    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        Some(self)
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        self.end_attempt().map(Ok).boxed()
    }

    fn needs_cleaning(&self) -> bool {
        self.is_used
    }

    fn clean(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        async move {
            let may_have_begun = !matches!(self.transaction, Transaction::None) || self.shared.may_begin;
            self.transaction = Transaction::None;
            // As in `ask`: a call that is dropped takes its connection with it.
            if let Some(link) = self.link.take().filter(|link| !link.client.is_closed()) {
                let prepared = self.prepared.iter().flatten().count();
                let cleaned = leftovers::remove(&link.client, may_have_begun, prepared, RESET_DEADLINE).await;
                self.link = cleaned.is_ok().then_some(link);
            }
            if self.link.is_none() {
                self.reconnect().await?;
            }
            self.is_used = false;
            Ok(())
        }
        .boxed()
    }
}

impl Transactions for PostgresSession {
    fn begin(&mut self, isolation: Isolation, deadline: Instant) -> BoxFuture<'_, Result<Reply, TargetError>> {
        async move {
            self.prepare_if_stale().await?;
            let reply = self.command(begin(isolation), false, deadline).await?;
            if matches!(reply, Reply::Done(_)) {
                self.transaction = Transaction::Open;
            }
            Ok(reply)
        }
        .boxed()
    }

    /// The driver does not tell a COMMIT from the rollback that a failed transaction's COMMIT is: what was refused is
    /// remembered here instead.
    fn commit(&mut self, deadline: Instant) -> BoxFuture<'_, Result<Reply, TargetError>> {
        async move {
            match std::mem::replace(&mut self.transaction, Transaction::None) {
                Transaction::Failed(refusal) => {
                    self.command("ROLLBACK", false, deadline).await?;
                    Ok(Reply::Refused(refusal))
                }
                Transaction::Open | Transaction::None => {
                    let idle_ends = self.link.as_ref().map(Link::idle_ends);
                    let reply = self.command("COMMIT", true, deadline).await?;
                    let reply = unless_full(reply, self.shared.server.is_private(), POSTGRES_FULL)?;
                    match self.link.as_ref().map(Link::idle_ends) {
                        now @ Some(_) if now > idle_ends => Err(fault::already_ended()),
                        _ => Ok(reply),
                    }
                }
            }
        }
        .boxed()
    }
}

impl Drop for PostgresSession {
    fn drop(&mut self) {
        self.give_up();
        self.shared.watch.remove(self.pid);
    }
}

/// What a worker's connection is called.
fn name(worker: usize) -> String {
    format!("session {worker}")
}

const fn begin(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::ReadUncommitted => "BEGIN ISOLATION LEVEL READ UNCOMMITTED",
        Isolation::ReadCommitted => "BEGIN ISOLATION LEVEL READ COMMITTED",
        Isolation::RepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
        Isolation::Serializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
    }
}

/// Whether nothing that a scenario could make would help the statement.
fn is_syntax_error(error: &Error) -> bool {
    error.code().is_none_or(|code| code.code() == "42601")
}

/// A fault, of the request number `request`.
fn of_request(request: usize, fault: TargetError) -> TargetError {
    TargetError::Request { request, message: fault.to_string() }
}
