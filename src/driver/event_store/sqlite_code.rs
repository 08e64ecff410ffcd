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
    use std::path::Path;
    use std::time::Duration;

    use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode};
    use sqlx::{ConnectOptions, Connection, SqliteConnection};

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

    async fn connect(file: &Path) -> SqliteConnection {
        let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
        let options = options.journal_mode(SqliteJournalMode::Wal).busy_timeout(Duration::ZERO);
        options.connect().await.unwrap()
    }

    async fn done(connection: &mut SqliteConnection, sql: &'static str) {
        sqlx::raw_sql(sql).execute(connection).await.unwrap();
    }

    /// The code with which SQLite refuses `sql`.
    async fn refused(connection: &mut SqliteConnection, sql: &'static str) -> String {
        match sqlx::raw_sql(sql).execute(connection).await {
            Err(sqlx::Error::Database(error)) => error.code().unwrap().into_owned(),
            other => panic!("`{sql}` was not refused: {other:?}"),
        }
    }

    #[tokio::test]
    async fn broken_constraints_have_these_codes_in_sqlite_itself() {
        let folder = tempfile::tempdir().unwrap();
        let sqlite = &mut connect(&folder.path().join("codes.db")).await;
        done(sqlite, "CREATE TABLE parent (id INTEGER PRIMARY KEY)").await;
        let child = "CREATE TABLE child (
            id INTEGER PRIMARY KEY, name TEXT UNIQUE, age INT NOT NULL CHECK (age > 0), parent INT REFERENCES parent (id))";
        done(sqlite, child).await;
        done(sqlite, "INSERT INTO child VALUES (1, 'a', 1, NULL)").await;
        for (sql, code, outcome) in [
            ("INSERT INTO child VALUES (1, 'b', 1, NULL)", "1555", OutcomeKind::Conflict),
            ("INSERT INTO child VALUES (2, 'a', 1, NULL)", "2067", OutcomeKind::Conflict),
            ("INSERT INTO child VALUES (3, 'c', 0, NULL)", "275", OutcomeKind::Rejected),
            ("INSERT INTO child VALUES (4, 'd', 1, 7)", "787", OutcomeKind::Rejected),
            ("INSERT INTO child VALUES (5, 'e', NULL, NULL)", "1299", OutcomeKind::Rejected),
            ("INSERT INTO nowhere VALUES (1)", "1", OutcomeKind::Crash),
        ] {
            assert_eq!(refused(sqlite, sql).await, code, "{sql}");
            assert_eq!(classify(code), outcome, "{sql}");
        }
    }

    #[tokio::test]
    async fn two_writers_have_these_codes_in_sqlite_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("codes.db");
        let (one, other) = (&mut connect(&file).await, &mut connect(&file).await);
        done(one, "CREATE TABLE t (a INT)").await;

        done(one, "BEGIN IMMEDIATE").await;
        assert_eq!(refused(other, "BEGIN IMMEDIATE").await, "5");
        assert_eq!(classify("5"), OutcomeKind::Busy);
        done(one, "ROLLBACK").await;

        done(one, "BEGIN; SELECT * FROM t").await;
        done(other, "INSERT INTO t VALUES (1)").await;
        assert_eq!(refused(one, "INSERT INTO t VALUES (2)").await, "517", "what it read has changed since");
        assert_eq!(classify("517"), OutcomeKind::Serialization);
    }

    /// In a shared cache the driver waits until the other lets go, so that 262 is never seen, until SQLite itself sees
    /// that both wait for each other.
    #[tokio::test]
    async fn a_deadlock_in_a_shared_cache_has_this_code_in_sqlite_itself() {
        let url = "sqlite:file:dh_codes?mode=memory&cache=shared";
        let (mut one, mut other) =
            (SqliteConnection::connect(url).await.unwrap(), SqliteConnection::connect(url).await.unwrap());
        done(&mut one, "CREATE TABLE t (a INT)").await;
        done(&mut one, "BEGIN; SELECT * FROM t").await;
        done(&mut other, "BEGIN IMMEDIATE").await;
        let first = async {
            tokio::select! {
                code = refused(&mut one, "INSERT INTO t VALUES (1)") => code,
                code = refused(&mut other, "INSERT INTO t VALUES (2)") => code,
            }
        };
        let code = tokio::time::timeout(Duration::from_secs(60), first).await.expect("neither waits for ever");
        assert_eq!((code.as_str(), classify(&code)), ("6", OutcomeKind::Busy));
    }
}
