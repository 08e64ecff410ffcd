//! A whole case: what its rounds and controls prove together.

use std::time::Duration;

use crate::outcome::OutcomeKind;
use crate::plan::{Case, CountRange, LatencyBound};

use super::control::ControlVerdict;
use super::tally::CaseTally;
use super::verdict::Verdict;

/// What a case proved, and why it did not prove more.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseVerdict {
    /// Pass, fail or inconclusive.
    pub verdict: Verdict,
    /// Why it is not a pass, the weightiest first; empty for a pass.
    pub reasons: Vec<String>,
    /// After n rounds without a failure: with 95 % confidence, at most this share of rounds fails. `None` after a failure.
    pub failure_bound: Option<f64>,
    /// `[expect.latency]`.
    pub latency: Vec<LatencyCheck>,
    /// `[sometimes]`.
    pub sometimes: Vec<SometimesCheck>,
}

/// One key of `[expect.latency]` judged.
#[derive(Debug, Clone, PartialEq)]
pub struct LatencyCheck {
    /// The key as written.
    pub key: String,
    /// The bound.
    pub at_most: Duration,
    /// What was observed; `None` when too few operations support the quantile.
    pub observed: Option<Duration>,
    /// How many operations there were.
    pub operations: u64,
    /// How many the quantile needs.
    pub needed: u64,
    /// Inconclusive when unsupported.
    pub verdict: Verdict,
}

/// One outcome of `[sometimes]` judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SometimesCheck {
    /// The outcome.
    pub kind: OutcomeKind,
    /// What at least one round must show.
    pub expected: CountRange,
    /// How many rounds showed it.
    pub rounds: u64,
}

/// After `rounds` clean rounds: the greatest share of failing rounds that 95 % confidence leaves, about 3/n.
pub fn failure_bound(rounds: u64) -> f64 {
    1.0 - 0.05_f64.powf(1.0 / rounds as f64)
}

/// Judges one latency bound against what `tally` measured, over all outcomes, from the step's own start.
pub fn judge_latency(bound: &LatencyBound, tally: &CaseTally) -> LatencyCheck {
    let _ = (bound, tally);
    unimplemented!()
}

/// Judges a case: its rounds, and `controls`, the ends of its controls by name.
pub fn judge_case(case: &Case, tally: &CaseTally, controls: &[(String, ControlVerdict)]) -> CaseVerdict {
    let _ = (case, tally, controls);
    unimplemented!()
}
