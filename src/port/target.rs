//! A system raced against, and one worker's connection to it.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::request::Request;
use super::spec::{Isolation, ServerOrigin};
use crate::outcome::{Cause, OutcomeKind};
use crate::said::Said;
use crate::value::Value;

/// A system raced against, with a schema, stream or file of its own for one case.
///
/// Protocol: fixtures are `apply`d; one `session` per worker is opened; sessions race. When all attempts of a round have
/// ended, `settle` ends what is still in flight, `observe` reads the final state, and then the sessions and the target are
/// `clean`ed. `close` removes what the case created. All but `session` use control connections of the target's own.
pub trait Target: Send + Sync {
    /// What is on the other side.
    fn description(&self) -> &Description;

    /// Carries out one request of a fixture. SQL without arguments may hold several statements. One whose answer is lost
    /// is [`TargetError::Lost`], and never repeated.
    fn apply<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<(), TargetError>>;

    /// Makes a call of the request number `index` of [`super::TargetSpec::requests`], with the values of one attempt, for session
    /// number `session`. Called before the release wherever the values are known by then.
    fn bind(&self, index: usize, request: &Request<Value>, session: usize) -> Result<Bound, TargetError>;

    /// Opens session number `worker`: connected, settings applied, nothing prepared yet. Workers that are alike change
    /// sessions from round to round.
    fn session(&self, worker: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>>;

    /// A request that the system could not once be asked in the whole case, such as one with a table that never was
    /// there, as [`TargetError::Request`]: a fault of the scenario, whatever its outcomes were expected to be.
    fn never_asked(&self) -> Option<TargetError> {
        None
    }

    /// Ends what connections that were given up may still have in flight, and returns when it is seen to be over. Called
    /// when all attempts of a round have ended, before `observe`; the other sessions keep what they hold.
    fn settle(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }

    /// Removes what reading the final state left in the target's own connections. Called at the end of each round.
    fn clean(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }

    /// Reads state for an invariant. A refusal is an error here: the invariant could not be evaluated. A read whose answer is
    /// lost is [`TargetError::Lost`], and may be asked once more.
    fn observe<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<Done, TargetError>>;

    /// Who waits for whom at this moment, as far as the system can tell.
    fn waits(&self) -> BoxFuture<'_, Result<Vec<Wait>, TargetError>>;

    /// Whether `waits` can ever report anything.
    fn sees_waits(&self) -> bool;

    /// Removes the case's schema, stream or file. Sessions are closed before.
    fn close(&self) -> BoxFuture<'_, Result<(), TargetError>>;
}

/// Reads state for an invariant. A read whose answer is lost is asked once more, over a new connection: it changes nothing.
pub async fn read(target: &dyn Target, request: &Request<Value>) -> Result<Done, TargetError> {
    match target.observe(request).await {
        Err(TargetError::Lost { .. }) => target.observe(request).await,
        read => read,
    }
}

/// One worker's connection to a target.
///
/// `Err` means the harness could not ask. Whatever the system answered, or left unanswered, is a [`Reply`].
/// Every call returns by its deadline, plus the short time it takes to cancel what is in flight.
pub trait Session: Send {
    /// Prepares the target's requests, if the system can be told of them ahead. Called when the session was opened, and
    /// before every round: it does nothing where they are still as prepared as they were. What needs something that only
    /// the round will make is prepared at its first use.
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>>;

    /// Carries out a call that [`Target::bind`] of the same target made.
    fn call<'a>(
        &'a mut self,
        bound: &'a mut Bound,
        deadline: Instant,
        pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>>;

    /// Its transactions, if its driver has them.
    fn transactions(&mut self) -> Option<&mut dyn Transactions> {
        None
    }

    /// Whether the last call had to prepare its statement first, which tells nothing of how long it takes.
    fn has_prepared(&mut self) -> bool {
        false
    }

    /// Ends an attempt that failed, as a client would: rolls back over the live connection, or closes the socket. What
    /// the session holds beyond its transaction, such as a lock, it keeps until `clean`: the other workers are to meet it.
    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>>;

    /// Whether `clean` has something to do.
    fn needs_cleaning(&self) -> bool {
        false
    }

    /// Makes the session as if it were new: nothing of a round reaches the next. Called when all attempts of the round have
    /// ended and its final state was read.
    fn clean(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }
}

/// The transactions of a session.
pub trait Transactions: Send {
    /// Begins one.
    fn begin(&mut self, isolation: Isolation, deadline: Instant) -> BoxFuture<'_, Result<Reply, TargetError>>;

    /// Commits it. A commit of a failed transaction is never reported as done.
    fn commit(&mut self, deadline: Instant) -> BoxFuture<'_, Result<Reply, TargetError>>;
}

/// A call that is ready to be carried out, in a driver's own form. Only the driver can look into it.
pub struct Bound(Box<dyn Any + Send + Sync>);

impl Bound {
    /// Wraps a driver's call.
    pub fn new<T: Any + Send + Sync>(call: T) -> Self {
        Bound(Box::new(call))
    }

    /// The call, of the driver that made it.
    pub fn get<T: Any>(&mut self) -> Result<&mut T, TargetError> {
        let foreign =
            || TargetError::Fault { message: "a session was given a call that another driver made".to_owned() };
        self.0.downcast_mut().ok_or_else(foreign)
    }
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bound")
    }
}

/// A barrier inside a target's operation.
pub trait Pause: Send + Sync {
    /// Called by the target at one of the operation's pause points; returns when the worker may go on. Where nobody waits
    /// at that point it returns at once.
    fn reached<'a>(&'a self, point: &'a str) -> BoxFuture<'a, Result<(), BarrierBroken>>;
}

/// The barrier at a pause point was never completed: the operation must end without its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarrierBroken;

/// What a system answered.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq))]
pub enum Reply {
    /// It did what was asked.
    Done(Done),
    /// It did not, or it is not known whether it did.
    Refused(Refusal),
}

/// The result of something done.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// For SQL: the rows. Otherwise empty.
    pub rows: Vec<Vec<Value>>,
    /// For SQL: how many rows were returned or changed.
    pub affected: u64,
    /// For everything else: the result.
    pub result: Value,
}

impl Done {
    /// Done, with nothing to tell.
    pub const fn nothing() -> Self {
        Done { rows: Vec::new(), affected: 0, result: Value::Null }
    }

    /// Done, with a result that is not rows.
    pub const fn result(result: Value) -> Self {
        Done { rows: Vec::new(), affected: 0, result }
    }

    /// The rows as the value that expressions see: a list of lists.
    pub fn rows(&self) -> Value {
        Value::list(self.rows.iter().map(|row| Value::List(row.as_slice().into())))
    }

    /// All of it as one value, for histories: the result, or `rows` and `affected`.
    pub(crate) fn to_value(&self) -> Value {
        match &self.result {
            Value::Null => {
                let affected = Value::Int(i64::try_from(self.affected).unwrap_or(i64::MAX));
                Value::map([("rows", self.rows()), ("affected", affected)])
            }
            result => result.clone(),
        }
    }

    /// How many rows, or entries of a list or map, it has.
    pub(crate) fn entries(&self) -> usize {
        let entries = match &self.result {
            Value::List(entries) => entries.len(),
            Value::Map(entries) => entries.len(),
            _ => 0,
        };
        self.rows.len() + entries
    }
}

/// A refusal, classified by the target's table.
#[derive(Debug, Clone)]
#[cfg_attr(test, derive(PartialEq, Eq))]
pub struct Refusal {
    /// Its class; never `Success`.
    pub kind: OutcomeKind,
    /// What brought it about.
    pub cause: Cause,
    /// The system's code: SQLSTATE, SQLite's extended code, JetStream's `err_code`; or our own word, such as `no-snapshot`.
    pub code: String,
    /// The system's message.
    pub message: Said,
}

impl Refusal {
    /// A refusal of the class `kind`.
    pub fn new(kind: OutcomeKind, cause: Cause, code: impl Into<String>, message: impl Into<String>) -> Self {
        Refusal { kind, cause, code: code.into(), message: Said::new(message) }
    }
}

/// A session that the system sees waiting, by its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// Who waits.
    pub waiter: usize,
    /// The holders, directly.
    pub holders: Vec<Holder>,
}

/// Who is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// The worker that has this session.
    Worker(usize),
    /// Somebody else, named for the message.
    Other(String),
}

/// What is known of the other side of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The driver's word, with the backend for an event store: `event-store/sqlite`.
    pub driver: String,
    /// The server's version, or the embedded library's.
    pub version: String,
    /// Where it came from.
    pub origin: ServerOrigin,
    /// Settings that matter when reports are compared, such as `fsync`.
    pub settings: BTreeMap<String, String>,
    /// Remarks for the user, such as a setting that the server refused.
    pub warnings: Vec<String>,
}

impl TargetError {
    /// This error, and what came of cleaning up after it if that failed as well.
    pub(crate) fn with_cleanup(mut self, cleaned: Result<(), TargetError>) -> Self {
        if let Err(error) = cleaned {
            let (TargetError::Fault { message }
            | TargetError::Request { message, .. }
            | TargetError::Lost { message }
            | TargetError::Environment { message }) = &mut self;
            message.push_str(&format!("\ncleanup also failed: {error}"));
        }
        self
    }
}

/// The harness could not ask.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The scenario asks for something that cannot be: a table that does not exist, an argument of the wrong type. Exit code 64.
    #[error("{message}")]
    Fault {
        /// What is wrong, with the system's code.
        message: String,
    },
    /// As [`TargetError::Fault`], in one of the requests that were compiled.
    #[error("{message}")]
    Request {
        /// Index into [`super::TargetSpec::requests`].
        request: usize,
        /// What is wrong, with the system's code.
        message: String,
    },
    /// The connection was lost before the answer to a fixture or an invariant came: whether a fixture took effect is not
    /// known. It is asked over a new connection, if it may be asked once more.
    #[error("{message}")]
    Lost {
        /// What happened, and what to do.
        message: String,
    },
    /// The system is not there, or refuses us altogether. Exit code 10.
    #[error("{message}")]
    Environment {
        /// What happened, and what to do.
        message: String,
    },
}
