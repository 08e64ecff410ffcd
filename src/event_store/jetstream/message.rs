//! Events and snapshots as message payloads.

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::connection::Head;
use super::super::error::{Doing, StoreError};
use super::super::{Event, Malformed, NewEvent, Snapshot};

/// A message that is in the stream.
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) payload: Bytes,
}

/// An event in its JSON form.
#[derive(Serialize, Deserialize)]
struct EventPayload {
    id: String,
    actor: String,
    #[serde(rename = "type")]
    kind: String,
    version: i64,
    data: Value,
    timestamp: String,
}

/// A snapshot in its JSON form.
#[derive(Serialize, Deserialize)]
struct SnapshotPayload {
    actor: String,
    version: i64,
    data: Value,
}

pub(super) fn event_payload(event: &NewEvent) -> Vec<u8> {
    let NewEvent { id, actor, kind, version, data } = event.clone();
    let timestamp = Timestamp::now().to_string();
    bytes_of(&EventPayload { id, actor, kind, version, data, timestamp })
}

pub(super) fn snapshot_payload(snapshot: &Snapshot) -> Vec<u8> {
    let Snapshot { actor, version, data } = snapshot.clone();
    bytes_of(&SnapshotPayload { actor, version, data })
}

fn bytes_of(payload: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(payload).expect("text, numbers and JSON values are JSON")
}

pub(super) fn event_of(stored: &Stored) -> Result<Event, Malformed> {
    let position = stored.sequence;
    let malformed = |reason: String| Malformed { position, reason };
    let payload: EventPayload = serde_json::from_slice(&stored.payload)
        .map_err(|error| malformed(format!("the payload is not an event: {error}")))?;
    let EventPayload { id, actor, kind, version, data, timestamp } = payload;
    let timestamp = timestamp.parse().map_err(|error| malformed(format!("`timestamp` is not a time: {error}")))?;
    Ok(Event { position, id, actor, kind, version, data, timestamp })
}

/// The head that a subject's last message stands for.
pub(super) fn head_of(doing: &Doing, last: &Stored) -> Result<Head, StoreError> {
    match event_of(last) {
        Ok(event) => Ok(Head { version: event.version, position: event.position }),
        Err(Malformed { position, reason }) => Err(doing.malformed(format!("sequence {position}: {reason}"))),
    }
}

pub(super) fn snapshot_of(stored: &Stored) -> Result<Snapshot, String> {
    match serde_json::from_slice(&stored.payload) {
        Ok(SnapshotPayload { actor, version, data }) => Ok(Snapshot { actor, version, data }),
        Err(error) => Err(format!("sequence {}: the payload is not a snapshot: {error}", stored.sequence)),
    }
}
