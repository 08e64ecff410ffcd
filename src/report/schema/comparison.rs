//! The outward form of a comparison: what `deadheat compare --format json` prints, and what its other forms are made from.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::outcome_word::OutcomeWord;
use super::words::{ControlVerdictWord, RunVerdictWord, VerdictWord};
use super::{Git, Machine, Tool};

/// The value of `kind` of a comparison.
pub const COMPARISON_KIND: &str = "deadheat-comparison";

/// The version of a comparison's form.
///
/// - 1.0: first.
/// - 1.1: `unpaired`; `growth`; `broken` of counts; `invariants`, `group_mixes` and `weak` of outcomes.
/// - 1.2: `origins` of outcomes.
pub const COMPARISON_SCHEMA: &str = "1.2";

/// Two runs, or two variants raced in turns, held against each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// Always `deadheat-comparison`.
    pub kind: String,
    /// The version of this form.
    pub schema: String,
    /// What compared them.
    pub tool: Tool,
    /// How the rounds were taken.
    pub form: FormWord,
    /// How the comparison ended; each is an exit code.
    pub verdict: RunVerdictWord,
    /// Why it is not a pass.
    pub reasons: Vec<String>,
    /// What was there before.
    pub base: SideReport,
    /// What is compared with it.
    pub head: SideReport,
    /// Why the two are not comparable; with `--force`, compared all the same.
    pub differences: Vec<DifferenceReport>,
    /// What else is not the same: steps, params, expectations. It is often the very thing compared.
    pub changes: Vec<DifferenceReport>,
    /// Cases that only BASE has.
    pub only_in_base: Vec<String>,
    /// Cases that only HEAD has.
    pub only_in_head: Vec<String>,
    /// Both sorts, with what became of them on either side. Since 1.1.
    #[serde(default)]
    pub unpaired: Vec<UnpairedCase>,
    /// The cases that both have.
    pub cases: Vec<CaseComparison>,
    /// The growth checks of stored reports, whose verdicts are over several cases. Since 1.1.
    #[serde(default)]
    pub growth: Vec<GrowthComparison>,
    /// The seed of the resampling, and with `--live` of the order too.
    pub seed: u64,
    /// How often the data were resampled.
    pub resamples: u64,
}

/// How the rounds of a comparison were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FormWord {
    /// Two stored reports, taken at two times: weak evidence on latency.
    Stored,
    /// In turns, in one process, on the same servers.
    Live,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SideReport {
    /// As it was named: a path, a branch, or what was set.
    pub name: String,
    /// The run's id.
    pub run: String,
    /// RFC 3339.
    pub started: String,
    /// The working copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<Git>,
    /// The machine.
    pub machine: Machine,
}

/// Something that is not the same on both sides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DifferenceReport {
    /// Of which case; absent for the whole run or scenario.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// What.
    pub what: String,
    /// What it is in BASE.
    pub base: String,
    /// What it is in HEAD.
    pub head: String,
}

/// A case that only one side raced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnpairedCase {
    /// Its id.
    pub case: String,
    /// What became of it in BASE.
    pub base: CaseState,
    /// What became of it in HEAD.
    pub head: CaseState,
}

/// What became of a case in one run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseState {
    /// In one word.
    pub state: CaseStateWord,
    /// Why it is not a pass, or why it was skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What became of a case in one run, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaseStateWord {
    /// It passed.
    Pass,
    /// It proved nothing.
    Inconclusive,
    /// It failed.
    Fail,
    /// It was not raced for want of a server.
    Skipped,
    /// The run ended before.
    NotRaced,
    /// The run knows no such case.
    Absent,
}

/// A case on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CaseComparison {
    /// Its scenario.
    pub scenario: String,
    /// Its id in HEAD.
    pub case: String,
    /// Rounds raced in BASE.
    pub base_rounds: u64,
    /// Rounds raced in HEAD.
    pub head_rounds: u64,
    /// How its counts and verdicts changed.
    pub outcomes: OutcomeComparison,
    /// How its latency changed: the gate first.
    pub latency: Vec<MetricComparison>,
    /// Remarks.
    pub warnings: Vec<String>,
    /// Attempts' latency since the release, by quantile.
    pub percentiles: Vec<PercentileRow>,
    /// Makespans of rounds that were raced first and not counted, with `--live`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
}

/// How counts and verdicts of a case changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeComparison {
    /// In one word.
    pub change: OutcomeChangeWord,
    /// What makes it so.
    pub reasons: Vec<String>,
    /// The case's verdict in BASE.
    pub base_verdict: VerdictWord,
    /// The case's verdict in HEAD.
    pub head_verdict: VerdictWord,
    /// Whether `changed` is only about mixes of outcomes, which may vary, in runs taken at two times: that fails nothing by itself. Since 1.1.
    #[serde(default)]
    pub weak: bool,
    /// Counts by outcome.
    pub counts: Vec<CountComparison>,
    /// Invariants of either side. Since 1.1.
    #[serde(default)]
    pub invariants: Vec<InvariantComparison>,
    /// How many rounds ended in each mix of outcomes; `other mixes` are those that not both sides list, where one did not list all.
    pub mixes: Vec<MixComparison>,
    /// The same with the outcomes of each worker group told apart, where there are several; `other mixes` are the rarest. Since 1.1.
    #[serde(default)]
    pub group_mixes: Vec<MixComparison>,
    /// The p of "both sides' rounds end in these mixes (those by group, where there are any) alike"; absent where nothing may vary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p: Option<f64>,
    /// The same, corrected for the number of tests in the comparison (Holm).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p_corrected: Option<f64>,
    /// Where attempts that did not succeed ended, as far as the sides differ. Since 1.2.
    #[serde(default)]
    pub origins: Vec<OriginComparison>,
    /// Controls whose end changed.
    pub controls: Vec<ControlComparison>,
}

/// One outcome at one step with one code, on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OriginComparison {
    /// The outcome.
    pub outcome: OutcomeWord,
    /// The step.
    pub step: String,
    /// The system's code.
    pub code: String,
    /// In how many raced rounds of BASE attempts ended so.
    pub base: u64,
    /// In how many of HEAD.
    pub head: u64,
    /// Whether it was so in every raced round of one side, and in none of the other.
    pub changed: bool,
    /// Of "attempts end so in as many rounds of both sides"; absent where it `changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<TestReport>,
}

/// How counts and verdicts changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeChangeWord {
    /// Nothing changed that chance does not explain.
    Same,
    /// HEAD's verdict is better.
    Better,
    /// HEAD's verdict, or that of a control, is worse.
    Worse,
    /// Counts changed.
    Changed,
}

/// Counts of one outcome on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CountComparison {
    /// The group; absent for the whole round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The outcome.
    pub outcome: OutcomeWord,
    /// Whether HEAD is held to one exact count: BASE expects it, and never had another or HEAD expects it too.
    pub exact: bool,
    /// In BASE; absent when it neither occurred nor was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<SideCount>,
    /// In HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<SideCount>,
    /// Whether HEAD deviated from what BASE never deviated from.
    pub changed: bool,
    /// Of "as many rounds break the expectation on both sides"; absent where BASE never broke it. Since 1.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<TestReport>,
}

/// An invariant on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InvariantComparison {
    /// Its name.
    pub name: String,
    /// Rounds of BASE that broke it; absent when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<u64>,
    /// Rounds of HEAD that broke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<u64>,
    /// Whether HEAD broke it, and BASE never did.
    pub changed: bool,
    /// Of "as many rounds break it on both sides"; absent where BASE never broke it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken: Option<TestReport>,
}

/// An exact test of whether both sides are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TestReport {
    /// How often chance alone gives a difference like this.
    pub p: f64,
    /// The same, corrected for the number of tests in the comparison (Holm).
    pub p_corrected: f64,
}

/// Counts of one outcome on one side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SideCount {
    /// What is expected in each round.
    pub expected: String,
    /// The least in a round.
    pub least: u64,
    /// The greatest in a round.
    pub most: u64,
    /// In all rounds.
    pub total: u64,
    /// Rounds in which it broke the expectation.
    pub rounds_broken: u64,
}

/// A mix of outcomes, and how many rounds ended in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MixComparison {
    /// `1 success, 49 conflict`; by group, `adder (1 success), remover (1 deadlock)`.
    pub mix: String,
    /// Rounds in BASE.
    pub base: u64,
    /// Rounds in HEAD.
    pub head: u64,
}

/// A control whose end changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlComparison {
    /// Its name.
    pub name: String,
    /// How it ended in BASE; absent when it is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<ControlVerdictWord>,
    /// How it ended in HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<ControlVerdictWord>,
}

/// A growth check on both sides, for one combination of the axes it does not go over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GrowthComparison {
    /// Its scenario.
    pub scenario: String,
    /// Its name.
    pub name: String,
    /// The control whose cases these are; absent for the scenario's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
    /// `latest-version.p50`.
    pub metric: String,
    /// The axis.
    pub over: String,
    /// The axes held fixed.
    pub others: BTreeMap<String, serde_json::Value>,
    /// In BASE; absent when it was not judged there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<GrowthSide>,
    /// In HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<GrowthSide>,
    /// How its verdict changed. One that only HEAD has is `worse` when it failed.
    pub change: OutcomeChangeWord,
}

/// A growth check on one side.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GrowthSide {
    /// For a control, pass means caught.
    pub verdict: VerdictWord,
    /// The fitted exponent; absent where none could be fitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exponent: Option<f64>,
    /// The greatest exponent allowed.
    pub at_most: f64,
    /// Why it is not a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One latency on both sides, with the round as the sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MetricComparison {
    /// `makespan`, `p50`, `p99` of a round's attempts, or a step's, such as `append.p50`.
    pub metric: String,
    /// Whether its change counts for the verdict.
    pub gate: bool,
    /// Up to which share a change is too small to count.
    pub threshold: f64,
    /// The median over BASE's rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ns: Option<u64>,
    /// The median over HEAD's rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_ns: Option<u64>,
    /// Samples: rounds of the smaller side, or pairs.
    pub samples: u64,
    /// By how much HEAD differs; absent when there are fewer than six samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<EffectReport>,
    /// What that means.
    pub change: ChangeWord,
    /// About how many more rounds a side would settle an inconclusive change; absent when none, or no reasonable number, would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_rounds: Option<u64>,
}

/// By which factor HEAD differs from BASE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectReport {
    /// HEAD over BASE: of the medians for stored reports, the geometric mean over pairs with `--live`. Above 1 is slower.
    pub ratio: f64,
    /// The lower end of its 95 % interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// Two-sided; Mann and Whitney's test for stored reports, the sign-flip permutation test of pairs with `--live`.
    pub p: f64,
}

/// What a change of latency means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeWord {
    /// The whole interval is beyond the threshold: faster.
    Improved,
    /// The whole interval is beyond the threshold: slower.
    Regressed,
    /// The whole interval is within the threshold.
    Equivalent,
    /// None of these.
    Inconclusive,
}

/// A quantile of attempts' latency on both sides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PercentileRow {
    /// From 0 to 1.
    pub quantile: f64,
    /// In BASE; absent when too few attempts support it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_ns: Option<u64>,
    /// In HEAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head_ns: Option<u64>,
}

/// Rounds raced before those that count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WarmUp {
    /// Makespans of BASE's, in order.
    pub base_ns: Vec<u64>,
    /// Makespans of HEAD's, in order.
    pub head_ns: Vec<u64>,
}
