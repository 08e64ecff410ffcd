//! Judges rounds, cases, controls and growth. Pure: no I/O, no clock; the same input gives the same verdict.
//!
//! A round record is judged ([`judge_round`]), added to its case's tally ([`CaseTally::add`]) and forgotten. When a case's
//! rounds and controls are over, [`judge_case`] says what they prove; when a scenario's cases are over, [`judge_growth`].

mod case;
mod control;
mod count;
mod disturbance;
#[cfg(test)]
pub(crate) mod fixture;
mod growth;
mod independence;
mod misfit;
mod origin;
mod round;
mod tally;
mod verdict;

pub(crate) use case::duration;
pub use case::{CaseVerdict, LatencyCheck, SometimesCheck, failure_bound, judge_case, judge_latency};
pub use control::{Broke, ControlVerdict, Ends, has_control_rounds_left, judge_control, judge_control_round};
pub use growth::{GrowthPoint, GrowthVerdict, judge_growth};
pub use independence::FirstAnswers;
pub(crate) use misfit::expected_text;
pub use round::{Failure, FailureKind, RoundJudgement, judge_round};
pub(crate) use tally::round_name;
pub use tally::{
    BarrierTally, CaseTally, Clocks, HeadStartTally, InvariantTally, KeptRound, Refusal, RefusalKey, StepTally,
    all_outcomes, step_name,
};
pub use verdict::{RunVerdict, Verdict};
