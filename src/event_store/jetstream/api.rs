//! What JetStream's errors mean for the store.

use std::error::Error;
use std::time::Duration;

use async_nats::jetstream::context::{
    CreateStreamError, CreateStreamErrorKind, DeleteStreamError, DeleteStreamErrorKind, GetStreamError,
    GetStreamErrorKind, PublishError, PublishErrorKind,
};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind, DirectGetError, DirectGetErrorKind};
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{RequestError, RequestErrorKind, StatusCode};

use super::super::error::{Doing, StoreError};

/// `JSStreamWrongLastSequence`, and its sibling `JSStreamWrongLastSequenceConstant` that clusters
/// answer while another message of the subject is on its way.
const CONFLICTS: [&str; 2] = ["10071", "10164"];

const REMEDY: &str = "create the stream first, with `create_stream`, on a nats-server started with `--jetstream`";

/// Whether the code says that the expected last sequence was not the last one.
pub(super) fn is_conflict(code: &str) -> bool {
    CONFLICTS.contains(&code)
}

/// Why a publish that had been sent was not acknowledged.
pub(super) fn publish_failure(doing: &Doing, deadline: Duration, error: &PublishError) -> StoreError {
    // The client has kinds of its own for a few codes only; the code itself is in the source.
    if let Some(refusal) = error.source().and_then(|source| source.downcast_ref()) {
        return refused(doing, refusal);
    }
    match error.kind() {
        // The client's word for a message that nobody took.
        PublishErrorKind::StreamNotFound => doing.unanswered("no stream takes this subject"),
        PublishErrorKind::TimedOut => doing.late(deadline),
        _ => doing.lost(error),
    }
}

pub(super) fn direct_get_failure(doing: &Doing, deadline: Duration, error: &DirectGetError) -> StoreError {
    match error.kind() {
        DirectGetErrorKind::ErrorResponse(StatusCode::NO_RESPONDERS, _) => {
            doing.unanswered("no stream answers direct gets")
        }
        DirectGetErrorKind::ErrorResponse(status, description) => doing.refused(status, description),
        DirectGetErrorKind::TimedOut => doing.late(deadline),
        _ => doing.lost(error),
    }
}

/// The failure that says that there is no stream, if the error does.
pub(super) fn absent_stream(doing: &Doing, error: &GetStreamError) -> Option<StoreError> {
    match error.kind() {
        GetStreamErrorKind::JetStream(refusal) => {
            Some(refused(doing, &refusal)).filter(|failure| matches!(failure, StoreError::Environment { .. }))
        }
        _ => None,
    }
}

pub(super) fn consumer_failure(doing: &Doing, deadline: Duration, error: &ConsumerError) -> StoreError {
    match error.kind() {
        ConsumerErrorKind::JetStream(refusal) => refused(doing, &refusal),
        ConsumerErrorKind::TimedOut => doing.late(deadline),
        _ => request_failure(doing, deadline, error),
    }
}

pub(super) fn create_stream_failure(doing: &Doing, deadline: Duration, error: &CreateStreamError) -> StoreError {
    match error.kind() {
        CreateStreamErrorKind::JetStream(refusal) => refused(doing, &refusal),
        CreateStreamErrorKind::JetStreamUnavailable => {
            doing.no_store("JetStream does not answer", "start nats-server with `--jetstream`")
        }
        CreateStreamErrorKind::TimedOut => doing.late(deadline),
        _ => doing.lost(error),
    }
}

pub(super) fn delete_stream_failure(doing: &Doing, error: &DeleteStreamError) -> StoreError {
    match error.kind() {
        DeleteStreamErrorKind::JetStream(refusal) => refused(doing, &refusal),
        _ => doing.lost(error),
    }
}

/// The failure of an error that wraps the client's request error, if it does.
fn request_failure(doing: &Doing, deadline: Duration, error: &(dyn Error + 'static)) -> StoreError {
    let sources = std::iter::successors(error.source(), |error| (*error).source());
    for source in sources {
        match source.downcast_ref::<RequestError>().map(RequestError::kind) {
            Some(RequestErrorKind::NoResponders) => {
                return doing.unanswered("JetStream does not answer");
            }
            Some(RequestErrorKind::TimedOut) => return doing.late(deadline),
            _ => {}
        }
    }
    doing.lost(error)
}

fn refused(doing: &Doing, refusal: &jetstream::Error) -> StoreError {
    if refusal.error_code() == ErrorCode::CLUSTER_NOT_AVAILABLE {
        return doing.unanswered(refusal);
    }
    let absent =
        [ErrorCode::STREAM_NOT_FOUND, ErrorCode::JETSTREAM_NOT_ENABLED, ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT];
    match absent.contains(&refusal.error_code()) {
        true => doing.no_store(refusal, REMEDY),
        false => doing.refused(refusal.error_code().0, refusal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_store::Silence;

    /// What a publish fails with when the server answers with this API error code.
    fn failure(kind: PublishErrorKind, code: u64) -> StoreError {
        let answer = serde_json::json!({ "code": 400, "err_code": code, "description": "wrong last sequence" });
        let answer: jetstream::Error = serde_json::from_value(answer).unwrap();
        publish_failure(&Doing::write("publishing"), Duration::ZERO, &PublishError::with_source(kind, answer))
    }

    #[test]
    fn both_codes_of_a_wrong_last_sequence_are_conflicts() {
        for (kind, code) in [(PublishErrorKind::WrongLastSequence, 10071), (PublishErrorKind::Other, 10164)] {
            let failure = failure(kind, code);
            let StoreError::Refused { refusal, .. } = &failure else { panic!("{failure}") };
            assert_eq!(refusal.code, code.to_string());
            assert!(is_conflict(&refusal.code));
        }
        assert!(!is_conflict("10054"));
    }

    #[test]
    fn an_absent_stream_is_no_refusal() {
        for code in [10039, 10059, 10076] {
            let failure = failure(PublishErrorKind::Other, code);
            assert!(matches!(failure, StoreError::Environment { .. }), "{code}: {failure}");
        }
    }

    #[test]
    fn what_nobody_took_had_no_effect() {
        let unheard = PublishError::new(PublishErrorKind::StreamNotFound);
        let unheard = publish_failure(&Doing::write("publishing"), Duration::ZERO, &unheard);
        for failure in [unheard, failure(PublishErrorKind::Other, 10008)] {
            let is_certain =
                matches!(failure, StoreError::NoReply { sent: false, silence: Silence::Unanswered(_), .. });
            assert!(is_certain, "{failure}");
        }
    }

    #[test]
    fn an_ack_that_never_comes_leaves_the_effect_open() {
        for kind in [PublishErrorKind::TimedOut, PublishErrorKind::BrokenPipe] {
            let failure = publish_failure(&Doing::write("publishing"), Duration::ZERO, &PublishError::new(kind));
            assert!(matches!(failure, StoreError::NoReply { sent: true, .. }), "{failure}");
        }
    }
}
