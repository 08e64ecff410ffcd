//! One round: did what must hold, hold?

use crate::engine::record::RoundRecord;
use crate::outcome::Tally;
use crate::plan::{Case, Place};

use super::verdict::Verdict;

/// What a round's record proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundJudgement {
    /// The round's number.
    pub round: u64,
    /// How its attempts ended.
    pub tally: Tally,
    /// The same by group, by index into [`Case::groups`].
    pub groups: Vec<Tally>,
    /// What did not hold. Not empty: the round failed.
    pub failures: Vec<Failure>,
    /// Why a round without failures is not a pass either.
    pub open: Option<String>,
    /// Why this round would make a control invalid: crashes, broken barriers, unknown outcomes, unevaluated invariants.
    pub invalid_as_control: Vec<String>,
}

impl RoundJudgement {
    /// Failed, open (inconclusive) or passed.
    pub fn verdict(&self) -> Verdict {
        match (self.failures.is_empty(), &self.open) {
            (false, _) => Verdict::Fail,
            (true, Some(_)) => Verdict::Inconclusive,
            (true, None) => Verdict::Pass,
        }
    }
}

/// Something that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The check, named as in a control's `breaks`: an outcome's word, an invariant's or growth's name, a latency key.
    pub check: String,
    /// What kind of check it is.
    pub kind: FailureKind,
    /// The group whose count it is; `None` for the whole round.
    pub group: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What was observed.
    pub observed: String,
    /// Where the check stands.
    pub place: Option<Place>,
}

/// The kinds of check that can fail a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// A count of `[expect]` or `[expect.by_group]`, or a crash or broken barrier that nobody expected.
    Count,
    /// An invariant that was broken.
    Invariant,
    /// An invariant that could not be evaluated.
    Unevaluated,
}

/// Judges one round. Panics when the record does not hold exactly one attempt per worker: such a record is the harness's fault.
pub fn judge_round(case: &Case, record: &RoundRecord) -> RoundJudgement {
    let _ = (case, record);
    unimplemented!()
}
