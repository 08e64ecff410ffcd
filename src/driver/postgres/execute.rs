//! Statements, prepared and carried out.

use std::error::Error as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;

use futures::TryStreamExt;
use tokio_postgres::error::Severity;
use tokio_postgres::{Client, Error, Row, Statement};

use super::argument::Argument;
use super::column::Cell;
use super::fault;
use crate::port::{Done, TargetError};
use crate::value::Value;

/// A statement that the server has prepared.
pub(super) struct Prepared {
    pub(super) text: Arc<str>,
    statement: Statement,
}

/// Why the server did not do what it was asked.
#[derive(Debug)]
pub(super) enum Failure {
    /// It refused the statement before it ran.
    NotStarted(Error),
    /// It refused the statement, or the connection ended.
    Ended(Error),
    /// The scenario cannot ask so.
    Fault(TargetError),
}

impl Failure {
    /// Whether the statement must be prepared again because what it reads has changed its shape. It did not start then.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Failure::NotStarted(error) if error.code().is_some_and(|code| code.code() == "0A000"))
    }

    /// Whether the next request may go over the same connection: not after what the driver did not understand, such as the
    /// server waiting for the data of a COPY.
    pub(super) fn leaves_connection_usable(&self) -> bool {
        match self {
            Failure::NotStarted(error) | Failure::Ended(error) => {
                error.as_db_error().is_some() && !ends_connection(error)
            }
            Failure::Fault(_) => true,
        }
    }
}

/// Prepares `text`, the columns of which must be readable.
pub(super) async fn prepare(client: &Client, text: &Arc<str>) -> Result<Prepared, Failure> {
    let statement = client
        .prepare(text)
        .await
        .map_err(|error| if ends_connection(&error) { Failure::Ended(error) } else { Failure::NotStarted(error) })?;
    fault::column_types(text, statement.columns()).map_err(Failure::Fault)?;
    Ok(Prepared { text: text.clone(), statement })
}

/// Carries out `prepared`. Its result holds only once the server is ready for the next statement, which is awaited: an
/// autocommit statement commits after its last row.
pub(super) async fn execute(client: &Client, prepared: &Prepared, args: &[Argument]) -> Result<Done, Failure> {
    let Prepared { text, statement } = prepared;
    fault::argument_count(text, statement.params().len(), args.len()).map_err(Failure::Fault)?;
    let stream = client.query_raw(statement, args).await.map_err(Failure::NotStarted)?;
    let mut stream = pin!(stream);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await.map_err(Failure::Ended)? {
        rows.push(values(text, &row).map_err(Failure::Fault)?);
    }
    // SHOW, EXPLAIN and CALL return rows without saying how many.
    let affected = stream.rows_affected().unwrap_or(0).max(rows.len() as u64);
    Ok(Done { rows, affected, result: Value::Null })
}

fn values(text: &str, row: &Row) -> Result<Vec<Value>, TargetError> {
    let value = |index| match row.try_get(index) {
        Ok(Cell(value)) => Ok(value),
        Err(error) => {
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Err(fault::unreadable(text, &row.columns()[index], &why))
        }
    };
    (0..row.len()).map(value).collect()
}

/// Whether the connection is gone, and not just the statement refused.
pub(super) fn ends_connection(error: &Error) -> bool {
    match error.as_db_error() {
        Some(refusal) => matches!(refusal.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        None => error.is_closed() || error.source().is_some_and(<dyn std::error::Error>::is::<io::Error>),
    }
}
