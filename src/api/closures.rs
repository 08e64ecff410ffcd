//! The driver of races from Rust: its targets call closures.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::refused::Refused;
use crate::engine::{Actor, Deeds};
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{
    BarrierBroken, Bound, Description, Done, Driver, Field, Given, Layout, Literal, Misfit, Need, NoRules, Options,
    Pause, Refusal, Reply, Request, RequestSpec, ResultShape, ServerOrigin, Session, Shape, Source, Target,
    TargetError, TargetSpec, Usage, Wait,
};
use crate::requeue::requeue;
use crate::value::Value;

/// What a closure knows of its attempt.
#[derive(Debug, Clone)]
pub struct Context {
    /// The worker's number, from 0.
    pub worker: usize,
    /// The round's number, from 0.
    pub round: u64,
    barriers: mpsc::UnboundedSender<Arrival>,
}

#[derive(Debug)]
struct Arrival {
    barrier: String,
    passed: oneshot::Sender<Result<(), BarrierBroken>>,
}

impl Context {
    /// Waits until every worker has come to the barrier, or can no longer come. An error if the barrier broke: pass it on with
    /// `?`, and the attempt ends as a broken barrier.
    pub async fn barrier(&self, name: &str) -> Result<(), Refused> {
        let (sender, passed) = oneshot::channel();
        let broken = || {
            let message = format!("barrier `{name}` was not completed");
            Refused::new(OutcomeKind::BrokenBarrier, "barrier", message).because(Cause::Barrier)
        };
        self.barriers.send(Arrival { barrier: name.to_owned(), passed: sender }).map_err(|_| broken())?;
        match passed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(BarrierBroken)) | Err(_) => Err(broken()),
        }
    }
}

/// A worker's attempt.
pub(super) type Work = Arc<dyn Fn(Context) -> BoxFuture<'static, Result<(), Refused>> + Send + Sync>;
/// What is done before each round.
pub(super) type Hook = Arc<dyn Fn(u64) -> BoxFuture<'static, Result<(), Refused>> + Send + Sync>;
/// What an invariant reads.
pub(super) type Read = Arc<dyn Fn() -> BoxFuture<'static, Result<Value, Refused>> + Send + Sync>;

/// The closures of a race.
#[derive(Clone, Default)]
pub(super) struct Closures {
    /// What workers do: the case's own first, then each control's.
    pub(super) works: Vec<Work>,
    pub(super) hooks: Vec<Hook>,
    pub(super) reads: Vec<Read>,
}

impl fmt::Debug for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closures").field("works", &self.works.len()).finish_non_exhaustive()
    }
}

pub(super) static CLOSURES: ClosureDriver = ClosureDriver;

pub(super) struct ClosureDriver;

pub(super) const WORD: &str = "closures";

const fn whole(key: &'static str, doc: &'static str) -> Field {
    Field { key, shape: Shape::Value, need: Need::Default(Literal::Int(0)), doc }
}

const WHICH: Field = whole("which", "Which closure.");

const FIELDS: &[Field] = &[WHICH, whole("worker", "The worker."), whole("round", "The round.")];

const fn spec(key: &'static str, usages: &'static [Usage], result: &'static str, doc: &'static str) -> RequestSpec {
    RequestSpec {
        key,
        word: key,
        doc,
        usages,
        layout: Layout::Table,
        fields: FIELDS,
        result: ResultShape::Value(result),
        may_write: true,
        pauses: &[],
        rules: &NoRules,
    }
}

static REQUESTS: [RequestSpec; 3] = [
    spec("work", &[Usage::Step], "result", "Calls a worker's closure."),
    spec("hook", &[Usage::Fixture], "result", "Calls a closure before the round."),
    spec("read", &[Usage::Probe], "found", "Calls a closure that reads the final state."),
];

impl Driver for ClosureDriver {
    fn word(&self) -> &'static str {
        WORD
    }

    fn options(&self) -> &'static [Field] {
        &[]
    }

    fn requests(&self) -> &'static [RequestSpec] {
        &REQUESTS
    }

    fn configure(&self, _: &Given) -> Result<Options, Misfit> {
        Ok(Options::new(Closures::default()))
    }

    fn sessions_take_files(&self, _: &Options) -> bool {
        false
    }

    fn open<'a>(
        &'a self,
        spec: &'a TargetSpec,
        _: &'a Source,
        _: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Target>, TargetError>> {
        let closures = spec.options.get::<Closures>().cloned().unwrap_or_default();
        let description = Description {
            driver: WORD.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            origin: ServerOrigin::Embedded,
            ..Description::default()
        };
        ready(Ok(Box::new(ClosureTarget { closures, description }) as Box<dyn Target>)).boxed()
    }
}

struct ClosureTarget {
    closures: Closures,
    description: Description,
}

/// A worker's call, ready to be made.
struct Call {
    work: Work,
    worker: usize,
    round: u64,
}

/// The number in a field.
fn number(request: &Request<Value>, key: &str) -> u64 {
    match request.one(key) {
        Some(Value::Int(number)) => u64::try_from(*number).unwrap_or(0),
        _ => 0,
    }
}

/// The closure that a request names.
fn chosen<'a, T>(closures: &'a [T], request: &Request<Value>) -> Result<&'a T, TargetError> {
    let which = usize::try_from(number(request, WHICH.key)).unwrap_or(usize::MAX);
    closures.get(which).ok_or_else(|| TargetError::Fault { message: format!("there is no closure number {which}") })
}

impl Target for ClosureTarget {
    fn description(&self) -> &Description {
        &self.description
    }

    fn apply<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<(), TargetError>> {
        async move {
            let hook = chosen(&self.closures.hooks, request)?;
            let done = hook(number(request, "round")).await;
            done.map_err(|refused| TargetError::Environment { message: format!("before the round: {refused}") })
        }
        .boxed()
    }

    fn bind(&self, _: usize, request: &Request<Value>, _: usize) -> Result<Bound, TargetError> {
        let work = chosen(&self.closures.works, request)?.clone();
        let worker = usize::try_from(number(request, "worker")).unwrap_or(usize::MAX);
        Ok(Bound::new(Call { work, worker, round: number(request, "round") }))
    }

    fn session(&self, _: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>> {
        ready(Ok(Box::new(ClosureSession) as Box<dyn Session>)).boxed()
    }

    fn observe<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<Done, TargetError>> {
        async move {
            let read = chosen(&self.closures.reads, request)?;
            match read().await {
                Ok(found) => Ok(Done::result(found)),
                Err(refused) => Err(TargetError::Environment { message: refused.to_string() }),
            }
        }
        .boxed()
    }

    fn waits(&self) -> BoxFuture<'_, Result<Vec<Wait>, TargetError>> {
        ready(Ok(Vec::new())).boxed()
    }

    fn sees_waits(&self) -> bool {
        false
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }
}

struct ClosureSession;

impl Session for ClosureSession {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }

    fn call<'a>(
        &'a mut self,
        bound: &'a mut Bound,
        deadline: Instant,
        pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>> {
        async move {
            let call: &mut Call = bound.get()?;
            let (barriers, arrivals) = mpsc::unbounded_channel();
            let context = Context { worker: call.worker, round: call.round, barriers };
            // Code that never waits would run to its end before the next worker begins, on a runtime of one thread.
            requeue().await;
            let attempt = meeting((call.work)(context), arrivals, pause);
            Ok(match timeout_at(deadline, attempt).await {
                Ok(Ok(())) => Reply::Done(Done::nothing()),
                Ok(Err(refused)) => Reply::Refused(refused.into()),
                Err(_) => {
                    let message = "the closure did not end by the step's deadline and was dropped; what it did may have taken effect";
                    Reply::Refused(Refusal::new(OutcomeKind::Unknown, Cause::Deadline, "deadline", message))
                }
            })
        }
        .boxed()
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }
}

/// Drives a closure, and takes it past its barriers.
async fn meeting(
    mut attempt: BoxFuture<'static, Result<(), Refused>>,
    mut arrivals: mpsc::UnboundedReceiver<Arrival>,
    pause: Option<&dyn Pause>,
) -> Result<(), Refused> {
    let mut waiting = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            ended = &mut attempt => return ended,
            Some(Arrival { barrier, passed }) = arrivals.recv() => waiting.push(async move {
                let reached = match pause {
                    Some(pause) => pause.reached(&barrier).await,
                    None => Ok(()),
                };
                // A closure that no longer waits has given up its barrier.
                let _ = passed.send(reached);
            }),
            Some(()) = waiting.next() => {}
        }
    }
}

/// A fault: a closure that acts while the workers race.
pub(super) struct Fault {
    pub(super) name: String,
    pub(super) act: Hook,
}

impl Actor for Fault {
    fn name(&self) -> &str {
        &self.name
    }

    fn act<'a>(&'a self, round: u64, deeds: &'a Deeds) -> BoxFuture<'a, ()> {
        async move {
            deeds.note(&self.name, "began");
            match (self.act)(round).await {
                Ok(()) => deeds.note(&self.name, "ended"),
                Err(refused) => deeds.note(&self.name, format!("failed: {refused}")),
            }
        }
        .boxed()
    }
}
