//! What SQLite's result codes mean for an attempt.

use crate::outcome::OutcomeKind;

/// The outcome of a statement that failed with SQLite's extended result code `code` (as decimal text).
///
/// The codes are those of <https://www.sqlite.org/rescode.html>.
pub(crate) fn classify(code: &str) -> OutcomeKind {
    const CONSTRAINT: i32 = 19;
    match code.parse::<i32>() {
        // SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_UNIQUE
        Ok(1555 | 2067) => OutcomeKind::Conflict,
        // SQLITE_BUSY, SQLITE_LOCKED, SQLITE_LOCKED_SHAREDCACHE
        Ok(5 | 6 | 262) => OutcomeKind::Busy,
        // SQLITE_BUSY_SNAPSHOT: what the transaction read has changed since
        Ok(517) => OutcomeKind::Serialization,
        // The low byte is the primary code.
        Ok(code) if code & 0xff == CONSTRAINT => OutcomeKind::Rejected,
        Ok(_) | Err(_) => OutcomeKind::Crash,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_of_the_table_has_its_outcome() {
        let table = [
            ("1555", OutcomeKind::Conflict),
            ("2067", OutcomeKind::Conflict),
            ("5", OutcomeKind::Busy),
            ("6", OutcomeKind::Busy),
            ("262", OutcomeKind::Busy),
            ("517", OutcomeKind::Serialization),
            ("19", OutcomeKind::Rejected),
            ("275", OutcomeKind::Rejected),
            ("787", OutcomeKind::Rejected),
            ("1299", OutcomeKind::Rejected),
            ("1", OutcomeKind::Crash),
            ("10", OutcomeKind::Crash),
            ("nonsense", OutcomeKind::Crash),
        ];
        for (code, outcome) in table {
            assert_eq!(classify(code), outcome, "code {code}");
        }
    }
}
