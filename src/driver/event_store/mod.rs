//! The reference event store as a target: one or several instances, one connection per worker.

mod call;
mod driver;
mod resources;
mod session;
pub mod sqlite_code;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::call::Call;
use self::driver::StoreOptions;
pub use self::driver::{EVENT_STORE, EventStoreDriver};
use super::reconnect::patiently;
use crate::event_store::{EventStore, Instance, InstanceOptions};
use crate::outcome::OutcomeKind;
use crate::port::{
    Bound, Description, Done, Holder, Refusal, Reply, Request, Session, Source, Target, TargetError, Wait,
};
use crate::value::Value;
use resources::StoreResources;
use session::{StoreSession, has_no_reply};

/// How long one operation of a fixture or an invariant may take, and one of a worker at most.
const OPERATION_DEADLINE: Duration = Duration::from_secs(30);

/// How long filling an actor's history may take.
const FILL_DEADLINE: Duration = Duration::from_secs(600);

/// The number under which the control connection calls: no worker has it.
const CONTROL: u32 = u32::MAX;

/// The name under which the server knows the control connection.
const CONTROL_NAME: &str = "control";

/// An event store with a file, schema or stream of its own.
struct StoreTarget {
    description: Description,
    resources: Arc<StoreResources>,
    instances: Vec<Arc<Instance>>,
    /// Fixtures and invariants read and write past the instances that race: no guard, no cache.
    control: Mutex<Option<Arc<EventStore>>>,
    /// The instance that fixtures and invariants go through.
    past: Arc<Instance>,
}

/// Opens an event store in `namespace`: a schema or stream name of its own.
async fn open(
    name: &str,
    options: &StoreOptions,
    source: &Source,
    namespace: &str,
) -> Result<Box<dyn Target>, TargetError> {
    let resources = Arc::new(StoreResources::open(name, options, source, namespace).await?);
    match furnish(&resources, options, source).await {
        Ok(target) => Ok(Box::new(target)),
        Err(error) => Err(error.with_cleanup(resources.close().await)),
    }
}

/// The instances and connections of resources that there are already.
async fn furnish(
    resources: &Arc<StoreResources>,
    options: &StoreOptions,
    source: &Source,
) -> Result<StoreTarget, TargetError> {
    let fault = |error: &dyn std::fmt::Display| TargetError::Fault { message: error.to_string() };
    let instance = |options| Instance::new(resources.backend(), options).map(Arc::new).map_err(|error| fault(&error));
    let racing = InstanceOptions {
        guard: options.guard,
        lookup: options.lookup,
        cache: options.cache,
        mutex_deadline: OPERATION_DEADLINE,
    };
    let instances = (0..options.instances).map(|_| instance(racing)).collect::<Result<Vec<_>, _>>()?;
    let past = instance(InstanceOptions::default())?;
    let control = EventStore::new(past.clone(), resources.connection(CONTROL_NAME).await?);
    let control = Mutex::new(Some(Arc::new(control)));
    let description = resources.description(options, source).await?;
    Ok(StoreTarget { description, resources: resources.clone(), instances, control, past })
}

impl Target for StoreTarget {
    fn description(&self) -> &Description {
        &self.description
    }

    fn apply<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move { self.ask(request).await.map(drop) })
    }

    fn bind(&self, _: usize, request: &Request<Value>, session: usize) -> Result<Bound, TargetError> {
        Call::of(request, u32::try_from(session).unwrap_or(u32::MAX)).map(Bound::new)
    }

    fn session(&self, worker: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>> {
        Box::pin(async move {
            let instance = self.instances[worker % self.instances.len()].clone();
            let session = StoreSession::open(self.resources.clone(), instance, worker).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn observe<'a>(&'a self, request: &'a Request<Value>) -> BoxFuture<'a, Result<Done, TargetError>> {
        Box::pin(self.ask(request))
    }

    fn waits(&self) -> BoxFuture<'_, Result<Vec<Wait>, TargetError>> {
        let waits = self.instances.iter().flat_map(|instance| instance.waits());
        let waits = waits.map(|(waiter, holder)| Wait {
            waiter: waiter.0 as usize,
            holders: vec![Holder::Worker(holder.0 as usize)],
        });
        let waits = waits.collect();
        Box::pin(async move { Ok(waits) })
    }

    fn sees_waits(&self) -> bool {
        true
    }

    fn close(&self) -> BoxFuture<'_, Result<(), TargetError>> {
        Box::pin(self.resources.close())
    }
}

impl StoreTarget {
    /// The store past its racing instances, over a connection that is opened again if it was lost.
    async fn control(&self) -> Result<Arc<EventStore>, TargetError> {
        let mut control = self.control.lock().await;
        if let Some(store) = control.as_ref().filter(|store| !store.is_lost()) {
            return Ok(store.clone());
        }
        *control = None;
        let connection = patiently(|| self.resources.connection_again(CONTROL_NAME)).await?;
        let store = Arc::new(EventStore::new(self.past.clone(), connection));
        *control = Some(store.clone());
        Ok(store)
    }

    /// Calls the store past its racing instances. A connection on which a reply is missing is not used again.
    async fn ask(&self, request: &Request<Value>) -> Result<Done, TargetError> {
        let call = Call::of(request, CONTROL)?;
        let store = self.control().await?;
        let limit = if matches!(call, Call::Fill { .. }) { FILL_DEADLINE } else { OPERATION_DEADLINE };
        let reply = session::call(&store, CONTROL, &call, Instant::now() + limit, None).await?;
        if matches!(&reply, Reply::Refused(refusal) if has_no_reply(refusal)) {
            *self.control.lock().await = None;
        }
        done(&call, reply)
    }
}

/// What was done outside of a race, where a refusal is an error.
fn done(call: &Call, reply: Reply) -> Result<Done, TargetError> {
    match reply {
        Reply::Done(done) => Ok(done),
        Reply::Refused(refusal) => {
            let Refusal { kind, code, message, .. } = &refusal;
            let message = format!("`{}` of the event store was refused: {message} ({code})", call.word());
            let is_lost = matches!(kind, OutcomeKind::Unknown | OutcomeKind::Disconnected);
            Err(if is_lost { TargetError::Lost { message } } else { TargetError::Environment { message } })
        }
    }
}
