//! Events in a NATS JetStream stream.
//!
//! One stream is one store. An actor's events are the messages of `<stream>.events.<actor>`, its
//! snapshots those of `<stream>.snapshots.<actor>`, where `<actor>` is the id as a
//! [subject token](super::subject::token). Works with nats-server 2.9 and newer.

mod api;
mod lookup;
mod message;

use std::time::Duration;

use async_nats::Client;
use async_nats::HeaderMap;
use async_nats::connection::State;
use async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture, PublishErrorKind};
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::{Config, StorageType, Stream};
use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use tokio::time::Instant;

use super::connection::{Connection, Head, Written};
use super::error::{Doing, Refusal, StoreError};
use super::subject::token;
use super::{Backend, EventsRead, NewEvent, Snapshot, SnapshotSaved};

/// How many publishes of a `fill` are on their way at once.
const FILL_WINDOW: usize = 1_000;

/// A worker's connection to a JetStream store.
#[derive(Clone, Debug)]
pub struct JetStreamConnection {
    client: Client,
    context: Context,
    stream: Stream<()>,
    name: String,
    deadline: Duration,
}

impl JetStreamConnection {
    /// The store in the named stream, which need not exist yet. The client's own request timeout
    /// does not matter: each round trip waits up to `deadline`.
    pub async fn new(client: Client, stream: &str, deadline: Duration) -> Result<Self, StoreError> {
        let context = ContextBuilder::new().timeout(deadline).build(client.clone());
        let handle = context.get_stream_no_info(stream).await.map_err(|error| {
            let doing = Doing::read(format!("opening the stream `{stream}`"));
            doing.no_store(error, "use a name of letters, digits, `-` and `_`")
        })?;
        Ok(Self { client, context, stream: handle, name: stream.to_owned(), deadline })
    }

    /// Creates the stream: in files, with direct get, without limits.
    pub async fn create_stream(&self) -> Result<(), StoreError> {
        let doing = Doing::write(format!("creating the stream `{}`", self.name));
        let config = Config {
            name: self.name.clone(),
            subjects: vec![format!("{}.events.*", self.name), format!("{}.snapshots.*", self.name)],
            storage: StorageType::File,
            allow_direct: true,
            ..Config::default()
        };
        let created = doing.within(self.deadline, self.context.create_stream(config)).await?;
        created.map(drop).map_err(|error| api::create_stream_failure(&doing, self.deadline, &error))
    }

    /// Deletes the stream with all its messages.
    pub async fn delete_stream(&self) -> Result<(), StoreError> {
        let doing = Doing::write(format!("deleting the stream `{}`", self.name));
        let deleted = doing.within(self.deadline, self.context.delete_stream(&self.name)).await?;
        deleted.map(drop).map_err(|error| api::delete_stream_failure(&doing, &error))
    }

    fn events_subject(&self, actor: &str) -> String {
        format!("{}.events.{}", self.name, token(actor))
    }

    fn snapshots_subject(&self, actor: &str) -> String {
        format!("{}.snapshots.{}", self.name, token(actor))
    }

    /// Hands a message to the client; the reply is still to come. With `after`, the server takes it
    /// only if that is the last sequence of the subject, 0 standing for none.
    async fn send(
        &self,
        doing: &Doing,
        subject: String,
        after: Option<u64>,
        payload: Vec<u8>,
    ) -> Result<PublishAckFuture, StoreError> {
        let mut headers = HeaderMap::new();
        if let Some(sequence) = after {
            headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, sequence.to_string());
        }
        let sending = self.context.publish_with_headers(subject, headers, payload.into());
        let unsent = Doing::read(&doing.what);
        unsent.within(self.deadline, sending).await?.map_err(|error| match error.kind() {
            PublishErrorKind::MaxPayloadExceeded => unsent.refused("max-payload", error),
            PublishErrorKind::TimedOut => unsent.late(self.deadline),
            _ => unsent.lost(error),
        })
    }

    async fn ack(&self, doing: &Doing, sent: PublishAckFuture) -> Result<PublishAck, StoreError> {
        let acked = doing.within(self.deadline, sent.into_future()).await?;
        acked.map_err(|error| api::publish_failure(doing, self.deadline, &error))
    }

    async fn publish(
        &self,
        doing: &Doing,
        subject: String,
        after: Option<u64>,
        payload: Vec<u8>,
    ) -> Result<Written, StoreError> {
        let acked = async { self.ack(doing, self.send(doing, subject, after, payload).await?).await };
        match acked.await {
            Ok(ack) => Ok(Written::Stored { position: ack.sequence }),
            Err(StoreError::Refused { refusal: Refusal { code, .. }, .. }) if api::is_conflict(&code) => {
                Ok(Written::Stale { code: Some(code) })
            }
            Err(StoreError::Refused { refusal, .. }) => Ok(Written::Refused(refusal)),
            Err(error) => Err(self.explained(doing, error).await),
        }
    }
}

impl Connection for JetStreamConnection {
    fn backend(&self) -> Backend {
        Backend::JetStream
    }

    fn is_lost(&self) -> bool {
        self.client.connection_state() == State::Disconnected
    }

    fn latest<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Head, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the latest version of `{actor}` by direct get"));
            let last = self.last_message(&doing, self.events_subject(actor)).await?;
            last.map(|last| message::head_of(&doing, &last)).transpose().map(Option::unwrap_or_default)
        }
        .boxed()
    }

    fn latest_by_consumer<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Head, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the latest version of `{actor}` by a consumer"));
            let last = self.last_delivered(&doing, self.events_subject(actor)).await?;
            last.map(|last| message::head_of(&doing, &last)).transpose().map(Option::unwrap_or_default)
        }
        .boxed()
    }

    fn write<'a>(
        &'a self,
        event: &'a NewEvent,
        read: Head,
        guarded: bool,
    ) -> BoxFuture<'a, Result<Written, StoreError>> {
        async move {
            let doing = Doing::write(format!("appending version {} of `{}`", event.version, event.actor));
            let after = guarded.then_some(read.position);
            self.publish(&doing, self.events_subject(&event.actor), after, message::event_payload(event)).await
        }
        .boxed()
    }

    fn events<'a>(&'a self, actor: &'a str, since: i64) -> BoxFuture<'a, Result<EventsRead, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the events of `{actor}`"));
            let stored = self.all_messages(&doing, self.events_subject(actor)).await?;
            let mut read = EventsRead::default();
            for stored in &stored {
                match message::event_of(stored) {
                    Ok(event) if event.version > since => read.events.push(event),
                    Ok(_) => {}
                    Err(malformed) => read.malformed.push(malformed),
                }
            }
            Ok(read)
        }
        .boxed()
    }

    fn fill<'a>(&'a self, actor: &'a str, after: i64, count: u32) -> BoxFuture<'a, Result<(), StoreError>> {
        async move {
            let doing = Doing::write(format!("filling `{actor}` with {count} events"));
            let versions: Vec<i64> = (after + 1..).take(count as usize).collect();
            for window in versions.chunks(FILL_WINDOW) {
                let mut sent = Vec::with_capacity(window.len());
                for version in window {
                    let payload = message::event_payload(&NewEvent::filling(actor, *version));
                    sent.push(self.send(&doing, self.events_subject(actor), None, payload).await?);
                }
                try_join_all(sent.into_iter().map(|sent| self.ack(&doing, sent))).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn save_snapshot<'a>(&'a self, snapshot: &'a Snapshot) -> BoxFuture<'a, Result<SnapshotSaved, StoreError>> {
        async move {
            let Snapshot { actor, version, .. } = snapshot;
            let doing = Doing::write(format!("saving the snapshot of `{actor}` at version {version}"));
            let subject = self.snapshots_subject(actor);
            let started = Instant::now();
            // Each turn that is refused means that another snapshot was saved meanwhile.
            while started.elapsed() < self.deadline {
                let last = self.last_message(&Doing::read(&doing.what), subject.clone()).await?;
                let after = last.as_ref().map_or(0, |last| last.sequence);
                let saved = last.and_then(|last| message::snapshot_of(&last).ok());
                if saved.is_some_and(|saved| saved.version > *version) {
                    return Ok(SnapshotSaved::Superseded);
                }
                let payload = message::snapshot_payload(snapshot);
                match self.publish(&doing, subject.clone(), Some(after), payload).await? {
                    Written::Stored { .. } => return Ok(SnapshotSaved::Stored),
                    Written::Stale { .. } => {}
                    Written::Refused(refusal) => return Err(doing.refused(refusal.code, refusal.message)),
                }
            }
            Err(Doing::read(&doing.what).late(self.deadline))
        }
        .boxed()
    }

    fn latest_snapshot<'a>(&'a self, actor: &'a str) -> BoxFuture<'a, Result<Option<Snapshot>, StoreError>> {
        async move {
            let doing = Doing::read(format!("reading the snapshot of `{actor}`"));
            let last = self.last_message(&doing, self.snapshots_subject(actor)).await?;
            let saved = last.map(|last| message::snapshot_of(&last)).transpose();
            saved.map_err(|reason| doing.malformed(reason))
        }
        .boxed()
    }
}
