//! What targets are asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event_store::PausePoint;
use crate::expression::{EvaluateError, Scope, Template};
use crate::value::Value;

/// What a target can be asked: with templates in a plan, with values when it is asked.
#[derive(Debug, Clone)]
pub enum Operation<V> {
    /// A statement with bound parameters.
    Sql {
        /// Index into [`super::TargetSpec::statements`]; meaningless in fixtures and invariants, which are not prepared ahead.
        statement: usize,
        /// The text.
        text: Arc<str>,
        /// `$1`, `$2` …
        args: Vec<V>,
    },
    /// Appends an event to the event store.
    Append {
        /// Whose event.
        actor: V,
        /// Its version: must be greater than the actor's latest.
        version: V,
        /// `type`.
        kind: V,
        /// Its data.
        data: V,
        /// A barrier inside the store: the pause point, and the index into [`super::Case::barriers`].
        pause: Option<(PausePoint, usize)>,
    },
    /// Reads the latest version of an actor; 0 when there is none.
    LatestVersion {
        /// Of whom.
        actor: V,
    },
    /// Reads the events of an actor with a version greater than `since`; the result is a list of maps with `actor`, `version`, `type`, `data`.
    ReadEvents {
        /// Of whom.
        actor: V,
        /// After which version; 0 for all.
        since: V,
    },
    /// Stores a snapshot of an actor.
    SaveSnapshot {
        /// Of whom.
        actor: V,
        /// At which version.
        version: V,
        /// Its data.
        data: V,
    },
    /// Reads the latest snapshot: a map with `version` and `data`; none is refused with `no-snapshot`.
    LatestSnapshot {
        /// Of whom.
        actor: V,
    },
    /// Publishes a message to the target's stream. The result is a map with `sequence`.
    Publish {
        /// The subject, relative to the target's own stream.
        subject: V,
        /// The payload: text as it is, anything else as JSON.
        data: V,
        /// Store only if this is the stream's last sequence.
        expected_last_sequence: Option<V>,
        /// Store only if this is the subject's last sequence.
        expected_last_subject_sequence: Option<V>,
        /// `Nats-Msg-Id`.
        message_id: Option<V>,
        /// Further headers.
        headers: BTreeMap<String, V>,
    },
    /// Reads the messages of the target's stream, oldest first: a list of maps with `sequence`, `subject`, `data`, `headers`.
    Messages {
        /// The subject filter, relative to the target's own stream; `>` for all.
        subject: V,
    },
    /// Fixtures only: appends events with versions 1 to `events`.
    Fill {
        /// Whose events.
        actor: V,
        /// How many.
        events: V,
    },
}

impl<V> Operation<V> {
    /// The word for this operation in messages and default step names.
    pub fn word(&self) -> &'static str {
        match self {
            Operation::Sql { .. } => "sql",
            Operation::Append { .. } => "append",
            Operation::LatestVersion { .. } => "latest-version",
            Operation::ReadEvents { .. } => "read-events",
            Operation::SaveSnapshot { .. } => "save-snapshot",
            Operation::LatestSnapshot { .. } => "latest-snapshot",
            Operation::Publish { .. } => "publish",
            Operation::Messages { .. } => "messages",
            Operation::Fill { .. } => "fill",
        }
    }

    /// The same operation with every `V` turned into a `W`.
    pub fn try_map<'a, W, E>(&'a self, mut map: impl FnMut(&'a V) -> Result<W, E>) -> Result<Operation<W>, E> {
        Ok(match self {
            Operation::Sql { statement, text, args } => Operation::Sql {
                statement: *statement,
                text: text.clone(),
                args: args.iter().map(map).collect::<Result<_, _>>()?,
            },
            Operation::Append { actor, version, kind, data, pause } => Operation::Append {
                actor: map(actor)?,
                version: map(version)?,
                kind: map(kind)?,
                data: map(data)?,
                pause: *pause,
            },
            Operation::LatestVersion { actor } => Operation::LatestVersion { actor: map(actor)? },
            Operation::ReadEvents { actor, since } => Operation::ReadEvents { actor: map(actor)?, since: map(since)? },
            Operation::SaveSnapshot { actor, version, data } => {
                Operation::SaveSnapshot { actor: map(actor)?, version: map(version)?, data: map(data)? }
            }
            Operation::LatestSnapshot { actor } => Operation::LatestSnapshot { actor: map(actor)? },
            Operation::Publish {
                subject,
                data,
                expected_last_sequence,
                expected_last_subject_sequence,
                message_id,
                headers,
            } => Operation::Publish {
                subject: map(subject)?,
                data: map(data)?,
                expected_last_sequence: expected_last_sequence.as_ref().map(&mut map).transpose()?,
                expected_last_subject_sequence: expected_last_subject_sequence.as_ref().map(&mut map).transpose()?,
                message_id: message_id.as_ref().map(&mut map).transpose()?,
                headers: headers
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), map(value)?)))
                    .collect::<Result<_, E>>()?,
            },
            Operation::Messages { subject } => Operation::Messages { subject: map(subject)? },
            Operation::Fill { actor, events } => Operation::Fill { actor: map(actor)?, events: map(events)? },
        })
    }
}

impl<V> Operation<V> {
    /// Whether it does nothing but sleep: a statement that is `SELECT pg_sleep(…)` or `SELECT SLEEP(…)` and nothing else.
    /// What calls another function inside the parentheses may do more.
    pub fn only_sleeps(&self) -> bool {
        let Operation::Sql { text, .. } = self else { return false };
        let text = text.trim().trim_end_matches(';').trim_end().to_ascii_lowercase();
        let Some((word, call)) = text.split_once(char::is_whitespace) else { return false };
        let Some((name, arguments)) = call.trim().split_once('(') else { return false };
        let sleeps = ["pg_sleep", "pg_sleep_for", "pg_sleep_until", "sleep"];
        let name = name.trim().trim_start_matches("pg_catalog.");
        word == "select"
            && sleeps.contains(&name)
            && arguments.find(['(', ')']) == Some(arguments.len() - 1)
            && arguments.ends_with(')')
    }
}

impl Operation<Template> {
    /// The operation with every template resolved in `scope`.
    pub fn resolve(&self, scope: &Scope) -> Result<Operation<Value>, EvaluateError> {
        self.try_map(|template| template.resolve(scope))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_statement_only_sleeps_if_it_does_nothing_else() {
        let only_sleeps = |text: &str| {
            Operation::<Value>::Sql { statement: 0, text: Arc::from(text), args: Vec::new() }.only_sleeps()
        };
        for text in [
            "SELECT pg_sleep(0.1)",
            " select  PG_SLEEP_FOR('5 ms') ; ",
            "SELECT\nSLEEP($1)",
            "SELECT pg_catalog.pg_sleep(1)",
        ] {
            assert!(only_sleeps(text), "{text}");
        }
        let others = [
            "SELECT pg_sleep(1), balance FROM account",
            "SELECT pg_sleep(take_lock())",
            "SELECT balance FROM account",
            "SELECT pg_sleep(1); UPDATE account SET balance = 0",
            "UPDATE account SET balance = 0",
            "SELECT",
            "",
        ];
        for text in others {
            assert!(!only_sleeps(text), "{text}");
        }
    }
}
