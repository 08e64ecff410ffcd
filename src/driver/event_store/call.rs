//! What the store is asked, ready to be carried out.

use super::driver::{ACTOR_KEY, DATA, EVENTS_KEY, SINCE, TYPE, VERSION};
use crate::event_store::{NewEvent, Snapshot};
use crate::port::{Request, TargetError};
use crate::value::Value;

/// One operation of the store with its arguments.
pub(super) enum Call {
    /// Appends an event.
    Append(NewEvent),
    /// Reads the latest version of an actor.
    LatestVersion { actor: String },
    /// Reads an actor's events after a version.
    ReadEvents { actor: String, since: i64 },
    /// Stores a snapshot.
    SaveSnapshot(Snapshot),
    /// Reads an actor's latest snapshot.
    LatestSnapshot { actor: String },
    /// Appends many events.
    Fill { actor: String, events: u32 },
}

impl Call {
    /// The operation that `request` asks for, by the session number `session`.
    pub(super) fn of(request: &Request<Value>, session: u32) -> Result<Self, TargetError> {
        let actor = text(request, ACTOR_KEY)?;
        let json = |key| request.one(key).unwrap_or(&Value::Null).to_json();
        Ok(match request.spec.key {
            "append" => {
                let version = whole(request, VERSION)?;
                let (kind, data) = (text(request, TYPE)?, json(DATA));
                Call::Append(NewEvent { id: format!("{actor}-{version}-{session}"), actor, kind, version, data })
            }
            "latest_version" => Call::LatestVersion { actor },
            "read_events" | "events" => Call::ReadEvents { since: whole(request, SINCE)?, actor },
            "save_snapshot" => {
                Call::SaveSnapshot(Snapshot { actor, version: whole(request, VERSION)?, data: json(DATA) })
            }
            "latest_snapshot" => Call::LatestSnapshot { actor },
            "fill" => {
                let events = whole(request, EVENTS_KEY)?;
                let events = u32::try_from(events).map_err(|_| TargetError::Fault {
                    message: format!("`events` of a `fill` is {events}, out of range"),
                })?;
                Call::Fill { actor, events }
            }
            _ => {
                let message = format!("an event store has no `{}`", request.spec.word);
                return Err(TargetError::Fault { message });
            }
        })
    }

    /// The word of the operation in messages.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Call::Append(_) => "append",
            Call::LatestVersion { .. } => "latest-version",
            Call::ReadEvents { .. } => "read-events",
            Call::SaveSnapshot(_) => "save-snapshot",
            Call::LatestSnapshot { .. } => "latest-snapshot",
            Call::Fill { .. } => "fill",
        }
    }
}

fn text(request: &Request<Value>, key: &str) -> Result<String, TargetError> {
    match request.one(key) {
        Some(value @ (Value::Text(_) | Value::Int(_))) => Ok(value.to_string()),
        other => Err(wrong(key, other, "text")),
    }
}

fn whole(request: &Request<Value>, key: &str) -> Result<i64, TargetError> {
    match request.one(key) {
        Some(Value::Int(number)) => Ok(*number),
        other => Err(wrong(key, other, "a whole number")),
    }
}

fn wrong(key: &str, value: Option<&Value>, wanted: &str) -> TargetError {
    let value = value.unwrap_or(&Value::Null);
    let message = format!("`{key}` is {} `{value}`, but must be {wanted}", value.type_name());
    TargetError::Fault { message }
}
