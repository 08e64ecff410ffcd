//! What the error codes of the JetStream API mean for a publish.

use crate::outcome::OutcomeKind;

/// The stream's, or the subject's, last sequence is not the expected one.
pub const WRONG_LAST_SEQUENCE: u64 = 10071;
/// The same from a clustered stream, which does not tell the sequence.
const WRONG_LAST_SEQUENCE_CONSTANT: u64 = 10164;
/// Another message with the same id is just being stored by a clustered stream.
const DUPLICATE_IN_PROCESS: u64 = 10158;
/// JetStream's cluster has no leader.
const CLUSTER_NOT_AVAILABLE: u64 = 10008;
/// The account has no JetStream.
const NOT_ENABLED_FOR_ACCOUNT: u64 = 10039;
/// The server has no JetStream.
const NOT_ENABLED: u64 = 10076;
/// There is no such stream.
pub(crate) const STREAM_NOT_FOUND: u64 = 10059;
/// There is a stream of this name, with another configuration.
pub(crate) const STREAM_NAME_IN_USE: u64 = 10058;

/// The outcome of a publish that was refused with the `err_code` `code`.
///
/// `None` if the code says nothing about the message: JetStream or the stream is not there, which is an error of the environment.
pub fn classify(code: u64) -> Option<OutcomeKind> {
    match code {
        WRONG_LAST_SEQUENCE | WRONG_LAST_SEQUENCE_CONSTANT => Some(OutcomeKind::Conflict),
        DUPLICATE_IN_PROCESS => Some(OutcomeKind::Duplicate),
        // Refused for now: nothing was stored.
        CLUSTER_NOT_AVAILABLE => Some(OutcomeKind::Disconnected),
        STREAM_NOT_FOUND => None,
        code if is_not_enabled(code) => None,
        _ => Some(OutcomeKind::Rejected),
    }
}

/// Whether the `err_code` `code` says that there is no JetStream to ask.
pub fn is_not_enabled(code: u64) -> bool {
    matches!(code, NOT_ENABLED | NOT_ENABLED_FOR_ACCOUNT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_outcome() {
        for (code, outcome) in [
            (10071, Some(OutcomeKind::Conflict)),
            (10164, Some(OutcomeKind::Conflict)),
            (10158, Some(OutcomeKind::Duplicate)),
            (10008, Some(OutcomeKind::Disconnected)),
            (10039, None),
            (10059, None),
            (10076, None),
            (10047, Some(OutcomeKind::Rejected)),
            (10054, Some(OutcomeKind::Rejected)),
            (10060, Some(OutcomeKind::Rejected)),
            (10070, Some(OutcomeKind::Rejected)),
            (10077, Some(OutcomeKind::Rejected)),
            (10167, Some(OutcomeKind::Rejected)),
        ] {
            assert_eq!(classify(code), outcome, "{code}");
        }
    }

    #[test]
    fn only_two_codes_say_that_jetstream_is_not_enabled() {
        assert!(is_not_enabled(10039) && is_not_enabled(10076));
        assert!(!is_not_enabled(10059));
    }
}
