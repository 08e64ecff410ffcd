//! What happened in the rounds of a case or of a control.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome_word::OutcomeWord;
use super::round::RoundReport;
use super::words::VerdictWord;

/// What happened in a case's (or a control's) rounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Race {
    /// Workers in each round.
    pub workers: u64,
    /// Rounds wanted.
    pub rounds_planned: u64,
    /// Rounds raced.
    pub rounds: u64,
    /// Rounds that failed.
    pub rounds_failed: u64,
    /// Rounds that were inconclusive.
    pub rounds_inconclusive: u64,
    /// The first failing round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed: Option<u64>,
    /// Rounds in which two workers were in play at once; absent for a single worker. Since 1.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raced: Option<u64>,
    /// Why the case orders its workers on purpose, so that no race is expected. Since 1.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered: Option<String>,
    /// Rounds in which some workers had a head start; absent without any. Since 1.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_starts: Option<HeadStartsReport>,
    /// With 95 % confidence, at most this share of rounds fails; absent after a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_bound: Option<f64>,
    /// Why rounds without a failure give no such bound. Since 1.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_bound: Option<String>,
    /// How all attempts ended: adds up to `workers * rounds`.
    pub counts: Counts,
    /// The worker groups.
    pub groups: Vec<GroupReport>,
    /// Expected and observed counts.
    pub expectations: Vec<ExpectationRow>,
    /// How many rounds ended in each distinct mix of outcomes, the most frequent first.
    pub mixes: Vec<Mix>,
    /// Rounds whose mix is not listed.
    #[serde(default)]
    pub other_mixes: u64,
    /// Latency of whole attempts.
    pub attempts: LatencyReport,
    /// Latency of the steps that ask a target, in order of appearance.
    pub steps: Vec<StepReport>,
    /// The barriers, `start` first.
    pub barriers: Vec<BarrierReport>,
    /// The most workers in play at once: one value per round. Before 1.4: inside their attempts.
    pub overlap: Distribution,
    /// Nanoseconds from the start to the end of the last attempt: one value per round without a head start.
    pub makespan: Distribution,
    /// `[[invariants]]`.
    #[serde(default)]
    pub invariants: Vec<InvariantReport>,
    /// `[expect.latency]`.
    #[serde(default)]
    pub latency_bounds: Vec<LatencyBoundReport>,
    /// `[sometimes]`.
    #[serde(default)]
    pub sometimes: Vec<SometimesReport>,
    /// Why attempts did not succeed, the most frequent first.
    #[serde(default)]
    pub refusals: Vec<RefusalReport>,
    /// Refusals of sorts that are not listed.
    #[serde(default)]
    pub other_refusals: u64,
    /// Rounds kept in full: the first failing ones and a few others.
    #[serde(default)]
    pub kept: Vec<RoundReport>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Attempts by outcome; what did not occur is absent.
pub type Counts = BTreeMap<OutcomeWord, u64>;

/// Rounds in which some workers had a head start. They are counted and judged like others, and left out of every latency, of
/// skew and makespan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadStartsReport {
    /// How many there were.
    pub rounds: u64,
    /// How their attempts ended: part of the race's `counts`.
    pub counts: Counts,
}

/// A worker group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupReport {
    /// Its name.
    pub name: String,
    /// Its workers in each round.
    pub workers: u64,
    /// How often its workers run their steps in one round.
    pub repeat: u64,
    /// The isolation level of the transaction around its steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    /// Its steps.
    pub steps: Vec<StepPlan>,
    /// How its attempts ended.
    pub counts: Counts,
}

/// A step as planned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepPlan {
    /// Its name.
    pub name: String,
    /// What it does: `sql`, `append`, `barrier`, …
    pub action: String,
    /// The statement, expression or barrier.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// Expected and observed counts of one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectationRow {
    /// The group; absent for the whole round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The outcome.
    pub outcome: OutcomeWord,
    /// What is expected in each round: `1`, `>= 1`, `1..=3`, alternatives joined by ` or `; `any` where nothing is expected.
    pub expected: String,
    /// The least count in a round.
    pub least: u64,
    /// The greatest count in a round.
    pub most: u64,
    /// Attempts in all rounds.
    pub total: u64,
    /// Rounds in which this count broke the expectation.
    pub rounds_broken: u64,
    /// `file:line:column` of the check. Since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// A distinct mix of outcomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mix {
    /// One round's counts.
    pub counts: Counts,
    /// How many rounds ended so.
    pub rounds: u64,
}

/// Latency by outcome and by clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyReport {
    /// Over all outcomes.
    pub all: ClocksReport,
    /// By outcome.
    pub outcomes: BTreeMap<OutcomeWord, ClocksReport>,
}

/// Latency of one step, over all groups that have a step of this name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// Its name; `begin` and `commit` for a transaction's ends.
    pub name: String,
    /// Its latency.
    pub latency: LatencyReport,
}

/// One latency on two clocks, in nanoseconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClocksReport {
    /// From the release of the last barrier that the worker had passed.
    pub since_release: Distribution,
    /// From the step's or attempt's own start.
    pub own: Distribution,
}

/// How a value was distributed. Quantiles that the sample does not support are absent; histograms may be merged, quantiles not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// How many values.
    pub count: u64,
    /// The least, exact to 0.1 % as all of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<u64>,
    /// The median.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<u64>,
    /// Needs 29 values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p90: Option<u64>,
    /// Needs 299 values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<u64>,
    /// Needs 2995 values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p999: Option<u64>,
    /// The greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// HdrHistogram V2, deflated, in base64.
    pub histogram: String,
}

/// What happened at one barrier over all rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BarrierReport {
    /// Its name.
    pub name: String,
    /// How many workers it waits for.
    pub parties: u64,
    /// Rounds in which it was released.
    pub released: u64,
    /// Of these, the rounds in which some workers had a head start. Since 1.4.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub released_with_head_start: u64,
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
    /// Nanoseconds from the first to the last parked worker past it: one value per release without a head start.
    pub skew: Distribution,
}

/// An invariant over all rounds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantReport {
    /// Its name.
    pub name: String,
    /// Its expression.
    pub that: String,
    /// Rounds in which it held.
    pub held: u64,
    /// Rounds in which it did not.
    pub broken: u64,
    /// Rounds in which it could not be evaluated.
    pub unevaluated: u64,
    /// Of these, the rounds that leave open whether it held: it was not read, or it depends on attempts that were lost. They
    /// do not fail. Since 1.4; before, all failed.
    #[serde(default)]
    pub undecided: u64,
    /// `file:line:column` of the check. Since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// A key of `[expect.latency]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyBoundReport {
    /// The key as written.
    pub key: String,
    /// The bound.
    pub at_most_ns: u64,
    /// What was observed; absent when too few operations support the quantile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_ns: Option<u64>,
    /// How many operations there were.
    pub operations: u64,
    /// How many the quantile needs.
    pub needed: u64,
    /// Inconclusive when unsupported.
    pub verdict: VerdictWord,
    /// `file:line:column` of the check. Since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// A key of `[sometimes]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SometimesReport {
    /// The outcome.
    pub outcome: OutcomeWord,
    /// The count that at least one round must show.
    pub expected: String,
    /// How many rounds showed it.
    pub rounds: u64,
}

/// A sort of refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusalReport {
    /// The outcome.
    pub outcome: OutcomeWord,
    /// The failed step.
    pub step: String,
    /// The system's code.
    pub code: String,
    /// How many attempts ended so.
    pub count: u64,
    /// In how many raced rounds some did. Since 1.4.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u64>,
    /// What the system said the first time.
    pub example: String,
}
