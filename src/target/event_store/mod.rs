//! The reference event store as a target: one or several instances, one connection per worker.

mod home;
mod session;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::time::Instant;

use super::{Description, Done, Holder, Reply, Session, Target, TargetError, Wait};
use crate::endpoints::Source;
use crate::event_store::{EventStore, Instance, InstanceOptions};
use crate::plan::{Operation, StoreOptions, TargetSpec};
use crate::value::Value;
use home::Home;
use session::{StoreSession, fill};

/// How long one operation of a fixture or an invariant may take, and one of a worker at most.
const OPERATION_DEADLINE: Duration = Duration::from_secs(30);

/// The number under which the control connection calls: no worker has it.
const CONTROL: u32 = u32::MAX;

/// An event store with a file, schema or stream of its own.
struct StoreTarget {
    description: Description,
    home: Arc<Home>,
    instances: Vec<Arc<Instance>>,
    /// Fixtures and invariants read and write past the instances that race: no guard, no cache.
    control: EventStore,
}

/// Opens an event store in `space`: a schema or stream name of its own.
pub(super) async fn open(
    spec: &TargetSpec,
    options: &StoreOptions,
    source: &Source,
    space: &str,
) -> Result<Box<dyn Target>, TargetError> {
    let home = Arc::new(Home::open(spec, options, source, space).await?);
    match furnish(&home, options, source).await {
        Ok(target) => Ok(Box::new(target)),
        Err(error) => Err(error.besides(home.close().await)),
    }
}

/// The instances and connections of a home that there is already.
async fn furnish(home: &Arc<Home>, options: &StoreOptions, source: &Source) -> Result<StoreTarget, TargetError> {
    let fault = |error: &dyn std::fmt::Display| TargetError::Fault { message: error.to_string() };
    let instance = |options| Instance::new(home.backend(), options).map(Arc::new).map_err(|error| fault(&error));
    let racing = InstanceOptions {
        guard: options.guard,
        lookup: options.lookup,
        cache: options.cache,
        mutex_deadline: OPERATION_DEADLINE,
    };
    let instances = (0..options.instances).map(|_| instance(racing)).collect::<Result<Vec<_>, _>>()?;
    let control = EventStore::new(instance(InstanceOptions::default())?, home.connection("control").await?);
    let description = home.description(options, source).await?;
    Ok(StoreTarget { description, home: home.clone(), instances, control })
}

impl Target for StoreTarget {
    fn description(&self) -> &Description {
        &self.description
    }

    fn apply<'a>(&'a self, operation: &'a Operation<Value>) -> BoxFuture<'a, Result<(), TargetError>> {
        Box::pin(async move {
            if let Operation::Fill { actor, events } = operation {
                return fill(&self.control, actor, events).await;
            }
            self.control_call(operation).await.map(drop)
        })
    }

    fn session(&self, worker: usize) -> BoxFuture<'_, Result<Box<dyn Session>, TargetError>> {
        Box::pin(async move {
            let instance = self.instances[worker % self.instances.len()].clone();
            let session = StoreSession::open(self.home.clone(), instance, worker).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }

    fn observe<'a>(&'a self, operation: &'a Operation<Value>) -> BoxFuture<'a, Result<Done, TargetError>> {
        Box::pin(self.control_call(operation))
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
        Box::pin(self.home.close())
    }
}

impl StoreTarget {
    /// Calls the store past its racing instances; a refusal is an error here.
    async fn control_call(&self, operation: &Operation<Value>) -> Result<Done, TargetError> {
        let deadline = Instant::now() + OPERATION_DEADLINE;
        match session::call(&self.control, CONTROL, operation, deadline, None).await? {
            Reply::Done(done) => Ok(done),
            Reply::Refused(refusal) => Err(TargetError::Environment {
                message: format!(
                    "`{}` of the event store was refused: {} ({})",
                    operation.word(),
                    refusal.message,
                    refusal.code
                ),
            }),
        }
    }
}
