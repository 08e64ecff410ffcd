//! One worker's connection.

use std::sync::Arc;

use async_nats::Client;
use futures::FutureExt as _;
use futures::future::{BoxFuture, ready};
use tokio::time::Instant;

use super::stream::Stream;
use super::{Call, REQUEST_LIMIT, connection, messages};
use crate::driver::full_disk::{JETSTREAM_FULL, unless_full};
use crate::driver::reconnect::patiently;
use crate::outcome::OutcomeKind;
use crate::port::{Bound, Pause, Refusal, Reply, Session, TargetError};

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

    async fn carry_out(&mut self, call: &mut Call, deadline: Instant) -> Result<Reply, TargetError> {
        let message = match call {
            Call::Messages { subject } => return messages::read(&self.client, &self.stream, subject, deadline).await,
            // A second call of one binding comes of `repeat`, whose steps pay for their copies.
            Call::Publish { message, first } => first.take().unwrap_or_else(|| message.clone()),
        };
        let reply = message.publish(&self.client, &self.stream, deadline).await?;
        let reply = unless_full(reply, self.stream.address.is_private(), JETSTREAM_FULL)?;
        self.stale |=
            matches!(reply, Reply::Refused(Refusal { kind: OutcomeKind::Unknown | OutcomeKind::Disconnected, .. }));
        Ok(reply)
    }

    /// Connects again if the connection was lost, or if an answer is still due on it.
    async fn renew(&mut self) -> Result<(), TargetError> {
        if self.stale || connection::is_lost(&self.client) {
            self.client = patiently(|| connect(&self.stream, self.worker)).await?;
            self.stale = false;
        }
        Ok(())
    }
}

/// Connects and asks once, which sets up the client's subscription for answers.
async fn connect(stream: &Stream, worker: usize) -> Result<Client, TargetError> {
    let client = stream.address.connect(&format!("deadheat {} session {worker}", stream.name)).await?;
    stream.warm_up(&client, Instant::now() + REQUEST_LIMIT).await?;
    Ok(client)
}

impl Session for StreamSession {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        self.renew().boxed()
    }

    fn call<'a>(
        &'a mut self,
        bound: &'a mut Bound,
        deadline: Instant,
        _pause: Option<&'a dyn Pause>,
    ) -> BoxFuture<'a, Result<Reply, TargetError>> {
        async move { self.carry_out(bound.get()?, deadline).await }.boxed()
    }

    /// Nothing is held beyond a call. A connection that was lost stays lost until the round is over.
    fn reset(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        ready(Ok(())).boxed()
    }

    fn needs_cleaning(&self) -> bool {
        self.stale || connection::is_lost(&self.client)
    }

    fn clean(&mut self) -> BoxFuture<'_, Result<(), TargetError>> {
        self.renew().boxed()
    }
}
