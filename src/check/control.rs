//! Controls: broken variants that the scenario's checks must catch.

use crate::plan::{Case, Control};

use super::round::RoundJudgement;
use super::tally::CaseTally;

/// How a control of one case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlVerdict {
    /// A check that it names was broken. That is what controls are for.
    Caught {
        /// The catching round; `None` when a latency over all rounds caught it.
        round: Option<u64>,
        /// The check that broke.
        check: String,
        /// What was expected of it.
        expected: String,
        /// What was observed.
        observed: String,
    },
    /// It ran its rounds and no check that it names broke: the case fails.
    Survived {
        /// Rounds raced.
        rounds: u64,
    },
    /// A round had something that would make any check break: the case fails.
    Invalid {
        /// The round.
        round: u64,
        /// What it had.
        reason: String,
    },
    /// Only a growth check can still catch it, when all cases of the scenario are over.
    AwaitsGrowth,
}

/// Judges a control's round: `Some` ends the control.
pub fn judge_control_round(control: &Control, judgement: &RoundJudgement) -> Option<ControlVerdict> {
    let _ = (control, judgement);
    unimplemented!()
}

/// Judges a control that no round ended. `case` is the control's own case.
pub fn judge_control(case: &Case, tally: &CaseTally) -> ControlVerdict {
    let _ = (case, tally);
    unimplemented!()
}
