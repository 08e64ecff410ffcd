//! A statement that sessions prepare, and whether it ever was what the server can carry out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::effect;

/// A statement of the scenario's.
pub(super) struct Statement {
    pub(super) text: Arc<str>,
    /// The first request that has it: index into [`crate::port::TargetSpec::requests`].
    pub(super) request: usize,
    /// Whether it changes nothing, if what it reads are plain tables.
    pub(super) is_read_only: bool,
    /// Every name in it that may be one of a table or a view.
    pub(super) relations: Vec<String>,
    /// Whether it may commit a part of what it does, outside a transaction.
    pub(super) may_commit: bool,
    /// Whether it could be prepared.
    pub(super) prepared: Proof,
    /// Whether the server could read its arguments.
    pub(super) fits: Proof,
}

impl Statement {
    pub(super) fn new(text: &Arc<str>, request: usize) -> Self {
        Statement {
            text: text.clone(),
            request,
            is_read_only: effect::is_read_only(text),
            relations: effect::names(text),
            may_commit: may_commit(text),
            prepared: Proof::default(),
            fits: Proof::default(),
        }
    }

    /// What is wrong with it, if it could not be used once.
    pub(super) fn never(&self) -> Option<String> {
        self.prepared.never().or_else(|| self.fits.never())
    }
}

/// Whether something was right once, which proves that the scenario may ask so: what is refused afterwards, the race has
/// brought about.
#[derive(Default)]
pub(super) struct Proof {
    was_right: AtomicBool,
    /// Why it was wrong when it was last tried.
    wrong: Mutex<Option<String>>,
}

impl Proof {
    pub(super) fn right(&self) {
        // Read first: a line that all sessions write at each call would slow them down.
        if !self.was_right.load(Ordering::Relaxed) {
            self.was_right.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn wrong(&self, why: String) {
        *self.wrong.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    /// Why it was wrong whenever it was tried; `None` also if it never was tried.
    pub(super) fn never(&self) -> Option<String> {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        wrong.filter(|_| !self.was_right.load(Ordering::Relaxed))
    }
}

/// Whether `sql` may make something that another statement needs, itself or through a function. In doubt it may.
pub(super) fn may_make(sql: &str) -> bool {
    has_word(sql, &["create", "alter", "import", "call", "execute"])
        || runs_code(sql)
        || words(sql)
            .zip(words(sql).skip(1))
            .any(|(before, word)| word.eq_ignore_ascii_case("into") && !is_one_of(before, &["insert", "merge"]))
}

/// Whether `sql` is a `CALL` or a `DO`: these can commit what they did before they end. In doubt it is.
fn may_commit(sql: &str) -> bool {
    let sql = sql.trim_start();
    if sql.starts_with("--") || sql.starts_with("/*") {
        return has_word(sql, &["call"]) || runs_code(sql);
    }
    words(sql).next().is_some_and(|word| is_one_of(word, &["call", "do"]))
}

/// Whether `sql` makes functions, which may do anything later.
pub(super) fn makes_functions(sql: &str) -> bool {
    has_word(sql, &["function", "procedure"]) || runs_code(sql)
}

/// Whether `sql` may change what tables look like.
pub(super) fn changes_shapes(sql: &str) -> bool {
    has_word(sql, &["create", "drop", "alter"])
}

/// Whether there is a `DO` in `sql`, other than that of `ON CONFLICT`.
fn runs_code(sql: &str) -> bool {
    let after = words(sql).skip(1).map(Some).chain([None]);
    words(sql).zip(after).any(|(word, after)| {
        word.eq_ignore_ascii_case("do") && !after.is_some_and(|after| is_one_of(after, &["nothing", "update"]))
    })
}

fn has_word(sql: &str, wanted: &[&str]) -> bool {
    words(sql).any(|word| is_one_of(word, wanted))
}

fn is_one_of(word: &str, wanted: &[&str]) -> bool {
    wanted.iter().any(|wanted| word.eq_ignore_ascii_case(wanted))
}

fn words(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(|character: char| !character.is_alphanumeric() && character != '_').filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_right_once_was_not_never_right() {
        let statement = Statement::new(&Arc::from("SELECT 1"), 0);
        assert_eq!(statement.never(), None, "never tried");
        statement.fits.wrong("argument $1 does not fit".to_owned());
        statement.prepared.wrong("no such table".to_owned());
        assert_eq!(statement.never().as_deref(), Some("no such table"));
        statement.prepared.right();
        assert_eq!(statement.never().as_deref(), Some("argument $1 does not fit"));
        statement.fits.right();
        statement.prepared.wrong("no such table".to_owned());
        assert_eq!(statement.never(), None);
    }

    #[test]
    fn what_may_commit_inside_is_seen_in_any_writing() {
        for sql in ["CALL p()", " do $$ BEGIN COMMIT; END $$", "-- a\ncall p()", "/* a */ DO 'BEGIN END'"] {
            assert!(may_commit(sql), "{sql}");
        }
        for sql in ["SELECT call FROM t", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "-- do it\nSELECT 1"] {
            assert_eq!(may_commit(sql), sql.starts_with("--"), "{sql}");
        }
    }

    #[test]
    fn what_may_make_something_is_seen_in_any_writing() {
        assert!(may_make("create table t (a int)") && may_make("SELECT 1 INTO t") && may_make("CALL migrate()"));
        assert!(may_make("DO 'BEGIN PERFORM f(); END'") && makes_functions("SELECT 1; DO $$ BEGIN END $$"));
        for sql in ["INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "SELECT created FROM t", "MERGE INTO t USING s"]
        {
            assert!(!may_make(sql) && !makes_functions(sql), "{sql}");
        }
    }
}
