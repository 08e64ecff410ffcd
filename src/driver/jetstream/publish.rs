//! Publishing one message, and what the answer means.

use async_nats::header::{
    HeaderMap, HeaderName, HeaderValue, NATS_EXPECTED_LAST_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    NATS_MESSAGE_ID,
};
use async_nats::{Client, Subject};
use bytes::Bytes;
use serde::Deserialize;
use tokio::time::Instant;

use super::api_code;
use super::driver::{DATA, HEADERS, LAST_SEQUENCE, LAST_SUBJECT_SEQUENCE, MESSAGE_ID, SUBJECT};
use super::headers::{DATA_MARK, names_subject, spelled};
use super::messages::{MARK_JSON, MARK_TEXT, is_structure};
use super::request::{ApiError, CONNECTION_LOST, Failure, NO_RESPONDERS, send};
use super::stream::Stream;
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{At, Done, Refusal, Reply, Request, TargetError};
use crate::value::Value;

/// A message ready to be sent.
#[derive(Clone)]
pub(super) struct Outgoing {
    subject: Subject,
    headers: Option<HeaderMap>,
    payload: Bytes,
}

impl Outgoing {
    /// The message that a `publish` describes.
    pub(super) fn new(stream: &Stream, request: &Request<Value>) -> Result<Self, TargetError> {
        let data = request.one(DATA).unwrap_or(&Value::Null);
        let mut headers = HeaderMap::new();
        for (At { value: name, .. }, text) in request.named(HEADERS) {
            let name = spelled(name);
            let header: HeaderName = name.parse().map_err(|_| TargetError::Fault {
                message: format!("`{}` is not a header name; use letters, digits and `-`", name.escape_debug()),
            })?;
            let value = if names_subject(name) { Value::text(stream.subject(text)?) } else { text.clone() };
            headers.insert(header, header_value(name, &value)?);
        }
        for (key, name) in
            [(LAST_SEQUENCE, NATS_EXPECTED_LAST_SEQUENCE), (LAST_SUBJECT_SEQUENCE, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE)]
        {
            if let Some(sequence) = request.one(key) {
                headers.insert(name, expected_sequence(key, sequence)?);
            }
        }
        if let Some(id) = request.one(MESSAGE_ID) {
            headers.insert(NATS_MESSAGE_ID, header_value(MESSAGE_ID, id)?);
        }
        if let Some(mark) = mark(data) {
            headers.insert(HeaderName::from_static(DATA_MARK), HeaderValue::from(mark));
        }
        Ok(Outgoing {
            subject: stream.subject(request.one(SUBJECT).unwrap_or(&Value::Null))?.into(),
            headers: (!headers.is_empty()).then_some(headers),
            payload: match data {
                Value::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
                other => Bytes::from(other.to_json().to_string()),
            },
        })
    }

    /// Whether the message is part of an atomic batch and not the last one. The server stores it with the last, and answers
    /// with nothing until then.
    fn is_staged(&self) -> bool {
        let has = |name: &str| self.headers.as_ref().is_some_and(|headers| headers.get(name).is_some());
        has("Nats-Batch-Id") && !has("Nats-Batch-Commit")
    }

    /// Sends the message and waits for the stream's acknowledgement.
    pub(super) async fn publish(
        self,
        client: &Client,
        stream: &Stream,
        deadline: Instant,
    ) -> Result<Reply, TargetError> {
        let is_staged = self.is_staged();
        let sent = send(client, self.subject, self.headers, self.payload, deadline).await;
        if is_staged && matches!(&sent, Ok(message) if message.payload.is_empty()) {
            return Ok(Reply::Done(Done::result(Value::map([
                ("sequence", Value::Null),
                ("stream", Value::text(&stream.name)),
                ("duplicate", Value::Bool(false)),
            ]))));
        }
        let refused =
            |kind, cause, code: &str, message: String| Ok(Reply::Refused(Refusal::new(kind, cause, code, message)));
        // The server stores nothing of a batch before its last message.
        let unanswered = if is_staged { OutcomeKind::Disconnected } else { OutcomeKind::Unknown };
        match sent.and_then(|message| Acknowledgement::read(&message.payload)) {
            Ok(Acknowledgement { seq, duplicate: true, .. }) => refused(
                OutcomeKind::Duplicate,
                Cause::Server,
                "duplicate",
                format!("a message with the same id was stored before, with sequence {seq}"),
            ),
            Ok(Acknowledgement { stream, seq, .. }) => Ok(Reply::Done(Done::result(Value::map([
                ("sequence", Value::Int(i64::try_from(seq).unwrap_or(i64::MAX))),
                ("stream", Value::text(stream)),
                ("duplicate", Value::Bool(false)),
            ])))),
            Err(Failure::Api(error)) => match api_code::classify(error.err_code) {
                Some(kind) => refused(kind, Cause::Server, &error.err_code.to_string(), error.description),
                None => Err(stream.unavailable("publish to", &Failure::Api(error))),
            },
            // In a race the server may be about to come back. Nobody took the message.
            Err(failure @ Failure::NoResponders) => {
                refused(OutcomeKind::Disconnected, Cause::Unanswered, NO_RESPONDERS, failure.to_string())
            }
            Err(failure @ Failure::Late) => refused(unanswered, Cause::Deadline, "no-ack", failure.to_string()),
            Err(failure @ Failure::Lost) => {
                refused(unanswered, Cause::ConnectionLost, CONNECTION_LOST, failure.to_string())
            }
            Err(failure @ Failure::NotSent) => {
                refused(OutcomeKind::Disconnected, Cause::ConnectionLost, CONNECTION_LOST, failure.to_string())
            }
            Err(failure @ Failure::Malformed(_)) => {
                refused(OutcomeKind::Crash, Cause::Malformed, "malformed-ack", failure.to_string())
            }
            Err(Failure::Unsendable(problem)) => Err(TargetError::Fault {
                message: format!(
                    "the message cannot be sent: {problem}; send less, or raise the server's `max_payload`"
                ),
            }),
        }
    }
}

/// How the payload of `data` has to be read, where it would be read as something else without being told.
fn mark(data: &Value) -> Option<&'static str> {
    match data {
        Value::Text(text) => is_structure(text.as_bytes()).then_some(MARK_TEXT),
        Value::List(_) | Value::Map(_) => None,
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Decimal(_) => Some(MARK_JSON),
    }
}

fn header_value(name: &str, value: &Value) -> Result<HeaderValue, TargetError> {
    value.to_string().parse().map_err(|_| TargetError::Fault {
        message: format!("`{name}` is a header and cannot hold a line break; encode it, for example as JSON"),
    })
}

fn expected_sequence(key: &str, value: &Value) -> Result<HeaderValue, TargetError> {
    match value {
        Value::Int(sequence) if *sequence >= 0 => Ok(HeaderValue::from(*sequence)),
        other => Err(TargetError::Fault {
            message: format!("`{key}` must be an int of at least 0, found {} `{other}`", other.type_name()),
        }),
    }
}

/// What a stream answers to a publish.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Acknowledgement {
    stream: String,
    seq: u64,
    #[serde(default)]
    duplicate: bool,
}

impl Acknowledgement {
    fn read(payload: &[u8]) -> Result<Self, Failure> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Answer {
            Refused { error: ApiError },
            Stored(Acknowledgement),
        }
        match serde_json::from_slice(payload) {
            Ok(Answer::Stored(acknowledgement)) => Ok(acknowledgement),
            Ok(Answer::Refused { error }) => Err(Failure::Api(error)),
            Err(_) => Err(Failure::Malformed(String::from_utf8_lossy(payload).chars().take(200).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_of_all_servers_are_read() {
        let read = |json: &str| Acknowledgement::read(json.as_bytes());
        assert_eq!(
            read(r#"{"stream":"S","seq":3}"#),
            Ok(Acknowledgement { stream: "S".to_owned(), seq: 3, duplicate: false })
        );
        assert_eq!(
            read(r#"{"stream":"S","domain":"d","seq":3,"duplicate":true}"#),
            Ok(Acknowledgement { stream: "S".to_owned(), seq: 3, duplicate: true })
        );
        // nats-server 2.9 adds the stream and a sequence of 0 to a refusal.
        assert_eq!(
            read(r#"{"error":{"code":400,"err_code":10164,"description":"wrong last sequence"},"stream":"S","seq":0}"#),
            Err(Failure::Api(ApiError { err_code: 10164, description: "wrong last sequence".to_owned() }))
        );
        assert!(matches!(read("+OK"), Err(Failure::Malformed(text)) if text == "+OK"));
    }
}
