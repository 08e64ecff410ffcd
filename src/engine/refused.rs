//! Refusals that the engine itself makes, and the ends of attempts that refusals are.

use super::EngineError;
use crate::model::record::{Outcome, StepAt};
use crate::model::{CountRange, Step};
use crate::outcome::{Cause, OutcomeKind};
use crate::port::{Refusal, TargetError};

/// Why a step was not a success.
pub(super) enum StepEnd {
    /// The system, or the step's own condition, refused.
    Refused(Refusal),
    /// The harness cannot go on.
    Failed(EngineError),
}

impl From<EngineError> for StepEnd {
    fn from(error: EngineError) -> Self {
        StepEnd::Failed(error)
    }
}

impl From<TargetError> for StepEnd {
    fn from(error: TargetError) -> Self {
        StepEnd::Failed(error.into())
    }
}

/// A statement that was carried out returned or changed other rows than the step wants.
pub(super) fn other_rows(step: &Step, wanted: &CountRange, found: u64) -> StepEnd {
    let message = format!("{found} rows, wanted {wanted}");
    StepEnd::Refused(Refusal::new(step.otherwise, Cause::Rows { found }, "rows", message))
}

/// The time of the step, or of the round, was over. `message` says when.
pub(super) fn too_late(message: String) -> Refusal {
    Refusal::new(OutcomeKind::Timeout, Cause::Deadline, "deadline", message)
}

/// The end of an attempt that was refused at `step`, as it was classified.
pub(super) fn outcome(refusal: Refusal, step: Option<StepAt>) -> Outcome {
    let Refusal { kind, cause, code, message } = refusal;
    Outcome { kind, cause: Some(cause), step, code, message }
}

/// How a scenario says that it expects the code of a crash.
pub(super) fn rule_to_paste(code: &str) -> String {
    format!(
        "; if the race may end so: `classify = [{{ code = \"{code}\", outcome = \"rejected\" }}]` at the file's top"
    )
}
