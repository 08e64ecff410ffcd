//! What to say when a statement cannot be carried out as it was written.

use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::{Column, Error};

use super::argument::Argument;
use super::column::is_readable;
use super::connect::chain;
use crate::port::TargetError;
use crate::said::Said;

/// How much of a statement is shown.
const SNIPPET_CHARACTERS: usize = 80;

/// The statement is not what the server can carry out.
pub(super) fn statement(text: &str, error: &Error) -> TargetError {
    TargetError::Fault {
        message: match error.as_db_error() {
            Some(refusal) => format!("{} failed: {}", snippet(text), explained(text, refusal)),
            None => format!(
                "{} cannot be carried out: {}; statements that stream data, such as COPY, are not supported",
                snippet(text),
                chain(error)
            ),
        },
    }
}

/// The statement cannot be carried out with these arguments, if it is the arguments' fault: the server names a parameter
/// in the error's context when it could not read one.
pub(super) fn argument(text: &str, args: &[Argument], refusal: &DbError) -> Option<TargetError> {
    let number = Said::new(refusal.where_()?).number_after("parameter $")?;
    let value = args.get(number.checked_sub(1)?)?.value();
    Some(TargetError::Fault {
        message: format!(
            "argument ${number} of {} does not fit: {}, sent {} ({})",
            snippet(text),
            refusal.message(),
            value.type_name(),
            refusal.code().code()
        ),
    })
}

/// The code of a statement whose result has changed its shape since it was prepared, and of all that is not supported.
pub(super) const STALE_PLAN: &str = "0A000";
/// What to do about it. In a transaction no client can prepare the statement again and go on.
pub(super) const STALE_PLAN_REMEDY: &str = "; a table has changed since this was prepared, as it would have for a pooled \
    connection: name the columns instead of `*`, or begin the transaction again";

/// The target was asked for something that is not SQL.
pub(super) fn not_sql(word: &str) -> TargetError {
    TargetError::Fault {
        message: format!("a `postgres` target takes `sql`, found `{word}`; use a target of another driver for it"),
    }
}

/// The number of arguments must be what the statement takes.
pub(super) fn argument_count(text: &str, wanted: usize, found: usize) -> Result<(), TargetError> {
    if wanted == found {
        return Ok(());
    }
    Err(TargetError::Fault {
        message: format!("{} takes {wanted} arguments, found {found}; correct `args`", snippet(text)),
    })
}

/// Every column must be of a type that has values.
pub(super) fn column_types(text: &str, columns: &[Column]) -> Result<(), TargetError> {
    match columns.iter().find(|column| !is_readable(column.type_())) {
        None => Ok(()),
        Some(column) => Err(unreadable(text, column, "no value corresponds to this type")),
    }
}

/// A column holds something that no value can hold.
pub(super) fn unreadable(text: &str, column: &Column, why: &str) -> TargetError {
    TargetError::Fault {
        message: format!(
            "column `{name}` of {}, of type `{}`, cannot be read: {why}; cast it: `{name}::text`",
            snippet(text),
            column.type_().name(),
            name = column.name(),
        ),
    }
}

/// Everything that the server said about `text`.
fn explained(text: &str, refusal: &DbError) -> String {
    let mut message = format!("{} ({})", refusal.message(), refusal.code().code());
    if let Some(ErrorPosition::Original(position)) = refusal.position() {
        let (line, column) = place(text, *position);
        message.push_str(&format!(" at line {line}, column {column} of the statement"));
    }
    for (label, more) in [("detail", refusal.detail()), ("hint", refusal.hint())] {
        if let Some(more) = more {
            message.push_str(&format!("; {label}: {more}"));
        }
    }
    if refusal.code().code() == "42710" && makes_role(text) {
        message.push_str(DUPLICATE_ROLE_REMEDY);
    }
    message
}

/// Roles belong to no schema, and nobody but the scenario knows which are its own.
const DUPLICATE_ROLE_REMEDY: &str = "; roles are the whole server's, and an earlier set-up of this scenario or of its control \
    may have made it: remove it in `teardown` with `DROP OWNED BY NAME; DROP ROLE IF EXISTS NAME`";

/// Whether `text` makes a role.
fn makes_role(text: &str) -> bool {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.windows(2).any(|pair| pair[0] == "create" && ["role", "user", "group"].contains(&pair[1].as_str()))
}

/// Line and column, from 1, of the `position`th character, from 1.
fn place(text: &str, position: u32) -> (usize, usize) {
    let before = text.chars().take((position as usize).saturating_sub(1));
    before.fold((1, 1), |(line, column), next| if next == '\n' { (line + 1, 1) } else { (line, column + 1) })
}

/// The statement's beginning on one line, in backticks.
pub(super) fn snippet(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SNIPPET_CHARACTERS) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}

/// The final state could not be read, since a worker's session has a lock that reading it needs.
pub(super) fn blocked(text: &str, lock: &str, worker: usize) -> TargetError {
    let message = format!(
        "{} was not read: it waits for {lock}, and session {worker} keeps a lock in its way until the round is over; \
        read what needs no such lock, or have the step that takes it also free it",
        snippet(text)
    );
    TargetError::Environment { message }
}

/// A fixture's text has begun a transaction and not ended it.
pub(super) fn left_open(text: &str) -> TargetError {
    let message =
        format!("{} leaves a transaction open, whose rows no worker would see; end it with COMMIT", snippet(text));
    TargetError::Fault { message }
}

/// A transaction was over before its COMMIT.
pub(super) fn already_ended() -> TargetError {
    let message =
        "the transaction had ended before its COMMIT: one of the steps ended it, and what came after that step \
        committed by itself; leave BEGIN, COMMIT, ROLLBACK and PREPARE TRANSACTION to `transaction`"
            .to_owned();
    TargetError::Fault { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_and_lines() {
        assert_eq!(place("SELECT 1", 8), (1, 8));
        assert_eq!(place("SELECT 'ä'\nFORM t", 12), (2, 1));
    }

    #[test]
    fn long_statements_are_shown_in_part() {
        assert_eq!(snippet("SELECT\n  1"), "`SELECT 1`");
        assert!(snippet(&"ä".repeat(200)).ends_with("ä…`"));
    }
}
