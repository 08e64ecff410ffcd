//! Reading the messages of a stream.

use std::fmt::Write as _;

use async_nats::{Client, HeaderMap, HeaderValue, Subject};
use futures::StreamExt as _;
use serde_json::{Value as Json, json};
use tokio::time::{Instant, timeout_at};

use super::request::{CONNECTION_LOST, Failure, api};
use super::stream::Stream;
use crate::driver::jetstream::api_code;
use crate::driver::jetstream::headers::DATA_MARK;
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{Done, Refusal, Reply, TargetError};
use crate::value::Value;

/// The most messages that are read at once.
pub(super) const LIMIT: usize = 100_000;

/// Reads the messages whose subjects match `filter`, oldest first.
pub(super) async fn read(
    client: &Client,
    stream: &Stream,
    filter: &Value,
    deadline: Instant,
) -> Result<Reply, TargetError> {
    let filter = stream.filter(filter)?;
    let refused =
        |kind, cause, code: &str, message: String| Ok(Reply::Refused(Refusal::new(kind, cause, code, message)));
    match deliver(client, stream, &filter, deadline).await {
        Ok(Delivery::All(messages)) => Ok(Reply::Done(Done::result(Value::List(messages.into())))),
        Ok(Delivery::TooMany(number)) => Err(TargetError::Fault {
            message: format!(
                "the stream has {number} messages for `{}`, and no more than {LIMIT} are read; give a narrower subject",
                stream.relative(&filter)
            ),
        }),
        Err(Failure::Api(error)) => match api_code::classify(error.err_code) {
            Some(_) => refused(OutcomeKind::Rejected, Cause::Server, &error.err_code.to_string(), error.description),
            None => Err(stream.unavailable("read", &Failure::Api(error))),
        },
        Err(failure @ Failure::NoResponders) => Err(stream.unavailable("read", &failure)),
        Err(failure @ Failure::Late) => refused(OutcomeKind::Timeout, Cause::Deadline, "deadline", failure.to_string()),
        // Reading has no effect that could be unknown.
        Err(failure @ (Failure::Lost | Failure::NotSent)) => {
            refused(OutcomeKind::Disconnected, Cause::ConnectionLost, CONNECTION_LOST, failure.to_string())
        }
        Err(failure @ (Failure::Malformed(_) | Failure::Unsendable(_))) => {
            refused(OutcomeKind::Crash, Cause::Malformed, "malformed-answer", failure.to_string())
        }
    }
}

enum Delivery {
    All(Vec<Value>),
    TooMany(u64),
}

/// Has the server deliver the messages through a consumer that lives for this one read.
async fn deliver(client: &Client, stream: &Stream, filter: &str, deadline: Instant) -> Result<Delivery, Failure> {
    let inbox = client.new_inbox();
    let mut subscriber = client.subscribe(inbox.clone()).await.map_err(|_| Failure::NotSent)?;
    let config = json!({
        "stream_name": stream.name,
        "config": {
            "deliver_subject": inbox,
            "deliver_policy": "all",
            "ack_policy": "none",
            "replay_policy": "instant",
            "filter_subject": filter,
            "mem_storage": true,
        },
    });
    let consumer = api(client, &format!("CONSUMER.CREATE.{}", stream.name), &config, deadline).await?;
    let total = waiting(&consumer).ok_or_else(|| Failure::Malformed("a consumer without counts".to_owned()))?;

    let delivery = if total > LIMIT as u64 {
        Ok(Delivery::TooMany(total))
    } else {
        collect(&mut subscriber, stream, total, deadline).await.map(Delivery::All)
    };
    if let Some(name) = consumer["name"].as_str() {
        // If this fails, the server removes the consumer when it finds nobody listening, or with the stream.
        let _ = api(client, &format!("CONSUMER.DELETE.{}.{name}", stream.name), &Json::Null, deadline).await;
    }
    delivery
}

/// How many messages a new consumer has for us: those it still keeps and those it has sent meanwhile.
fn waiting(consumer: &Json) -> Option<u64> {
    Some(consumer["num_pending"].as_u64()? + consumer["delivered"]["consumer_seq"].as_u64()?)
}

async fn collect(
    subscriber: &mut async_nats::Subscriber,
    stream: &Stream,
    total: u64,
    deadline: Instant,
) -> Result<Vec<Value>, Failure> {
    let mut messages = Vec::new();
    let mut pending = total;
    while pending > 0 {
        let message = timeout_at(deadline, subscriber.next()).await.map_err(|_| Failure::Late)?.ok_or(Failure::Lost)?;
        let position = message
            .reply
            .as_ref()
            .and_then(Position::read)
            .ok_or_else(|| Failure::Malformed(format!("a message with the reply subject {:?}", message.reply)))?;
        pending = position.pending;
        messages.push(Value::map([
            ("sequence", Value::Int(i64::try_from(position.sequence).unwrap_or(i64::MAX))),
            ("subject", Value::text(stream.relative(&message.subject))),
            ("data", data(&message.payload, message.headers.as_ref().and_then(|headers| headers.get(DATA_MARK)))),
            ("headers", message.headers.as_ref().map_or_else(|| Value::map::<String>([]), headers)),
        ]));
    }
    Ok(messages)
}

/// Where a delivered message stands, as its reply subject tells.
struct Position {
    /// In the stream.
    sequence: u64,
    /// How many messages follow for this consumer.
    pending: u64,
}

impl Position {
    /// `$JS.ACK.STREAM.CONSUMER.DELIVERED.SEQUENCE.CONSUMER_SEQUENCE.TIME.PENDING`, where newer servers may put domain and account
    /// before the stream, and a token at the end.
    fn read(reply: &Subject) -> Option<Self> {
        let tokens: Vec<&str> = reply.split('.').collect();
        let first = if tokens.len() > 9 { 4 } else { 2 };
        let number = |index: usize| tokens.get(first + index)?.parse().ok();
        Some(Position { sequence: number(3)?, pending: number(6)? })
    }
}

/// The value of [`DATA_MARK`] for text that looks like a JSON object or array.
pub(super) const MARK_TEXT: &str = "text";
/// The value of [`DATA_MARK`] for JSON that is neither an object nor an array.
pub(super) const MARK_JSON: &str = "json";

/// Whether a payload without a mark is read as JSON: only objects and arrays are. Text such as `7` or `true` stays text.
pub(super) fn is_structure(payload: &[u8]) -> bool {
    matches!(payload.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// What was published: by its mark, else by [`is_structure`]; hex digits where it is not text at all.
fn data(payload: &[u8], mark: Option<&HeaderValue>) -> Value {
    let is_json = match mark.map(HeaderValue::as_str) {
        Some(MARK_TEXT) => false,
        Some(MARK_JSON) => true,
        _ => is_structure(payload),
    };
    if is_json && let Ok(json) = serde_json::from_slice::<Json>(payload) {
        return Value::from_json(&json);
    }
    match std::str::from_utf8(payload) {
        Ok(text) => Value::text(text),
        Err(_) => Value::text(payload.iter().fold(String::new(), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })),
    }
}

/// Each header's text, or the list of its texts if it occurs more than once. The mark is ours, and left out.
fn headers(headers: &HeaderMap) -> Value {
    let theirs = headers.iter().filter(|(name, _)| AsRef::<str>::as_ref(name) != DATA_MARK);
    Value::map(theirs.map(|(name, values)| {
        let value = match values.as_slice() {
            [only] => Value::text(only),
            several => Value::list(several.iter().map(Value::text)),
        };
        (name.to_string(), value)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_published_as_text_is_read_as_text() {
        for text in ["12e4", "7", "true", "null", "", " 7", "\"7\"", "héllo {", "{oops", "[1"] {
            assert_eq!(data(text.as_bytes(), None), Value::text(text));
        }
        for structure in [r#"{"a":1}"#, " [1, 2]"] {
            assert_eq!(data(structure.as_bytes(), Some(&HeaderValue::from(MARK_TEXT))), Value::text(structure));
            assert_ne!(data(structure.as_bytes(), None), Value::text(structure));
        }
        assert_eq!(data(b"7", Some(&HeaderValue::from(MARK_JSON))), Value::Int(7));
        assert_eq!(data(b"true", Some(&HeaderValue::from(MARK_JSON))), Value::Bool(true));
        assert_eq!(data(&[0xff, 0x00], None), Value::text("ff00"));
    }

    #[test]
    fn positions_are_read_in_the_old_and_the_new_form() {
        for reply in [
            "$JS.ACK.S.C.1.42.7.1700000000000000000.5",
            "$JS.ACK._.hash.S.C.1.42.7.1700000000000000000.5",
            "$JS.ACK.domain.hash.S.C.1.42.7.1700000000000000000.5.token",
        ] {
            let position = Position::read(&Subject::from(reply)).unwrap();
            assert_eq!((position.sequence, position.pending), (42, 5), "{reply}");
        }
        assert!(Position::read(&Subject::from("_INBOX.x")).is_none());
    }
}
