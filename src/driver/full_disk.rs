//! What becomes of a race when the disk is full under a server that is deadheat's own.

use crate::port::{Endpoint, Reply, ServerOrigin, TargetError};

/// PostgreSQL: disk full.
pub(super) const POSTGRES_FULL: &[&str] = &["53100"];
/// JetStream: insufficient resources, and insufficient storage, which a server says whose disk is full.
pub(super) const JETSTREAM_FULL: &[&str] = &["10023", "10047"];

/// What to do about it.
const REMEDY: &str =
    "its files lie in the temporary directory: free space there, or set `TMPDIR` to a directory that has more";

impl Endpoint {
    /// Whether deadheat started the server itself.
    pub(super) fn is_private(&self) -> bool {
        self.origin == ServerOrigin::Private
    }
}

/// The reply, unless it says that a private server has no space left: that is not the fault of the system raced against.
pub(super) fn unless_full(reply: Reply, is_private: bool, full: &[&str]) -> Result<Reply, TargetError> {
    match reply {
        Reply::Refused(refusal) if is_private && full.contains(&refusal.code.as_str()) => {
            let (message, code) = (refusal.message, refusal.code);
            Err(TargetError::Environment {
                message: format!("the private server has no space left: {message} ({code}); {REMEDY}"),
            })
        }
        reply => Ok(reply),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Cause, OutcomeKind};
    use crate::port::Refusal;

    #[test]
    fn a_full_disk_under_a_private_server_is_the_surroundings_error_and_under_anothers_an_outcome() {
        let full = |code: &str| {
            let message = "could not extend file: No space left on device";
            Reply::Refused(Refusal::new(OutcomeKind::Crash, Cause::Server, code, message))
        };
        let Err(TargetError::Environment { message }) = unless_full(full("53100"), true, POSTGRES_FULL) else {
            panic!("it is an error")
        };
        assert!(message.contains("No space left") && message.contains("`TMPDIR`"), "{message}");
        assert_eq!(unless_full(full("53100"), false, POSTGRES_FULL), Ok(full("53100")));
        assert_eq!(unless_full(full("23505"), true, POSTGRES_FULL), Ok(full("23505")));
    }
}
