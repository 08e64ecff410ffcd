//! Rounds kept in full.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Counts;
use super::outcome_word::OutcomeWord;
use super::words::{ArrivalWord, CauseWord, EndWord, FailureKindWord, InvariantWord, VerdictWord};

/// A round kept in full. Times are nanoseconds since the round's origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoundReport {
    /// Its number in the run, from 0.
    pub round: u64,
    /// Its number since `setup` ran, from 0: what the scenario calls `round`. Since 1.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_setup: Option<u64>,
    /// What it proved.
    pub verdict: VerdictWord,
    /// What did not hold.
    #[serde(default)]
    pub failures: Vec<FailureReport>,
    /// Why it is inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inconclusive: Option<String>,
    /// How its attempts ended.
    pub counts: Counts,
    /// The most workers in play at once. Before 1.4: inside their attempts.
    pub overlap: u64,
    /// From the start to the end of the last attempt.
    pub makespan_ns: u64,
    /// One per worker, by number.
    pub attempts: Vec<AttemptReport>,
    /// What happened at the barriers.
    pub barriers: Vec<BarrierRoundReport>,
    /// What the invariants said.
    #[serde(default)]
    pub invariants: Vec<InvariantRoundReport>,
}

/// Something that did not hold in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureReport {
    /// The check, named as in a control's `breaks`.
    pub check: String,
    /// What kind of check it is.
    pub kind: FailureKindWord,
    /// The group whose count it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What was observed.
    pub observed: String,
    /// `file:line:column` of the check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// One worker's try at its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptReport {
    /// The worker's number.
    pub worker: u64,
    /// Its group.
    pub group: String,
    /// How it ended.
    pub outcome: OutcomeWord,
    /// The failed step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What ended it, if it was not a success. Since 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseWord>,
    /// The system's code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The system's message.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// When it began, after the start barrier.
    pub started_ns: u64,
    /// When it ended, after its rollback if it failed.
    pub ended_ns: u64,
    /// When the start barrier that it passed was released.
    pub released_ns: u64,
    /// What it did, in order.
    pub steps: Vec<StepRoundReport>,
}

impl AttemptReport {
    /// What ended it. Before 2.0 our own words for codes say it, as far as anything asks.
    pub fn ended_by(&self) -> Option<CauseWord> {
        let by_code = || match self.code.as_str() {
            "assert" => Some(CauseWord::Assertion),
            "barrier" => Some(CauseWord::Barrier),
            "rows" => Some(CauseWord::Rows),
            _ => None,
        };
        self.cause.clone().or_else(by_code)
    }
}

/// One step of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepRoundReport {
    /// Its name.
    pub step: String,
    /// How it ended.
    pub outcome: OutcomeWord,
    /// When it began.
    pub started_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// When the last barrier that the worker passed before the step ended was released.
    pub released_ns: u64,
    /// What it asked a target: its word, and what it gave by name. Without logins, and cut to 1 KiB. Since 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<serde_json::Value>,
    /// What came of it, if it was done: for SQL `rows` and `affected`. Since 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// Whether it took effect, if it asked a target. Since 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<EndWord>,
}

/// What happened at one barrier in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BarrierRoundReport {
    /// Its name.
    pub name: String,
    /// When it was released; absent if it was never completed, or nobody came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released_ns: Option<u64>,
    /// From the first to the last parked worker past it.
    pub skew_ns: u64,
    /// How each party came, in the order in which that was noticed.
    pub arrivals: Vec<ArrivalReport>,
    /// When it broke: who was missing.
    #[serde(default)]
    pub missing: Vec<MissingReport>,
}

/// How a worker came to a barrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArrivalReport {
    /// The worker's number.
    pub worker: u64,
    /// How.
    pub how: ArrivalWord,
    /// When.
    pub at_ns: u64,
    /// When blocked: the chain of workers from the one it waits for to the parked one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<u64>,
}

/// A worker that a barrier waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingReport {
    /// The worker's number.
    pub worker: u64,
    /// The step it was in, if it had begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// For how long.
    pub for_ns: u64,
    /// Whom it was waiting for, if the system could tell.
    #[serde(default)]
    pub waits_for: Vec<String>,
}

/// What an invariant said in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantRoundReport {
    /// Its name.
    pub name: String,
    /// What it said.
    pub result: InvariantWord,
    /// What was read, or why it could not be evaluated.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// One line of `rounds.jsonl`: an event in the history of a round kept in full, as Jepsen's checkers read them.
///
/// An operation is a worker's transaction (with `repeat`, each of them), or, outside of transactions, one step that asks a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryEvent {
    /// The line's number, from 0.
    pub index: u64,
    /// What happened.
    pub r#type: HistoryEventWord,
    /// The worker's number; the number of workers for what acts next to them, such as a fault. Since 2.0.
    pub process: u64,
    /// Nanoseconds since the round's origin.
    pub time: u64,
    /// The step's name, or `transaction`; of a fault its name.
    pub f: String,
    /// What a step asks, when it begins. Since 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<serde_json::Value>,
    /// What came of it, when it ends. Since 2.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
    /// The steps of a transaction that were done, when it ends; what a fault did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub value: Vec<String>,
    /// What a transaction asked, in order, and what came of it, when it ends. Since 2.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<HistoryStep>,
    /// How the operation ended, if not in success: outcome, code and message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<(OutcomeWord, String, String)>,
    /// The case.
    pub case: String,
    /// The control, if the case is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// The round.
    pub round: u64,
}

impl HistoryEvent {
    /// Something that happened to the operation `f`, of which nothing else is known so far.
    pub(crate) fn new(r#type: HistoryEventWord, f: &str) -> Self {
        HistoryEvent {
            index: 0,
            r#type,
            process: 0,
            time: 0,
            f: f.to_owned(),
            request: None,
            result: None,
            value: Vec::new(),
            steps: Vec::new(),
            error: None,
            case: String::new(),
            control: None,
            round: 0,
        }
    }
}

/// A step of a transaction that asked a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryStep {
    /// Its name.
    pub f: String,
    /// How it ended.
    pub outcome: OutcomeWord,
    /// What it asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<serde_json::Value>,
    /// What came of it, if it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
}

/// What happened to an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryEventWord {
    /// It began.
    Invoke,
    /// It took effect.
    Ok,
    /// It certainly had no effect.
    Fail,
    /// Whether it had an effect is not known, or it had a part of it.
    Info,
}

impl From<EndWord> for HistoryEventWord {
    fn from(end: EndWord) -> Self {
        match end {
            EndWord::Ok => HistoryEventWord::Ok,
            EndWord::Fail => HistoryEventWord::Fail,
            EndWord::Info => HistoryEventWord::Info,
        }
    }
}
