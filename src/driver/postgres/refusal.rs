//! What a refusal, or the end of a connection, means for the attempt.

use tokio_postgres::Error;

use super::argument::Argument;
use super::connect::chain;
use super::execute::Failure;
use super::fault;
use super::statement::Statement;
use crate::driver::postgres::sqlstate::{Meaning, is_session_deadline, meaning, was_never_made};
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{Refusal, Reply, TargetError};
use crate::said::Said;

/// Our own word for what has no SQLSTATE.
const CONNECTION_LOST: &str = "connection-lost";

/// What an answered refusal of `statement` means for the attempt.
pub(super) fn judge(statement: &Statement, args: &[Argument], failure: Failure) -> Result<Reply, TargetError> {
    let misfit = match &failure {
        Failure::NotStarted(error) | Failure::Ended(error) => {
            error.as_db_error().and_then(|refusal| fault::argument(&statement.text, args, refusal))
        }
        Failure::Fault(_) => None,
    };
    let mut reply = refused(&statement.text, failure)?;
    if let (Some(misfit), Reply::Refused(refusal)) = (misfit, &mut reply) {
        refusal.message = Said::new(misfit.to_string());
        statement.fits.wrong(misfit.to_string());
    }
    Ok(reply)
}

/// What an answered refusal means for the attempt.
pub(super) fn refused(text: &str, failure: Failure) -> Result<Reply, TargetError> {
    let error = match failure {
        Failure::Fault(fault) => return Err(fault),
        Failure::NotStarted(error) | Failure::Ended(error) => error,
    };
    let Some(refusal) = error.as_db_error() else { return Err(fault::statement(text, &error)) };
    let code = refusal.code().code();
    let kind = match meaning(code) {
        Meaning::Outcome(kind) => kind,
        // It was said of somebody else's connection, such as a foreign server's: ours still answers.
        Meaning::ConnectionLost if was_never_made(code) => OutcomeKind::Disconnected,
        Meaning::ConnectionLost => OutcomeKind::Unknown,
    };
    let mut message = Said::new(refusal.message());
    if code == fault::STALE_PLAN && message.mentions("cached plan") {
        message = message.and(fault::STALE_PLAN_REMEDY);
    }
    Ok(Reply::Refused(Refusal { kind, cause: Cause::Server, code: code.to_owned(), message }))
}

/// The connection is gone; `error` is why, as far as is known.
pub(super) fn lost(kind: OutcomeKind, error: Option<&Error>) -> Refusal {
    match error.map(|error| (error, error.as_db_error())) {
        Some((_, Some(refusal))) => {
            let code = refusal.code().code();
            let was_idle = kind == OutcomeKind::Disconnected && is_session_deadline(code);
            let kind = if was_idle { OutcomeKind::Timeout } else { kind };
            Refusal::new(kind, Cause::ConnectionLost, code, refusal.message())
        }
        Some((error, None)) => Refusal::new(kind, Cause::ConnectionLost, CONNECTION_LOST, chain(error)),
        None => Refusal::new(kind, Cause::ConnectionLost, CONNECTION_LOST, "the connection was lost before"),
    }
}
