//! Why a race could not be raced, or not to its end.

use crate::judge::RunVerdict;

/// A race that could not be raced, or not to its end. What a server refuses is not an error: it is an outcome, and in the report.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    verdict: RunVerdict,
    message: String,
}

impl Error {
    pub(super) fn new(verdict: RunVerdict, message: impl std::fmt::Display) -> Self {
        Error { verdict, message: crate::secrets::hidden_in_lines(&message.to_string()) }
    }

    pub(super) fn usage(message: impl std::fmt::Display) -> Self {
        Error::new(RunVerdict::Usage, message)
    }

    pub(super) fn environment(message: impl std::fmt::Display) -> Self {
        Error::new(RunVerdict::Environment, message)
    }

    /// What the error makes of the run: [`RunVerdict::Usage`] if the scenario or a call is at fault,
    /// [`RunVerdict::Environment`] if a server or this machine is.
    pub fn verdict(&self) -> RunVerdict {
        self.verdict
    }
}
