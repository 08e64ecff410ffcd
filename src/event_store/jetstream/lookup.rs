//! The ways of finding messages in the stream.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::DirectGetErrorKind;
use futures::TryStreamExt;

use super::super::error::{Doing, Silence, StoreError};
use super::message::Stored;
use super::{JetStreamConnection, api};

/// How many messages one pull asks for.
const PULL_MESSAGES_MAX: u64 = 1_000;

/// When the server removes a consumer that was not deleted because its reader went away.
const CONSUMER_IDLE_MAX: Duration = Duration::from_secs(30);

impl JetStreamConnection {
    /// The last message of a subject, by direct get: one round trip, no state on the server.
    pub(super) async fn last_message(&self, doing: &Doing, subject: String) -> Result<Option<Stored>, StoreError> {
        let getting = self.stream.direct_get_last_for_subject(subject);
        let failure = match doing.within(self.deadline, getting).await {
            Ok(Ok(message)) => return Ok(Some(Stored { sequence: message.sequence, payload: message.payload })),
            Ok(Err(error)) if error.kind() == DirectGetErrorKind::NotFound => return Ok(None),
            Ok(Err(error)) => api::direct_get_failure(doing, self.deadline, &error),
            Err(late) => late,
        };
        Err(self.explained(doing, failure).await)
    }

    /// The failure of a request that had no effect, or that there is no stream: nobody answers a direct get or a publish then.
    pub(super) async fn explained(&self, doing: &Doing, failure: StoreError) -> StoreError {
        let may_be_absent = matches!(
            failure,
            StoreError::NoReply { sent: false, silence: Silence::Unanswered(_) | Silence::Deadline(_), .. }
        );
        if !may_be_absent {
            return failure;
        }
        let asking = self.context.get_stream(&self.name);
        match doing.within(self.deadline, asking).await {
            Ok(Err(error)) => api::absent_stream(doing, &error).unwrap_or(failure),
            _ => failure,
        }
    }

    /// The last message of a subject, by a consumer that starts there. The original waited for up to
    /// a second to learn that there is no message; the answer to the consumer's creation says how
    /// many there are.
    pub(super) async fn last_delivered(&self, doing: &Doing, subject: String) -> Result<Option<Stored>, StoreError> {
        let mut delivered = self.consume(doing, subject, DeliverPolicy::Last).await?;
        Ok(delivered.pop())
    }

    /// All messages that a subject has when the reading begins, in order.
    pub(super) async fn all_messages(&self, doing: &Doing, subject: String) -> Result<Vec<Stored>, StoreError> {
        self.consume(doing, subject, DeliverPolicy::All).await
    }

    /// Creates a consumer, fetches what it has to deliver, deletes it.
    async fn consume(
        &self,
        doing: &Doing,
        subject: String,
        deliver_policy: DeliverPolicy,
    ) -> Result<Vec<Stored>, StoreError> {
        let config = pull::Config {
            filter_subject: subject,
            deliver_policy,
            ack_policy: AckPolicy::None,
            inactive_threshold: CONSUMER_IDLE_MAX,
            memory_storage: true,
            ..pull::Config::default()
        };
        let creating = self.context.create_consumer_on_stream(config, &self.name);
        let created = doing.within(self.deadline, creating).await?;
        let consumer = created.map_err(|error| api::consumer_failure(doing, self.deadline, &error))?;

        let fetched = self.fetch(doing, &consumer).await;
        let deleting = self.context.delete_consumer_from_stream(&consumer.cached_info().name, &self.name);
        // What was fetched does not become wrong when this fails; the server then removes an idle
        // consumer by itself.
        let _ = doing.within(self.deadline, deleting).await;
        fetched
    }

    async fn fetch(&self, doing: &Doing, consumer: &PullConsumer) -> Result<Vec<Stored>, StoreError> {
        let mut left = consumer.cached_info().num_pending;
        let mut fetched = Vec::new();
        while left > 0 {
            let wanted = left.min(PULL_MESSAGES_MAX);
            let pull = async {
                let batch = consumer.fetch().max_messages(wanted as usize).messages().await?;
                batch.try_collect::<Vec<_>>().await
            };
            let messages = doing.within(self.deadline, pull).await?.map_err(|error| doing.lost(error))?;
            if messages.is_empty() {
                self.assert_delivered(doing, consumer).await?;
                break;
            }
            left = left.saturating_sub(messages.len() as u64);
            for message in messages {
                let sequence = message.info().map_err(|error| doing.malformed(error))?.stream_sequence;
                fetched.push(Stored { sequence, payload: message.message.payload });
            }
        }
        Ok(fetched)
    }

    /// Asks the server whether `consumer` has delivered everything. A pull whose connection is lost ends like one that
    /// finds no message, because its messages were removed meanwhile: without an answer, a part would pass for the whole.
    async fn assert_delivered(&self, doing: &Doing, consumer: &PullConsumer) -> Result<(), StoreError> {
        let asked = doing.within(self.deadline, consumer.get_info()).await?;
        match asked.map_err(|error| doing.lost(error))?.num_pending {
            0 => Ok(()),
            pending => Err(doing.lost(format!("the server delivered no message, though {pending} are pending"))),
        }
    }
}
