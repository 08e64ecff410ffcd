//! What ends a run before its time.

use crate::engine::EngineError;
use crate::judge::RunVerdict;
use crate::report::{SamplesError, SinkError};

/// A run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The race itself.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The run's folder.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The rounds that were written cannot be read back.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// One of the others, after which cleaning up failed as well.
    #[error("{cause}\ncleanup also failed: {cleaning}")]
    Uncleaned {
        /// What ended the run.
        cause: Box<RunError>,
        /// What came of cleaning up.
        cleaning: Box<RunError>,
    },
    /// Several scenarios ended with an error each. None stopped the others.
    #[error("{}", errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several {
        /// At least two, in the order in which the scenarios were raced.
        errors: Vec<RunError>,
    },
    /// It was told to stop before its time.
    #[error("the run was told to stop")]
    Stopped,
    /// Our own fault.
    #[error("deadheat itself failed: {message}; this is a bug: please report it with the scenario and the seed")]
    Harness {
        /// What the panic said.
        message: String,
    },
}

impl RunError {
    /// What the error makes of the run.
    pub fn verdict(&self) -> RunVerdict {
        match self {
            RunError::Engine(EngineError::Fault { .. }) => RunVerdict::Usage,
            RunError::Engine(EngineError::Environment { .. } | EngineError::Lost { .. })
            | RunError::Sink(_)
            | RunError::Samples(_) => RunVerdict::Environment,
            RunError::Stopped => RunVerdict::Interrupted,
            RunError::Harness { .. } => RunVerdict::Fail,
            RunError::Uncleaned { cause, .. } => cause.verdict(),
            RunError::Several { errors } => RunVerdict::decide(errors.iter().map(RunError::verdict)),
        }
    }

    /// What ended the run, whatever came of cleaning up.
    pub fn cause(&self) -> &RunError {
        match self {
            RunError::Uncleaned { cause, .. } => cause.cause(),
            // One that a server's end brought about says most of all.
            RunError::Several { errors } => {
                let is_of_a_server = |error: &&RunError| error.verdict() == RunVerdict::Environment;
                errors.iter().find(is_of_a_server).or(errors.first()).map_or(self, RunError::cause)
            }
            other => other,
        }
    }

    /// Whether other scenarios can be raced after it: it is not our own fault, nor one of the run's files.
    pub(super) fn is_of_a_scenario(&self) -> bool {
        match self {
            RunError::Engine(_) => true,
            RunError::Uncleaned { cause, .. } => cause.is_of_a_scenario(),
            RunError::Sink(_)
            | RunError::Samples(_)
            | RunError::Several { .. }
            | RunError::Stopped
            | RunError::Harness { .. } => false,
        }
    }

    /// This error, and what came of cleaning up after it if that failed as well.
    pub(super) fn with_cleanup(self, cleaned: Result<(), RunError>) -> Self {
        match cleaned {
            Ok(()) => self,
            Err(cleaning) => RunError::Uncleaned { cause: Box::new(self), cleaning: Box::new(cleaning) },
        }
    }
}
