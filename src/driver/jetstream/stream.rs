//! The stream of one case: its life and its subjects.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;

use async_nats::Client;
use serde_json::{Value as Json, json};
use tokio::time::Instant;

use super::connection::Address;
use super::request::{ApiError, Failure, api};
use crate::driver::jetstream::api_code;
use crate::duration::as_ns;
use crate::port::TargetError;
use crate::value::Value;

/// A case's own stream, with everything below a subject of the same name.
pub(super) struct Stream {
    pub(super) address: Address,
    pub(super) name: String,
    /// The name and a dot: what every subject begins with.
    prefix: String,
}

impl Stream {
    pub(super) fn new(address: Address, name: &str) -> Self {
        Stream { address, name: name.to_owned(), prefix: format!("{name}.") }
    }

    /// Creates the stream; one that is there already and has held messages is an error.
    pub(super) async fn create(
        &self,
        client: &Client,
        duplicate_window: Duration,
        settings: &BTreeSet<&str>,
        deadline: Instant,
    ) -> Result<(), TargetError> {
        let mut config = json!({
            "name": self.name,
            "subjects": [format!("{}>", self.prefix)],
            "retention": "limits",
            "discard": "old",
            "storage": "file",
            "num_replicas": 1,
            "duplicate_window": as_ns(duplicate_window),
            "allow_direct": true,
        });
        for setting in settings {
            config[*setting] = Json::Bool(true);
        }
        match api(client, &format!("STREAM.CREATE.{}", self.name), &config, deadline).await {
            // nats-server 2.9 says of an old stream, too, that it was created.
            Ok(answer) if answer["state"]["last_seq"] == 0 => Ok(()),
            Ok(_) | Err(Failure::Api(ApiError { err_code: api_code::STREAM_NAME_IN_USE, .. })) => {
                Err(environment(format!(
                    "the stream `{0}` exists already on NATS at {1}; remove it with `nats stream rm {0}`",
                    self.name, self.address
                )))
            }
            Err(failure) => Err(self.unavailable("create", &failure)),
        }
    }

    /// Deletes the stream, if it is there.
    pub(super) async fn delete(&self, client: &Client, deadline: Instant) -> Result<(), TargetError> {
        match api(client, &format!("STREAM.DELETE.{}", self.name), &Json::Null, deadline).await {
            Ok(_) | Err(Failure::Api(ApiError { err_code: api_code::STREAM_NOT_FOUND, .. })) => Ok(()),
            Err(failure) => Err(environment(format!(
                "the stream `{0}` on NATS at {1} could not be deleted: {failure}; remove it with `nats stream rm {0}`",
                self.name, self.address
            ))),
        }
    }

    /// Asks once over a new connection, so that the first request of a race finds everything set up.
    pub(super) async fn warm_up(&self, client: &Client, deadline: Instant) -> Result<(), TargetError> {
        match api(client, &format!("STREAM.INFO.{}", self.name), &Json::Null, deadline).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(self.unavailable("find", &failure)),
        }
    }

    /// The error for a request that failed because of what is, or is not, on the other side.
    pub(super) fn unavailable(&self, verb: &str, failure: &Failure) -> TargetError {
        let disabled = match failure {
            Failure::NoResponders => true,
            Failure::Api(error) => api_code::is_not_enabled(error.err_code),
            _ => false,
        };
        let remedy = if disabled {
            "; enable JetStream: start the server with `nats-server -js`, or have it enabled for the account"
        } else {
            "; see the server's log"
        };
        environment(format!("cannot {verb} the stream `{}` on NATS at {}: {failure}{remedy}", self.name, self.address))
    }

    /// The server's name for the scenario's subject `subject`, to which a message can be published.
    pub(super) fn subject(&self, subject: &Value) -> Result<String, TargetError> {
        let text = text_of(subject)?;
        let tokens = tokens_of(&text)?;
        if tokens.clone().any(|token| token.contains(['*', '>'])) {
            return Err(fault(&text, "has a wildcard; messages are published to one subject"));
        }
        Ok(self.absolute(&text))
    }

    /// The server's name for the scenario's subject filter `filter`.
    pub(super) fn filter(&self, filter: &Value) -> Result<String, TargetError> {
        let text = text_of(filter)?;
        let mut tokens = tokens_of(&text)?.peekable();
        while let Some(token) = tokens.next() {
            let wildcard = token == "*" || (token == ">" && tokens.peek().is_none());
            if !wildcard && token.contains(['*', '>']) {
                return Err(fault(
                    &text,
                    "has a misplaced wildcard; `*` stands for one token, `>` for all that follow",
                ));
            }
        }
        Ok(self.absolute(&text))
    }

    /// The scenario's name for the server's subject `subject`.
    pub(super) fn relative<'a>(&self, subject: &'a str) -> &'a str {
        subject.strip_prefix(&self.prefix).unwrap_or(subject)
    }

    fn absolute(&self, subject: &str) -> String {
        let mut absolute = String::with_capacity(self.prefix.len() + subject.len());
        absolute.push_str(&self.prefix);
        absolute.push_str(subject);
        absolute
    }
}

fn text_of(subject: &Value) -> Result<Cow<'_, str>, TargetError> {
    match subject {
        Value::Text(text) => Ok(Cow::Borrowed(text)),
        Value::Int(number) => Ok(Cow::Owned(number.to_string())),
        other => Err(TargetError::Fault { message: format!("a subject must be text, found {}", other.type_name()) }),
    }
}

fn tokens_of(subject: &str) -> Result<impl Iterator<Item = &str> + Clone, TargetError> {
    if subject.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(fault(subject, "has a space or control character; use letters, digits, `-` and `_`"));
    }
    let tokens = subject.split('.');
    if tokens.clone().any(str::is_empty) {
        return Err(fault(subject, "has an empty token; write it like `orders.1`"));
    }
    Ok(tokens)
}

fn environment(message: String) -> TargetError {
    TargetError::Environment { message }
}

fn fault(subject: &str, problem: impl Display) -> TargetError {
    TargetError::Fault { message: format!("the subject `{}` {problem}", subject.escape_debug()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{Endpoint, ServerOrigin};

    fn stream() -> Stream {
        let endpoint = Endpoint { url: "nats://host".to_owned(), origin: ServerOrigin::Given };
        Stream::new(Address::parse("bus", &endpoint).unwrap(), "deadheat_1")
    }

    #[test]
    fn subjects_are_relative_to_the_stream() {
        let stream = stream();
        assert_eq!(stream.subject(&Value::text("orders.1")).unwrap(), "deadheat_1.orders.1");
        assert_eq!(stream.subject(&Value::Int(7)).unwrap(), "deadheat_1.7");
        assert_eq!(stream.relative("deadheat_1.orders.1"), "orders.1");
        for filter in [">", "*", "orders.*.paid", "orders.>"] {
            assert_eq!(stream.filter(&Value::text(filter)).unwrap(), format!("deadheat_1.{filter}"));
        }
    }

    #[test]
    fn a_bad_subject_is_a_fault() {
        let stream = stream();
        for subject in ["", "a..b", ".a", "a.", "a b", "a\r\nPUB x 0", "a.*", ">"] {
            assert!(matches!(stream.subject(&Value::text(subject)), Err(TargetError::Fault { .. })), "{subject:?}");
        }
        for filter in ["", "a..b", "a b", ">.a", "a*", "a.>b"] {
            assert!(matches!(stream.filter(&Value::text(filter)), Err(TargetError::Fault { .. })), "{filter:?}");
        }
        assert!(matches!(stream.subject(&Value::Null), Err(TargetError::Fault { .. })));
    }
}
