//! The message headers that a NATS server acts on, and the version that knows each.

use std::fmt;

/// A version of nats-server: major and minor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerVersion(pub u32, pub u32);

impl ServerVersion {
    /// Reads what a server says of itself, such as `2.9.10` or `2.12.0-RC.1`.
    pub fn read(text: &str) -> Option<Self> {
        let mut numbers = text.trim_start_matches('v').split(['.', '-']);
        let mut next = || numbers.next()?.parse().ok();
        Some(ServerVersion(next()?, next()?))
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Something that a server does with a message because of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Any JetStream does it.
    Always,
    /// A message takes the place of all others, or of those of its subject.
    Rollup,
    /// A message expires by itself.
    MessageTtl,
    /// The expected sequence is that of another subject.
    ExpectedOfSubject,
    /// The server reports where a message went.
    Tracing,
    /// Several messages are stored together or not at all.
    AtomicBatch,
    /// A subject holds a counter.
    Counter,
    /// The server publishes a message later.
    Schedule,
    /// A schedule with a source, a rollup or a time zone.
    RichSchedule,
}

impl Feature {
    /// Its name in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Feature::Always => "messages",
            Feature::Rollup => "rollups",
            Feature::MessageTtl => "a lifetime per message",
            Feature::ExpectedOfSubject => "an expected sequence of another subject",
            Feature::Tracing => "message tracing",
            Feature::AtomicBatch => "atomic batches",
            Feature::Counter => "counters",
            Feature::Schedule => "scheduled messages",
            Feature::RichSchedule => "schedules with a source, a rollup or a time zone",
        }
    }

    /// The first version of nats-server that has it. An older one stores the message and ignores the header.
    pub const fn since(self) -> ServerVersion {
        match self {
            Feature::Always => ServerVersion(2, 2),
            Feature::Rollup => ServerVersion(2, 6),
            Feature::MessageTtl | Feature::ExpectedOfSubject | Feature::Tracing => ServerVersion(2, 11),
            Feature::AtomicBatch | Feature::Counter | Feature::Schedule => ServerVersion(2, 12),
            Feature::RichSchedule => ServerVersion(2, 14),
        }
    }

    /// The setting without which a stream refuses it.
    pub const fn stream_setting(self) -> Option<&'static str> {
        match self {
            Feature::Always | Feature::ExpectedOfSubject | Feature::Tracing => None,
            Feature::Rollup => Some("allow_rollup_hdrs"),
            Feature::MessageTtl => Some("allow_msg_ttl"),
            Feature::AtomicBatch => Some("allow_atomic"),
            Feature::Counter => Some("allow_msg_counter"),
            Feature::Schedule | Feature::RichSchedule => Some("allow_msg_schedules"),
        }
    }
}

/// A header that a server acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerHeader {
    /// The name as the server compares it: letter by letter, with case.
    pub name: &'static str,
    /// What the server does.
    pub feature: Feature,
}

/// Says how `publish` wrote its `data`, where the payload alone would be read as something else.
pub const DATA_MARK: &str = "Deadheat-Data";

/// The key of a `publish` step that writes this header.
pub fn key_of(header: &str) -> Option<&'static str> {
    match header {
        "Nats-Msg-Id" => Some("message_id"),
        "Nats-Expected-Last-Sequence" => Some("expected_last_sequence"),
        "Nats-Expected-Last-Subject-Sequence" => Some("expected_last_subject_sequence"),
        _ => None,
    }
}

/// Whether the header's value names a subject of the stream.
pub fn names_subject(header: &str) -> bool {
    ["Nats-Expected-Last-Subject-Sequence-Subject", "Nats-Schedule-Target", "Nats-Schedule-Source"].contains(&header)
}

/// The header that is called `name`, in whatever case.
pub fn known(name: &str) -> Option<ServerHeader> {
    KNOWN.into_iter().find(|header| header.name.eq_ignore_ascii_case(name))
}

/// A header's name as the server spells it, which compares it with case; any other as it is.
pub fn spelled(name: &str) -> &str {
    known(name).map_or(name, |known| known.name)
}

const fn header(name: &'static str, feature: Feature) -> ServerHeader {
    ServerHeader { name, feature }
}

/// All of them. Seen in the programs of nats-server 2.9 to 2.15.
pub const KNOWN: [ServerHeader; 22] = [
    header("Nats-Msg-Id", Feature::Always),
    header("Nats-Expected-Stream", Feature::Always),
    header("Nats-Expected-Last-Sequence", Feature::Always),
    header("Nats-Expected-Last-Subject-Sequence", Feature::Always),
    header("Nats-Expected-Last-Msg-Id", Feature::Always),
    header("Nats-Rollup", Feature::Rollup),
    header("KV-Operation", Feature::Always),
    header("Nats-Expected-Last-Subject-Sequence-Subject", Feature::ExpectedOfSubject),
    header("Nats-TTL", Feature::MessageTtl),
    header("Nats-Trace-Dest", Feature::Tracing),
    header("Nats-Trace-Only", Feature::Tracing),
    header("Nats-Batch-Id", Feature::AtomicBatch),
    header("Nats-Batch-Sequence", Feature::AtomicBatch),
    header("Nats-Batch-Commit", Feature::AtomicBatch),
    header("Nats-Incr", Feature::Counter),
    header("Nats-Counter-Sources", Feature::Counter),
    header("Nats-Schedule", Feature::Schedule),
    header("Nats-Schedule-Target", Feature::Schedule),
    header("Nats-Schedule-TTL", Feature::Schedule),
    header("Nats-Schedule-Source", Feature::RichSchedule),
    header("Nats-Schedule-Rollup", Feature::RichSchedule),
    header("Nats-Schedule-Time-Zone", Feature::RichSchedule),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_known_in_any_case_and_have_one_spelling() {
        for header in KNOWN {
            assert_eq!(known(&header.name.to_lowercase()), Some(header));
            assert_eq!(known(&header.name.to_uppercase()), Some(header));
        }
        assert_eq!(known("nats-msg-id").map(|header| header.name), Some("Nats-Msg-Id"));
        assert_eq!(known("Trace"), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(ServerVersion::read("2.9.10"), Some(ServerVersion(2, 9)));
        assert_eq!(ServerVersion::read("v2.12.0-RC.1"), Some(ServerVersion(2, 12)));
        assert_eq!(ServerVersion::read("2.12-dev"), Some(ServerVersion(2, 12)));
        assert_eq!(ServerVersion::read("main"), None);
        assert!(ServerVersion(2, 9) < Feature::AtomicBatch.since());
    }
}
