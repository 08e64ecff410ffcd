//! What a scenario's SQL may leave behind in its session, and how that is removed before the next round.

/// Removes it: what was begun, cursors, settings, the role, what is listened to, temporary tables, what sequences gave,
/// advisory locks, and statements that were prepared by SQL. `DISCARD ALL` would take those that the driver prepared, too.
pub(super) const REMOVE: &str = "ROLLBACK; CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; UNLISTEN *; \
    DISCARD TEMP; DISCARD SEQUENCES; SELECT pg_advisory_unlock_all(); \
    DO $$ DECLARE it record; BEGIN \
        FOR it IN SELECT name FROM pg_prepared_statements WHERE from_sql LOOP \
            EXECUTE format('DEALLOCATE %I', it.name); \
        END LOOP; \
    END $$";

/// Whether something of `sql` may outlive its transaction in the session. Only the words are looked at: it costs a round
/// trip between rounds to remove what is not there, and a wrong count to leave what is. A function of the user's that does
/// such a thing is only seen where it is created.
pub(super) fn may_stay(sql: &str) -> bool {
    let words: Vec<String> =
        sql.split(|character: char| !character.is_alphanumeric() && character != '_').map(str::to_lowercase).collect();
    let has = |wanted: &str| words.iter().any(|word| word == wanted);
    let sets_columns = has("update") || has("alter");
    (has("set") && !sets_columns)
        || words.iter().any(|word| STAYING.contains(&word.as_str()) || word.contains("advisory_lock"))
}

/// Whether `sql` may begin a transaction.
pub(super) fn may_begin(sql: &str) -> bool {
    let mut words = sql.split(|character: char| !character.is_alphanumeric() && character != '_');
    words.any(|word| word.eq_ignore_ascii_case("begin") || word.eq_ignore_ascii_case("transaction"))
}

const STAYING: [&str; 10] =
    ["currval", "declare", "discard", "lastval", "listen", "prepare", "reset", "set_config", "temp", "temporary"];

#[cfg(test)]
mod tests {
    use super::may_stay;

    #[test]
    fn what_may_stay_in_a_session_is_seen() {
        for sql in [
            "SET work_mem = '77MB'",
            "-- why\nset local role racer",
            "SELECT set_config('search_path', '', false)",
            "CREATE TEMP TABLE t (a int)",
            "LISTEN news",
            "PREPARE one AS SELECT 1",
            "SELECT pg_try_advisory_lock(7)",
            "DO $$ BEGIN PERFORM set_config('a.b', 'c', false); END $$",
        ] {
            assert!(may_stay(sql), "{sql}");
        }
        for sql in ["UPDATE t SET a = 1", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 2", "SELECT 1"] {
            assert!(!may_stay(sql), "{sql}");
        }
    }
}
