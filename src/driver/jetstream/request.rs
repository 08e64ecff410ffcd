//! Requests to the server: messages for a stream, and the JetStream API.

use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind, Subject};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value as Json;
use tokio::sync::oneshot::error::RecvError;
use tokio::time::{Instant, timeout_at};

/// Our code for what a lost connection left without an answer.
pub(super) const CONNECTION_LOST: &str = "connection-lost";

/// Our code for a request to which nobody listens.
pub(super) const NO_RESPONDERS: &str = "no-responders";

/// An error that JetStream answered with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{description} (err_code {err_code})")]
pub(super) struct ApiError {
    /// JetStream's own code; see [`crate::driver::jetstream::api_code`].
    #[serde(default)]
    pub(super) err_code: u64,
    #[serde(default)]
    pub(super) description: String,
}

/// Why a request has no good answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// JetStream refused it.
    #[error(transparent)]
    Api(ApiError),
    /// Nobody listens to the request's subject.
    #[error("nobody answers to it")]
    NoResponders,
    /// It was sent and the deadline passed.
    #[error("no answer came in time")]
    Late,
    /// It was sent, or was about to be, and the connection was lost.
    #[error("the connection was lost before an answer came")]
    Lost,
    /// The connection was lost before it was sent.
    #[error("the connection was lost before anything was sent")]
    NotSent,
    /// The client does not send such a message, as it is greater than the server's `max_payload`.
    #[error("{0}")]
    Unsendable(String),
    /// The answer is not JetStream's.
    #[error("the answer is not JetStream's: {0}")]
    Malformed(String),
}

/// Sends `payload` to `subject` and waits for the one answer.
pub(super) async fn send(
    client: &Client,
    subject: Subject,
    headers: Option<HeaderMap>,
    payload: Bytes,
    deadline: Instant,
) -> Result<Message, Failure> {
    // The deadline here is the only one: the client's own would start a second timer.
    let request = Request { payload: Some(payload), headers, timeout: Some(None), inbox: None };
    match timeout_at(deadline, client.send_request(subject, request)).await {
        Ok(Ok(message)) => Ok(message),
        Err(_) => Err(Failure::Late),
        Ok(Err(error)) => Err(match error.kind() {
            RequestErrorKind::NoResponders => Failure::NoResponders,
            RequestErrorKind::TimedOut => Failure::Late,
            RequestErrorKind::MaxPayloadExceeded | RequestErrorKind::InvalidSubject => {
                Failure::Unsendable(error.to_string())
            }
            // The client took the request and went away, or it took nothing any more.
            RequestErrorKind::Other
                if std::error::Error::source(&error)
                    .is_some_and(<dyn std::error::Error + 'static>::is::<RecvError>) =>
            {
                Failure::Lost
            }
            RequestErrorKind::Other => Failure::NotSent,
        }),
    }
}

/// Calls the JetStream API: `call` is the subject after `$JS.API.`.
pub(super) async fn api(client: &Client, call: &str, body: &Json, deadline: Instant) -> Result<Json, Failure> {
    let body = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
    let message = send(client, Subject::from(format!("$JS.API.{call}")), None, body, deadline).await?;
    let malformed = |error: serde_json::Error| Failure::Malformed(error.to_string());
    let mut answer: Json = serde_json::from_slice(&message.payload).map_err(malformed)?;
    match answer.get_mut("error").map(Json::take) {
        Some(error) => Err(Failure::Api(serde_json::from_value(error).map_err(malformed)?)),
        None => Ok(answer),
    }
}
