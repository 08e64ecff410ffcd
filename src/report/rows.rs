//! The rows of `rounds.csv` and `steps.csv`: the same columns whatever was raced, so that pandas and R read them as they are.

use std::collections::BTreeMap;

use crate::duration::as_ns;
use crate::judge::{RoundJudgement, step_name};
use crate::measure::operations_needed;
use crate::model::record::{InvariantResult, RoundRecord};
use crate::model::{Action, Case, START};
use crate::outcome::OutcomeKind;

use super::build::counts;
use super::cells;
use super::schema::Counts;

/// The columns of `rounds.csv`: one row per round. Outcomes are written with `_`, as in expressions.
/// `groups` and the two after it came with schema 1.1, what follows them with 1.4.
pub(super) const ROUND_COLUMNS: [&str; 33] = [
    "scenario",
    "case",
    "control",
    "round",
    "verdict",
    "workers",
    "success",
    "conflict",
    "deadlock",
    "busy",
    "serialization",
    "duplicate",
    "rejected",
    "timeout",
    "unknown",
    "broken_barrier",
    "crash",
    "skew_us",
    "overlap",
    "makespan_us",
    "attempt_p50_us",
    "attempt_max_us",
    "groups",
    "invariants_broken",
    "invariants_unevaluated",
    "round_since_setup",
    "disconnected",
    "invariants_undecided",
    "order",
    "sessions",
    "answered_first",
    "head_start",
    "head_start_us",
];

/// The columns of `steps.csv`: one row per round and step, and one for whole attempts, on both clocks.
pub(super) const STEP_COLUMNS: [&str; 12] = [
    "scenario",
    "case",
    "control",
    "round",
    "step",
    "operations",
    "own_p50_us",
    "own_p99_us",
    "own_max_us",
    "release_p50_us",
    "release_p99_us",
    "release_max_us",
];

/// The outcomes of schema 1.0, in the order of their columns. `disconnected`, which came with 1.4, stands after the rest.
pub(super) fn first_outcomes() -> impl Iterator<Item = OutcomeKind> {
    OutcomeKind::ALL.into_iter().filter(|kind| *kind != OutcomeKind::Disconnected)
}

/// The id of the case that `case` is, or is a control of.
pub(crate) fn base_id(case: &Case) -> &str {
    let suffix = case.control.as_ref().and_then(|control| case.id.strip_suffix(control.name.as_str()));
    suffix.and_then(|id| id.strip_suffix('/')).unwrap_or(&case.id)
}

fn key(case: &Case, round: u64) -> Vec<String> {
    let control = cells::control(case.control.as_ref().map(|control| control.name.as_str()));
    let [scenario, id] = [&case.scenario.name, base_id(case)].map(|name| cells::written(name).into_owned());
    vec![scenario, id, control, round.to_string()]
}

/// The row of a round. Its attempts are measured from the release.
pub(super) fn round_row(case: &Case, record: &RoundRecord, judgement: &RoundJudgement) -> Vec<String> {
    let mut row = key(case, record.round);
    row.extend([judgement.verdict().to_string(), record.attempts.len().to_string()]);
    row.extend(first_outcomes().map(|kind| judgement.tally.of(kind).to_string()));
    let start = record.barriers.get(START).filter(|barrier| barrier.released_ns.is_some());
    let mut attempts: Vec<u64> =
        record.attempts.iter().map(|attempt| attempt.ended_ns.saturating_sub(attempt.released_ns)).collect();
    row.extend([
        micros(start.map(|barrier| barrier.skew_ns)),
        record.overlap.to_string(),
        micros(Some(as_ns(record.makespan))),
        micros(quantile(&mut attempts, 0.5)),
        micros(quantile(&mut attempts, 1.0)),
        group_counts(case, judgement),
    ]);
    let results = || case.checks.invariants.iter().zip(&record.invariants).map(|(it, said)| (it.name.as_str(), said));
    let broken = results().filter(|(_, said)| matches!(said, InvariantResult::Broken { .. }));
    row.push(names(broken.map(|(name, _)| name)));
    let undefined = results().filter(|(_, said)| matches!(said, InvariantResult::Undefined { .. }));
    row.push(names(undefined.map(|(name, _)| name)));
    row.push(record.since_setup.to_string());
    row.push(judgement.tally.of(OutcomeKind::Disconnected).to_string());
    row.push(undecided(results()));
    row.extend([numbers(&record.order), numbers(&record.places)]);
    row.push(record.answered_first.map(|worker| worker.to_string()).unwrap_or_default());
    let start = record.head_start.as_ref();
    row.push(start.map(|start| numbers(&start.ahead)).unwrap_or_default());
    row.push(micros(start.map(|start| start.lead_ns)));
    row
}

/// `{"adder":{"success":1},"remover":{"deadlock":1}}`; empty for a single group, whose counts are those of the row.
fn group_counts(case: &Case, judgement: &RoundJudgement) -> String {
    if case.groups.len() == 1 {
        return String::new();
    }
    let groups = case.groups.iter().zip(&judgement.groups);
    let groups: BTreeMap<&str, Counts> = groups.map(|(group, tally)| (group.name.as_str(), counts(tally))).collect();
    json(&groups)
}

/// `{"acknowledged equals stored":[1],"no more than sent":null}`: the numbers of unknown attempts with which an invariant
/// holds, `null` where it was not read. Empty where all are decided.
fn undecided<'a>(results: impl Iterator<Item = (&'a str, &'a InvariantResult)>) -> String {
    let undecided: BTreeMap<&str, Option<&[u64]>> = results
        .filter_map(|(name, said)| match said {
            InvariantResult::Depends { holds_for, .. } => Some((name, Some(holds_for.as_slice()))),
            InvariantResult::Unread { .. } => Some((name, None)),
            InvariantResult::Held | InvariantResult::Broken { .. } | InvariantResult::Undefined { .. } => None,
        })
        .collect();
    if undecided.is_empty() { String::new() } else { json(&undecided) }
}

/// `3 0 1 2`.
fn numbers(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(" ")
}

/// `["one event stored"]`; empty when there is none.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { String::new() } else { json(&names) }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("names and counts are text and numbers")
}

/// What one step took in one round, in nanoseconds on both clocks.
#[derive(Default)]
struct Times {
    own: Vec<u64>,
    release: Vec<u64>,
}

impl Times {
    fn add(&mut self, started_ns: u64, released_ns: u64, ended_ns: u64) {
        self.own.push(ended_ns.saturating_sub(started_ns));
        self.release.push(ended_ns.saturating_sub(released_ns));
    }
}

/// The rows of a round's steps, in order of appearance, after that of its attempts.
pub(super) fn step_rows(case: &Case, record: &RoundRecord) -> Vec<Vec<String>> {
    let mut steps: Vec<(&str, Times)> = vec![("attempt", Times::default())];
    for attempt in &record.attempts {
        steps[0].1.add(attempt.started_ns, attempt.released_ns, attempt.ended_ns);
        let group = case.workers[attempt.worker].group;
        for step in attempt.steps.iter().filter(|step| !step.has_prepared) {
            let plan = case.groups[group].step(step.step);
            if plan.is_some_and(|plan| !matches!(plan.action, Action::Call { .. })) {
                continue;
            }
            let name = step_name(case, group, step.step);
            let position = steps.iter().position(|(known, _)| *known == name).unwrap_or_else(|| {
                steps.push((name, Times::default()));
                steps.len() - 1
            });
            steps[position].1.add(step.started_ns, step.released_ns, step.ended_ns);
        }
    }
    let rows = steps.into_iter().map(|(name, mut times)| {
        let mut row = key(case, record.round);
        row.extend([cells::written(name).into_owned(), times.own.len().to_string()]);
        for clock in [&mut times.own, &mut times.release] {
            row.extend([0.5, 0.99, 1.0].map(|q| micros(quantile(clock, q))));
        }
        row
    });
    rows.collect()
}

/// The exact quantile, or nothing when there are too few values to speak of it.
fn quantile(values: &mut [u64], quantile: f64) -> Option<u64> {
    if (values.len() as u64) < operations_needed(quantile) {
        return None;
    }
    values.sort_unstable();
    let rank = (quantile * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}

/// Microseconds with three decimals, which is exact; empty when there is no value.
pub(super) fn micros(nanos: Option<u64>) -> String {
    nanos.map(|nanos| format!("{}.{:03}", nanos / 1_000, nanos % 1_000)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{TestCase, record};
    use crate::judge::judge_round;

    #[test]
    fn rows_have_their_columns_and_controls_name_their_case() {
        let case = TestCase::new(3).control(&["success"]).build();
        let record = record(&case, 4, "1 success, 2 conflict");
        let row = round_row(&case, &record, &judge_round(&case, &record));
        assert_eq!(row.len(), ROUND_COLUMNS.len());
        assert_eq!(row[..4], ["race", "race[backend=memory]", "no guard", "4"]);
        for row in step_rows(&case, &record) {
            assert_eq!(row.len(), STEP_COLUMNS.len());
        }
        let outcomes: Vec<String> = first_outcomes().map(|kind| kind.as_str().replace('-', "_")).collect();
        assert_eq!(outcomes, ROUND_COLUMNS[6..17]);
    }

    #[test]
    fn quantiles_of_a_round_are_exact_and_only_where_supported() {
        let mut values: Vec<u64> = (1..=299).rev().collect();
        assert_eq!(quantile(&mut values, 0.5), Some(150));
        assert_eq!(quantile(&mut values, 0.99), Some(297));
        assert_eq!(quantile(&mut values, 1.0), Some(299));
        assert_eq!(quantile(&mut values[..298], 0.99), None);
        assert_eq!(quantile(&mut [], 0.5), None);
        assert_eq!(micros(Some(1_234_005)), "1234.005");
    }
}
