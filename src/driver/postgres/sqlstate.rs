//! What PostgreSQL's error codes mean for an attempt.

use crate::outcome::OutcomeKind;

/// What an SQLSTATE says about the attempt that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// The attempt ends so: nothing of the statement took effect.
    Outcome(OutcomeKind),
    /// The server ends the connection. Whether the effect happened depends on what was in flight.
    ConnectionLost,
}

/// The table of outcomes for the server's five-character code. Codes it does not know are crashes.
pub fn meaning(code: &str) -> Meaning {
    Meaning::Outcome(match code {
        "23505" | "23P01" => OutcomeKind::Conflict,
        // A schema, table, column, object or function that somebody else has made first.
        "42P06" | "42P07" | "42701" | "42710" | "42723" => OutcomeKind::Conflict,
        "40P01" => OutcomeKind::Deadlock,
        "55P03" => OutcomeKind::Busy,
        "40001" => OutcomeKind::Serialization,
        "57014" => OutcomeKind::Timeout,
        "P0001" => OutcomeKind::Rejected,
        _ if is_lost_connection(code) => return Meaning::ConnectionLost,
        _ if code.starts_with("23") => OutcomeKind::Rejected,
        _ => OutcomeKind::Crash,
    })
}

/// Whether the code says that the connection is lost, or was never made.
pub(super) fn is_lost_connection(code: &str) -> bool {
    ["57P01", "57P02", "57P03"].contains(&code) || code.starts_with("08")
}

/// Whether the code, one of a lost connection, says that there was no connection to ask anything over.
pub(crate) fn was_never_made(code: &str) -> bool {
    ["08001", "08004", "57P03"].contains(&code)
}

/// Whether the server has ended the session because it was idle, or its transaction open, for too long. Nothing was in
/// flight then.
pub fn is_session_deadline(code: &str) -> bool {
    ["25P03", "25P04", "57P05"].contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_has_its_meaning() {
        let outcomes = [
            ("23505", OutcomeKind::Conflict),
            ("23P01", OutcomeKind::Conflict),
            ("42P06", OutcomeKind::Conflict),
            ("42P07", OutcomeKind::Conflict),
            ("42701", OutcomeKind::Conflict),
            ("42710", OutcomeKind::Conflict),
            ("42723", OutcomeKind::Conflict),
            ("42601", OutcomeKind::Crash),
            ("42P01", OutcomeKind::Crash),
            ("42703", OutcomeKind::Crash),
            ("42501", OutcomeKind::Crash),
            ("42883", OutcomeKind::Crash),
            ("22P02", OutcomeKind::Crash),
            ("40P01", OutcomeKind::Deadlock),
            ("55P03", OutcomeKind::Busy),
            ("40001", OutcomeKind::Serialization),
            ("57014", OutcomeKind::Timeout),
            ("P0001", OutcomeKind::Rejected),
            ("23000", OutcomeKind::Rejected),
            ("23001", OutcomeKind::Rejected),
            ("23502", OutcomeKind::Rejected),
            ("23503", OutcomeKind::Rejected),
            ("23514", OutcomeKind::Rejected),
            ("22012", OutcomeKind::Crash),
            ("25P02", OutcomeKind::Crash),
            ("0A000", OutcomeKind::Crash),
            ("40002", OutcomeKind::Crash),
            ("53300", OutcomeKind::Crash),
            ("55000", OutcomeKind::Crash),
            ("57P04", OutcomeKind::Crash),
            ("P0002", OutcomeKind::Crash),
            ("XX000", OutcomeKind::Crash),
            ("", OutcomeKind::Crash),
        ];
        for (code, kind) in outcomes {
            assert_eq!(meaning(code), Meaning::Outcome(kind), "{code}");
        }
        for code in ["08000", "08003", "08006", "57P01", "57P02", "57P03"] {
            assert_eq!(meaning(code), Meaning::ConnectionLost, "{code}");
        }
    }
}
