//! Everything a case's rounds add up to, in bounded memory however many rounds there are.

use std::collections::BTreeMap;

use crate::engine::record::{Outcome, RoundRecord};
use crate::measure::Histogram;
use crate::outcome::{OutcomeKind, Tally};
use crate::plan::Case;

use super::round::RoundJudgement;

/// Failing rounds kept in full.
pub const FAILING_ROUNDS_KEPT: usize = 5;
/// Rounds that did not fail kept in full.
pub const ORDINARY_ROUNDS_KEPT: usize = 2;
/// Distinct outcome mixes counted apart; the rest is counted together.
pub const MIXES_KEPT: usize = 50;
/// Distinct refusals counted apart; the rest is counted together.
pub const REFUSALS_KEPT: usize = 50;

/// What a case's rounds add up to.
#[derive(Debug, Clone)]
pub struct CaseTally {
    /// Rounds raced.
    pub rounds: u64,
    /// Rounds that failed.
    pub failed: u64,
    /// Rounds that were inconclusive.
    pub open: u64,
    /// The first failing round.
    pub first_failed: Option<u64>,
    /// Why the first inconclusive round was so.
    pub first_open: Option<(u64, String)>,
    /// How all attempts ended.
    pub tally: Tally,
    /// The same by group, by index into [`Case::groups`].
    pub groups: Vec<Tally>,
    /// How many rounds ended in each distinct mix of outcomes.
    pub mixes: BTreeMap<Tally, u64>,
    /// Rounds with a mix that came after [`MIXES_KEPT`] others.
    pub other_mixes: u64,
    /// Latency of whole attempts, by outcome.
    pub attempts: BTreeMap<OutcomeKind, Clocks>,
    /// Latency of the steps that ask a target, in order of appearance.
    pub steps: Vec<StepTally>,
    /// By index into [`Case::barriers`].
    pub barriers: Vec<BarrierTally>,
    /// The most workers inside their attempts at once: one value per round.
    pub overlap: Histogram,
    /// Nanoseconds from the start to the end of the last attempt: one value per round.
    pub makespan: Histogram,
    /// By index into [`crate::plan::Checks::invariants`].
    pub invariants: Vec<InvariantTally>,
    /// In how many rounds each of [`crate::plan::Checks::sometimes`] was seen.
    pub sometimes: Vec<u64>,
    /// Why attempts did not succeed.
    pub refusals: BTreeMap<RefusalKey, Refusal>,
    /// Refusals of a sort that came after [`REFUSALS_KEPT`] others.
    pub other_refusals: u64,
    /// Rounds kept in full, in the order raced.
    pub kept: Vec<KeptRound>,
}

/// One latency on two clocks, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Clocks {
    /// From the release of the last barrier that the worker had passed.
    pub since_release: Histogram,
    /// From the step's or attempt's own start.
    pub own: Histogram,
}

/// The latency of one step, over all groups that have a step of this name.
#[derive(Debug, Clone, PartialEq)]
pub struct StepTally {
    /// Its name; `begin` and `commit` for a transaction's ends.
    pub name: String,
    /// By outcome.
    pub outcomes: BTreeMap<OutcomeKind, Clocks>,
}

/// What happened at one barrier over all rounds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BarrierTally {
    /// Rounds in which it was released.
    pub released: u64,
    /// Rounds in which it was never completed although somebody came.
    pub broken: u64,
    /// Workers that reached it and waited.
    pub arrived: u64,
    /// Workers whose attempt ended before it.
    pub failed: u64,
    /// Workers that were waiting for one parked at it.
    pub blocked: u64,
    /// Workers that came after its release.
    pub late: u64,
    /// Nanoseconds from the first to the last parked worker past it: one value per release.
    pub skew: Histogram,
}

/// What an invariant said over all rounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InvariantTally {
    /// Rounds in which it held.
    pub held: u64,
    /// Rounds in which it did not.
    pub broken: u64,
    /// Rounds in which it could not be evaluated.
    pub unevaluated: u64,
}

/// A sort of refusal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusalKey {
    /// The outcome.
    pub kind: OutcomeKind,
    /// The failed step's name.
    pub step: String,
    /// The system's code.
    pub code: String,
}

/// How often a sort of refusal came, and what it said the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// How many attempts ended so.
    pub count: u64,
    /// The first message.
    pub example: String,
}

/// A round kept in full.
#[derive(Debug, Clone)]
pub struct KeptRound {
    /// What happened.
    pub record: RoundRecord,
    /// What that proves.
    pub judgement: RoundJudgement,
}

impl CaseTally {
    /// The tally of a case before its first round.
    pub fn new(case: &Case) -> Self {
        let _ = case;
        unimplemented!()
    }

    /// Adds a round of `case` and its judgement. True when the round is one of those kept in full, see [`Self::kept`].
    /// Panics when the counts do not add up: such a record is the harness's fault.
    pub fn add(&mut self, case: &Case, record: &RoundRecord, judgement: &RoundJudgement) -> bool {
        let _ = (case, record, judgement);
        unimplemented!()
    }

    /// The own-clock latency of a step, or of whole attempts for `attempt`, over all outcomes.
    pub fn latency(&self, step: &str) -> Histogram {
        let _ = step;
        unimplemented!()
    }
}

/// The name of a step in reports and messages: `begin` and `commit` for a transaction's ends.
pub fn step_name(case: &Case, group: usize, step: usize) -> &str {
    match step {
        Outcome::BEGIN => "begin",
        Outcome::COMMIT => "commit",
        step => case.groups[group].steps.get(step).map_or("?", |step| step.name.as_str()),
    }
}
