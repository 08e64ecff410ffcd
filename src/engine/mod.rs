//! Runs the rounds of a case: releases workers together and writes down what happened.
//!
//! The engine knows no SQL and no NATS. A [`CaseRun`] is one case under way: `open` does everything that can be done
//! before the race, `round` races once and returns what happened, `close` cleans up.

mod barrier;
mod case_run;
mod clock;
mod cores;
mod crew;
mod head_start;
mod number;
mod observe;
mod order;
mod overlap;
mod pause;
mod ready;
mod refused;
mod round;
mod save;
mod sessions;
mod steering;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod waits;
mod worker;

pub use case_run::CaseRun;
pub use cores::Cores;
pub use head_start::HeadStarts;
pub use order::Choices;
pub use steering::{Actor, Deeds, Schedule, Steering, Turn};

use crate::model::Case;
use crate::port::{Place, TargetError, TargetSpec};

/// The race cannot go on: nothing can be concluded from it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The scenario asks for something that cannot be. Exit code 64.
    #[error("{}{message}", place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default())]
    Fault {
        /// Where in the scenario, if that is known.
        place: Option<Place>,
        /// What is wrong.
        message: String,
    },
    /// Whether a fixture took effect is not known, since its connection was lost before the answer came. The case can be set up
    /// once more. Exit code 10 where it is not.
    #[error("{message}")]
    Lost {
        /// What happened, and what to do.
        message: String,
    },
    /// A system raced against is not there, or refuses us altogether. Exit code 10.
    #[error("{message}")]
    Environment {
        /// What happened, and what to do.
        message: String,
    },
}

impl EngineError {
    /// The error of a target, at the place in the scenario that asked it.
    pub(crate) fn at(place: &Place, error: TargetError) -> Self {
        match error {
            TargetError::Fault { message } | TargetError::Request { message, .. } => {
                EngineError::Fault { place: Some(place.clone()), message }
            }
            TargetError::Lost { message } => EngineError::Lost { message },
            TargetError::Environment { message } => EngineError::Environment { message },
        }
    }

    /// The error of preparing the requests of target number `target`, at the step that has the request.
    pub(crate) fn preparing(case: &Case, target: usize, error: TargetError) -> Self {
        EngineError::opening(&case.targets[target], error)
    }

    /// The error of opening `target`, at the step that has the request which could not be compiled.
    pub(crate) fn opening(target: &TargetSpec, error: TargetError) -> Self {
        let place = match &error {
            TargetError::Request { request, .. } => target.requests.get(*request).map(|it| &it.place),
            TargetError::Fault { .. } | TargetError::Lost { .. } | TargetError::Environment { .. } => None,
        };
        EngineError::at(place.unwrap_or(&target.place), error)
    }
}

impl From<TargetError> for EngineError {
    fn from(error: TargetError) -> Self {
        match error {
            TargetError::Fault { message } | TargetError::Request { message, .. } => {
                EngineError::Fault { place: None, message }
            }
            TargetError::Lost { message } => EngineError::Lost { message },
            TargetError::Environment { message } => EngineError::Environment { message },
        }
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}
