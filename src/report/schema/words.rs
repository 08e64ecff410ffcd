//! The words of the schema, and the domain's types that they stand for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::{RunVerdict, Verdict};
use crate::outcome::Cause;

/// What a round, a case or a check proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictWord {
    /// Everything that was expected held.
    Pass,
    /// Nothing was seen to be wrong, but what was seen does not prove that all is well.
    Inconclusive,
    /// Something that must hold did not.
    Fail,
}

/// How a run ended; each is an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdictWord {
    /// 0
    Pass,
    /// 1
    Fail,
    /// 3
    Regression,
    /// 4
    Inconclusive,
    /// 5
    NotComparable,
    /// 10
    Environment,
    /// 64
    Usage,
    /// 130
    Interrupted,
}

/// How a control ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ControlVerdictWord {
    /// A check that it names broke.
    Caught,
    /// None did: the case fails.
    Survived,
    /// A round had something that would make any check break: the case fails.
    Invalid,
    /// Something from outside disturbed too many of its rounds: the case is inconclusive. Since 1.4.
    Disturbed,
    /// A growth check says: see the scenario's `growth`.
    AwaitsGrowth,
}

/// The kinds of check that can fail a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKindWord {
    /// A count.
    Count,
    /// A broken invariant.
    Invariant,
    /// An invariant that could not be evaluated.
    Unevaluated,
}

/// What ended an attempt that was not a success. A report of a later minor version may hold others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CauseWord {
    /// The system answered, and refused.
    Server,
    /// The connection was lost.
    ConnectionLost,
    /// Nobody took the request.
    Unanswered,
    /// A deadline passed.
    Deadline,
    /// The step wanted another number of rows.
    Rows,
    /// An `assert` was not true.
    Assertion,
    /// A barrier was never completed.
    Barrier,
    /// The worker panicked.
    Panic,
    /// What came does not fit what was to be made of it.
    Malformed,
    /// A word of a later version.
    #[serde(untagged)]
    Other(String),
}

impl From<Cause> for CauseWord {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Server => CauseWord::Server,
            Cause::ConnectionLost => CauseWord::ConnectionLost,
            Cause::Unanswered => CauseWord::Unanswered,
            Cause::Deadline => CauseWord::Deadline,
            Cause::Rows { .. } => CauseWord::Rows,
            Cause::Assertion => CauseWord::Assertion,
            Cause::Barrier => CauseWord::Barrier,
            Cause::Panic => CauseWord::Panic,
            Cause::Malformed => CauseWord::Malformed,
        }
    }
}

/// Whether something that was asked took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EndWord {
    /// It did.
    Ok,
    /// It certainly did not.
    Fail,
    /// That is not known, or a part of it did.
    Info,
}

/// How a worker came to a barrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArrivalWord {
    /// It reached the barrier and waited.
    Arrived,
    /// Its attempt ended before the barrier.
    Failed,
    /// It was waiting for a worker parked at this barrier.
    Blocked,
    /// It came after the release.
    Late,
}

/// What an invariant said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InvariantWord {
    /// It held.
    Held,
    /// It did not.
    Broken,
    /// It could not be evaluated.
    Unevaluated,
}

impl From<Verdict> for VerdictWord {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => VerdictWord::Pass,
            Verdict::Inconclusive => VerdictWord::Inconclusive,
            Verdict::Fail => VerdictWord::Fail,
        }
    }
}

impl From<VerdictWord> for Verdict {
    fn from(word: VerdictWord) -> Self {
        match word {
            VerdictWord::Pass => Verdict::Pass,
            VerdictWord::Inconclusive => Verdict::Inconclusive,
            VerdictWord::Fail => Verdict::Fail,
        }
    }
}

impl From<RunVerdict> for RunVerdictWord {
    fn from(verdict: RunVerdict) -> Self {
        match verdict {
            RunVerdict::Pass => RunVerdictWord::Pass,
            RunVerdict::Fail => RunVerdictWord::Fail,
            RunVerdict::Regression => RunVerdictWord::Regression,
            RunVerdict::Inconclusive => RunVerdictWord::Inconclusive,
            RunVerdict::NotComparable => RunVerdictWord::NotComparable,
            RunVerdict::Environment => RunVerdictWord::Environment,
            RunVerdict::Usage => RunVerdictWord::Usage,
            RunVerdict::Interrupted => RunVerdictWord::Interrupted,
        }
    }
}

impl From<RunVerdictWord> for RunVerdict {
    fn from(word: RunVerdictWord) -> Self {
        match word {
            RunVerdictWord::Pass => RunVerdict::Pass,
            RunVerdictWord::Fail => RunVerdict::Fail,
            RunVerdictWord::Regression => RunVerdict::Regression,
            RunVerdictWord::Inconclusive => RunVerdict::Inconclusive,
            RunVerdictWord::NotComparable => RunVerdict::NotComparable,
            RunVerdictWord::Environment => RunVerdict::Environment,
            RunVerdictWord::Usage => RunVerdict::Usage,
            RunVerdictWord::Interrupted => RunVerdict::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_on_disk_are_the_words_of_the_domain() {
        for verdict in RunVerdict::BY_WEIGHT {
            let word = RunVerdictWord::from(verdict);
            assert_eq!(serde_json::to_value(word).unwrap(), verdict.as_str());
            assert_eq!(RunVerdict::from(word), verdict);
        }
        for (cause, word) in [
            (Cause::ConnectionLost, "connection-lost"),
            (Cause::Rows { found: 2 }, "rows"),
            (Cause::Assertion, "assertion"),
        ] {
            assert_eq!(serde_json::to_value(CauseWord::from(cause)).unwrap(), word);
        }
        let later: CauseWord = serde_json::from_value("quota".into()).unwrap();
        assert_eq!(
            (&later, serde_json::to_value(&later).unwrap()),
            (&CauseWord::Other("quota".to_owned()), "quota".into())
        );
        for verdict in [Verdict::Pass, Verdict::Inconclusive, Verdict::Fail] {
            assert_eq!(serde_json::to_value(VerdictWord::from(verdict)).unwrap(), verdict.as_str());
        }
    }
}
