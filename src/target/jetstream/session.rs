//! One worker's connection.

use std::sync::Arc;

use async_nats::Client;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::publish::Outgoing;
use super::stream::Stream;
use super::{REQUEST_LIMIT, connection, messages, not_for_streams};
use crate::outcome::OutcomeKind;
use crate::plan::{Isolation, Operation};
use crate::target::{Pause, Refusal, Reply, Session, TargetError};
use crate::value::Value;

pub(super) struct StreamSession {
    stream: Arc<Stream>,
    worker: usize,
    client: Client,
    /// An answer is still due on this connection.
    stale: bool,
}

impl StreamSession {
    pub(super) async fn open(stream: Arc<Stream>, worker: usize) -> Result<Self, TargetError> {
        let client = connect(&stream, worker).await?;
        Ok(StreamSession { stream, worker, client, stale: false })
    }

    async fn carry_out(&mut self, operation: &Operation<Value>, deadline: Instant) -> Result<Reply, TargetError> {
        if let Operation::Messages { subject } = operation {
            return messages::read(&self.client, &self.stream, subject, deadline).await;
        }
        let message = Outgoing::new(&self.stream, operation)?.ok_or_else(|| not_for_streams(operation))?;
        let reply = message.publish(&self.client, &self.stream, deadline).await?;
        self.stale |= matches!(reply, Reply::Refused(Refusal { kind: OutcomeKind::Unknown, .. }));
        Ok(reply)
    }
}

/// Connects and asks once, which sets up the client's subscription for answers.
async fn connect(stream: &Stream, worker: usize) -> Result<Client, TargetError> {
    let client = stream.address.connect(&format!("deadheat {} worker {worker}", stream.name)).await?;
    stream.warm_up(&client, Instant::now() + REQUEST_LIMIT).await?;
    Ok(client)
}

impl Session for StreamSession {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        async { Ok(()) }.boxed()
    }

    fn begin(&mut self, _isolation: Isolation, _deadline: Instant) -> BoxFuture<'_, Result<Reply, TargetError>> {
        async { Err(no_transactions()) }.boxed()
    }

    fn call<'a>(
        &'a mut self,
        operation: &'a Operation<Value>,
        deadline: Instant,
        _pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>> {
        self.carry_out(operation, deadline).boxed()
    }

    fn commit(&mut self, _deadline: Instant) -> BoxFuture<'_, Result<Reply, TargetError>> {
        async { Err(no_transactions()) }.boxed()
    }

    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        async {
            if self.stale || connection::is_lost(&self.client) {
                self.client = connect(&self.stream, self.worker).await?;
                self.stale = false;
            }
            Ok(())
        }
        .boxed()
    }
}

fn no_transactions() -> TargetError {
    TargetError::Fault {
        message: "a `jetstream` target has no transactions; remove `transaction` from the worker group".to_owned(),
    }
}
