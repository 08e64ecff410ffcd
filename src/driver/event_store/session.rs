//! One worker's use of the event store: operations in, replies out.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use tokio::time::{Instant, timeout_at};

use super::call::Call;
use super::resources::StoreResources;
use super::sqlite_code;
use crate::driver::jetstream::api_code;
use crate::driver::postgres::sqlstate;
use crate::driver::reconnect::patiently;
use crate::event_store::{
    self, Appended, Backend, Caller, EventStore, Instance, NewEvent, PauseBroken, PausePoint, Silence, Snapshot,
    StoreError,
};
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{Bound, Done, Pause, Refusal, Reply, Session, TargetError};
use crate::value::Value;

/// A worker's connection to the store, and the instance it works through.
pub(super) struct StoreSession {
    resources: Arc<StoreResources>,
    worker: usize,
    store: EventStore,
    /// A reply was missed: the connection may be dead or still busy.
    lost: bool,
}

impl StoreSession {
    pub(super) async fn open(
        resources: Arc<StoreResources>,
        instance: Arc<Instance>,
        worker: usize,
    ) -> Result<Self, TargetError> {
        let connection = resources.connection(&format!("session-{worker}")).await?;
        Ok(StoreSession { resources, worker, store: EventStore::new(instance, connection), lost: false })
    }

    /// Connects again if the connection was lost, or if a reply is still due on it.
    async fn renew(&mut self) -> Result<(), TargetError> {
        if self.lost || self.store.is_lost() {
            let name = format!("session-{}", self.worker);
            let connection = patiently(|| self.resources.connection_again(&name)).await?;
            self.store = EventStore::new(self.store.instance().clone(), connection);
            self.lost = false;
        }
        Ok(())
    }
}

impl Session for StoreSession {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        // The connection prepared its statements when it was opened.
        self.renew().boxed()
    }

    fn call<'a>(
        &'a mut self,
        bound: &'a mut Bound,
        deadline: Instant,
        pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>> {
        Box::pin(async move {
            let caller = u32::try_from(self.worker).unwrap_or(u32::MAX);
            let reply = call(&self.store, caller, bound.get()?, deadline, pause).await?;
            self.lost |= matches!(&reply, Reply::Refused(refusal) if has_no_reply(refusal));
            self.resources.unless_full(reply)
        })
    }

    /// Nothing is held beyond a call. A connection that was lost stays lost until the round is over.
    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }

    fn needs_cleaning(&self) -> bool {
        self.lost || self.store.is_lost()
    }

    fn clean(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        self.renew().boxed()
    }
}

/// Our code for a reply that never came.
const NO_REPLY: &str = "no-reply";

/// Whether the reply never came: the connection may be gone, or still busy.
pub(super) fn has_no_reply(refusal: &Refusal) -> bool {
    matches!(refusal.kind, OutcomeKind::Unknown | OutcomeKind::Timeout | OutcomeKind::Disconnected)
}

/// Carries out one call of the store.
pub(super) async fn call(
    store: &EventStore,
    caller: u32,
    call: &Call,
    deadline: Instant,
    pause: Option<&dyn Pause>,
) -> Result<Reply, TargetError> {
    let backend = store.instance().backend();
    let result = match timeout_at(deadline, carry_out(store, caller, call, pause)).await {
        Ok(result) => result,
        Err(_) => {
            let (kind, sent) = if store.is_writing() {
                (OutcomeKind::Unknown, "a write had been sent, so its effect is not known")
            } else {
                (OutcomeKind::Timeout, "no write was under way")
            };
            let message = format!("no reply to `{}` by the step's deadline; {sent}", call.word());
            return Ok(Reply::Refused(Refusal::new(kind, Cause::Deadline, NO_REPLY, message)));
        }
    };
    match result {
        Ok(reply) => Ok(reply),
        Err(error) => refused(backend, error).map(Reply::Refused),
    }
}

async fn carry_out(
    store: &EventStore,
    caller: u32,
    call: &Call,
    pause: Option<&dyn Pause>,
) -> Result<Reply, StoreError> {
    match call {
        Call::Append(event) => {
            let pause = pause.map(StorePause);
            let pause = pause.as_ref().map(|pause| pause as &dyn event_store::Pause);
            store.append(Caller(caller), event, pause).await.map(|appended| appended_reply(store, event, appended))
        }
        Call::LatestVersion { actor } => {
            let version = store.latest_version(actor).await;
            version.map(|version| Reply::Done(Done::result(Value::Int(version))))
        }
        Call::ReadEvents { actor, since } => store.events(actor, *since).await.map(events_reply),
        Call::SaveSnapshot(snapshot) => store.save_snapshot(snapshot).await.map(|saved| {
            let stored = saved == event_store::SnapshotSaved::Stored;
            Reply::Done(Done::result(Value::map([("stored", Value::Bool(stored))])))
        }),
        Call::LatestSnapshot { actor } => {
            store.latest_snapshot(actor).await.map(|snapshot| snapshot_reply(actor, snapshot))
        }
        Call::Fill { actor, events } => store.fill(actor, *events).await.map(|()| Reply::Done(Done::nothing())),
    }
}

fn appended_reply(store: &EventStore, event: &NewEvent, appended: Appended) -> Reply {
    match appended {
        Appended::Stored { position } => Reply::Done(Done::result(Value::map([
            ("version", Value::Int(event.version)),
            ("position", Value::Int(i64::try_from(position).unwrap_or(i64::MAX))),
        ]))),
        Appended::Conflict(conflict) => {
            let message = conflict.to_string();
            let code = conflict.code.unwrap_or_else(|| "version-conflict".to_owned());
            Reply::Refused(Refusal::new(OutcomeKind::Conflict, Cause::Server, code, message))
        }
        Appended::Refused(refusal) => Reply::Refused(answered(store.instance().backend(), refusal)),
        Appended::PauseBroken(PauseBroken { reason }) => {
            Reply::Refused(Refusal::new(OutcomeKind::BrokenBarrier, Cause::Barrier, "barrier", reason))
        }
    }
}

fn events_reply(read: event_store::EventsRead) -> Reply {
    if let Some(malformed) = read.malformed.first() {
        let message = format!(
            "{} of the stored events cannot be read, the first at position {}: {}",
            read.malformed.len(),
            malformed.position,
            malformed.reason
        );
        return Reply::Refused(not_an_event(message));
    }
    let events = read.events.into_iter().map(|event| {
        Value::map([
            ("id", Value::text(event.id)),
            ("actor", Value::text(event.actor)),
            ("type", Value::text(event.kind)),
            ("version", Value::Int(event.version)),
            ("data", Value::from_json(&event.data)),
            ("position", Value::Int(i64::try_from(event.position).unwrap_or(i64::MAX))),
        ])
    });
    Reply::Done(Done::result(Value::list(events)))
}

fn snapshot_reply(actor: &str, snapshot: Option<Snapshot>) -> Reply {
    match snapshot {
        Some(snapshot) => Reply::Done(Done::result(Value::map([
            ("version", Value::Int(snapshot.version)),
            ("data", Value::from_json(&snapshot.data)),
        ]))),
        None => {
            let message = format!("no snapshot of `{actor}` was ever saved");
            Reply::Refused(Refusal::new(OutcomeKind::Rejected, Cause::Server, "no-snapshot", message))
        }
    }
}

/// A refusal for an operation without a result, or the harness's own error.
fn refused(backend: Backend, error: StoreError) -> Result<Refusal, TargetError> {
    let message = error.to_string();
    Ok(match error {
        StoreError::Refused { refusal, .. } => answered(backend, refusal),
        StoreError::NoReply { sent, silence, .. } => {
            let cause = match silence {
                Silence::Deadline(_) => Cause::Deadline,
                Silence::Lost(_) => Cause::ConnectionLost,
                Silence::Unanswered(_) => Cause::Unanswered,
            };
            let kind = match (sent, silence) {
                (true, _) => OutcomeKind::Unknown,
                (false, Silence::Deadline(_)) => OutcomeKind::Timeout,
                (false, Silence::Lost(_) | Silence::Unanswered(_)) => OutcomeKind::Disconnected,
            };
            Refusal::new(kind, cause, NO_REPLY, message)
        }
        StoreError::Malformed { .. } => not_an_event(message),
        StoreError::Environment { .. } => return Err(TargetError::Environment { message }),
    })
}

/// What a server answered that refused.
fn answered(backend: Backend, refusal: event_store::Refusal) -> Refusal {
    let event_store::Refusal { code, message } = refusal;
    Refusal { kind: classify(backend, &code), cause: Cause::Server, code, message }
}

/// What is stored is not what the store writes.
fn not_an_event(message: String) -> Refusal {
    Refusal::new(OutcomeKind::Rejected, Cause::Malformed, "malformed", message)
}

/// What a server's code means, by the table of the server's own driver.
fn classify(backend: Backend, code: &str) -> OutcomeKind {
    match backend {
        Backend::Memory => OutcomeKind::Crash,
        Backend::Sqlite => sqlite_code::classify(code),
        Backend::Postgres => match sqlstate::meaning(code) {
            sqlstate::Meaning::Outcome(kind) => kind,
            sqlstate::Meaning::ConnectionLost => OutcomeKind::Disconnected,
        },
        Backend::JetStream => match code.parse() {
            Ok(code) => api_code::classify(code).unwrap_or(OutcomeKind::Crash),
            // The store's own word for a message that is too large for the client to send.
            Err(_) => OutcomeKind::Rejected,
        },
    }
}

/// The engine's pause as the store's.
struct StorePause<'a>(&'a dyn Pause);

impl event_store::Pause for StorePause<'_> {
    fn reached<'a>(&'a self, point: PausePoint) -> BoxFuture<'a, Result<(), PauseBroken>> {
        Box::pin(async move {
            let broken = |_| PauseBroken { reason: format!("the barrier `{}` was not completed", point.as_str()) };
            self.0.reached(point.as_str()).await.map_err(broken)
        })
    }
}
