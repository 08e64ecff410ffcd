//! A whole case: what its rounds and controls prove together.

use std::time::Duration;

use crate::measure::{more_rounds, operations_needed};
use crate::model::{Case, CountRange, LatencyBound};
use crate::outcome::OutcomeKind;

use super::control::ControlVerdict;
use super::tally::CaseTally;
use super::verdict::Verdict;

/// What a case proved, and why it did not prove more.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseVerdict {
    /// Pass, fail or inconclusive.
    pub verdict: Verdict,
    /// Why it is not a pass, failures first; empty for a pass.
    pub reasons: Vec<String>,
    /// After n rounds without a failure: with 95 % confidence, at most this share of rounds fails. `None` otherwise.
    pub failure_bound: Option<f64>,
    /// Why rounds without a failure give no such bound.
    pub no_bound: Option<String>,
    /// `[expect.latency]`.
    pub latency: Vec<LatencyCheck>,
    /// `[sometimes]`.
    pub sometimes: Vec<SometimesCheck>,
}

impl CaseVerdict {
    /// Adds a reason why the case is not a pass.
    pub fn doubt(&mut self, reason: String) {
        if self.verdict == Verdict::Pass {
            self.verdict = Verdict::Inconclusive;
        }
        self.reasons.push(reason);
    }
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
    /// Rounds raced.
    pub rounds: u64,
    /// How many operations there were.
    pub operations: u64,
    /// How many the quantile needs.
    pub needed: u64,
    /// Inconclusive when unsupported.
    pub verdict: Verdict,
}

impl LatencyCheck {
    /// Why nothing can be said.
    pub(super) fn too_few(&self) -> String {
        let LatencyCheck { key, rounds, operations, needed, .. } = self;
        let remedy = more_rounds(*rounds, *operations, *needed);
        format!("`{key}` needs {needed} operations, and {operations} were measured; {remedy}")
    }
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

/// Fewer rounds give no bound that would be worth its name.
const ROUNDS_FOR_A_BOUND: u64 = 20;

/// After `rounds` clean and independent rounds: the greatest share of failing rounds that 95 % confidence leaves, about 3/n.
pub fn failure_bound(rounds: f64) -> f64 {
    1.0 - 0.05_f64.powf(1.0 / rounds)
}

/// Judges one latency bound against what `tally` measured, over all outcomes, from the step's own start.
pub fn judge_latency(bound: &LatencyBound, tally: &CaseTally) -> LatencyCheck {
    let histogram = tally.latency(&bound.step);
    let observed = histogram.quantile(bound.quantile).map(Duration::from_nanos);
    let verdict = match observed {
        None => Verdict::Inconclusive,
        Some(observed) if observed <= bound.at_most => Verdict::Pass,
        Some(_) => Verdict::Fail,
    };
    LatencyCheck {
        key: bound.key.clone(),
        at_most: bound.at_most,
        observed,
        rounds: tally.rounds,
        operations: histogram.len(),
        needed: operations_needed(bound.quantile),
        verdict,
    }
}

/// Judges a case: its rounds, and `controls`, the ends of its controls by name.
pub fn judge_case(case: &Case, tally: &CaseTally, controls: &[(String, ControlVerdict)]) -> CaseVerdict {
    let latency: Vec<LatencyCheck> = case.checks.latency.iter().map(|bound| judge_latency(bound, tally)).collect();
    let sometimes: Vec<SometimesCheck> = case
        .checks
        .sometimes
        .iter()
        .zip(&tally.sometimes)
        .map(|((kind, expected), rounds)| SometimesCheck { kind: *kind, expected: expected.clone(), rounds: *rounds })
        .collect();
    let mut reasons = failures(tally, controls, &latency);
    let mut doubts = doubts(case, tally, &latency);
    doubts.extend(controls.iter().filter(|(_, verdict)| is_disturbed(verdict)).filter_map(of_control));
    for check in sometimes.iter().filter(|check| check.rounds == 0) {
        let SometimesCheck { kind, expected, .. } = check;
        let reason = format!("no round had {expected} {kind}, which `sometimes` wants of at least one");
        // A run that was cut short may have missed it by that alone.
        if tally.rounds < case.rounds { doubts.push(reason) } else { reasons.push(reason) }
    }
    let verdict = match (reasons.is_empty(), doubts.is_empty()) {
        (false, _) => Verdict::Fail,
        (true, false) => Verdict::Inconclusive,
        (true, true) => Verdict::Pass,
    };
    reasons.append(&mut doubts);
    let clean = tally.rounds > 0 && tally.failed == 0 && tally.open == 0 && case.ordered.is_none();
    let (failure_bound, no_bound) = match clean.then(|| bound(case, tally)) {
        Some(Ok(bound)) => (Some(bound), None),
        Some(Err(reason)) => (None, Some(reason)),
        None => (None, None),
    };
    CaseVerdict { verdict, reasons, failure_bound, no_bound, latency, sometimes }
}

/// Whether workers are to race each other.
fn races(case: &Case) -> bool {
    case.workers.len() >= 2 && case.ordered.is_none()
}

/// What share of rounds fails at most, after rounds without a failure; or why that cannot be said. A round without a race says
/// nothing about races, and rounds in which the same worker comes first again and again say less than as many others.
fn bound(case: &Case, tally: &CaseTally) -> Result<f64, String> {
    let alone = case.workers.len() < 2;
    let rounds = if alone { tally.rounds } else { tally.raced };
    if rounds < ROUNDS_FOR_A_BOUND {
        let raced = if alone { "" } else { "raced " };
        return Err(format!("no bound: it takes {ROUNDS_FOR_A_BOUND} {raced}rounds"));
    }
    if alone {
        return Ok(failure_bound(rounds as f64));
    }
    match tally.first.always() {
        Some(worker) => Err(format!("no bound: worker {worker} was answered first in every round")),
        None => Ok(failure_bound(rounds as f64 * tally.first.independent_share())),
    }
}

fn is_disturbed(verdict: &ControlVerdict) -> bool {
    matches!(verdict, ControlVerdict::Disturbed { .. })
}

fn of_control((name, verdict): &(String, ControlVerdict)) -> Option<String> {
    Some(format!("control `{name}` {}", verdict.reason()?))
}

/// What must hold and did not.
fn failures(tally: &CaseTally, controls: &[(String, ControlVerdict)], latency: &[LatencyCheck]) -> Vec<String> {
    let mut reasons = Vec::new();
    if tally.first_failed.is_some() {
        let rounds = count(tally.rounds, "round");
        let failed = if tally.failed == 1 { "failed" } else { "failed, first" };
        reasons.push(format!("{} of {rounds} {failed}: round {}", tally.failed, tally.first_failed_name));
    }
    for check in latency.iter().filter(|check| check.verdict == Verdict::Fail) {
        let observed = check.observed.map(duration).unwrap_or_default();
        reasons.push(format!("`{}` is {observed}, expected at most {}", check.key, duration(check.at_most)));
    }
    reasons.extend(controls.iter().filter(|(_, verdict)| !is_disturbed(verdict)).filter_map(of_control));
    reasons
}

/// What keeps a case without failures from being a pass.
fn doubts(case: &Case, tally: &CaseTally, latency: &[LatencyCheck]) -> Vec<String> {
    let mut doubts = Vec::new();
    if tally.rounds < case.rounds && tally.failed == 0 {
        doubts.push(format!("only {} of {} were raced", tally.rounds, count(case.rounds, "round")));
    }
    if races(case) && tally.rounds > 0 && tally.raced == 0 {
        doubts.push(format!(
            "vacuous: in {} no two workers were ever in play at once; a barrier between their steps makes them meet, and `ordered` says that they are not to",
            count(tally.rounds, "round")
        ));
    }
    if let Some((round, reason)) = &tally.first_open {
        doubts.push(format!("{} inconclusive: in round {round} {reason}", count(tally.open, "round")));
    }
    doubts.extend(latency.iter().filter(|check| check.verdict == Verdict::Inconclusive).map(LatencyCheck::too_few));
    doubts
}

/// `1 round`, `2 rounds`.
pub(super) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A duration as people write it: three significant digits and the unit that needs the fewest.
pub(crate) fn duration(duration: Duration) -> String {
    let nanos = duration.as_nanos() as f64;
    let (value, unit) = match nanos {
        _ if nanos < 999.5 => return format!("{nanos} ns"),
        _ if nanos < 999.5e3 => (nanos / 1e3, "µs"),
        _ if nanos < 999.5e6 => (nanos / 1e6, "ms"),
        _ if nanos < 120e9 => (nanos / 1e9, "s"),
        _ => return format!("{} min {} s", duration.as_secs() / 60, duration.as_secs() % 60),
    };
    match value {
        _ if value < 9.995 => format!("{value:.2} {unit}"),
        _ if value < 99.95 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{TestCase, record};
    use crate::judge::judge_round;
    use crate::model::record::RoundRecord;

    fn race(case: &Case, rounds: &[&str]) -> CaseTally {
        let mut tally = CaseTally::new(case);
        for (round, outcomes) in rounds.iter().enumerate() {
            let record = record(case, round as u64, outcomes);
            tally.add(case, &record, &judge_round(case, &record));
        }
        tally
    }

    fn planned(case: TestCase, rounds: u64) -> Case {
        case.change(|case| case.rounds = rounds).build()
    }

    #[test]
    fn clean_rounds_pass_and_bound_what_they_prove() {
        let raced = |rounds: usize| {
            let case = planned(TestCase::new(2).expect("success = 1, conflict = 1"), rounds as u64);
            judge_case(&case, &race(&case, &vec!["1 success, 1 conflict"; rounds]), &[])
        };
        let verdict = raced(40);
        assert_eq!((verdict.verdict, verdict.reasons.len(), &verdict.no_bound), (Verdict::Pass, 0, &None));
        assert!((verdict.failure_bound.unwrap() - failure_bound(40.0)).abs() < 1e-3, "{verdict:?}");
        assert!((failure_bound(300.0) - 3.0 / 300.0).abs() < 1e-3, "the rule of three");
        let few = raced(19);
        assert_eq!((few.verdict, few.failure_bound), (Verdict::Pass, None));
        assert_eq!(few.no_bound.as_deref(), Some("no bound: it takes 20 raced rounds"));
    }

    /// A case of 60 rounds that change what they are told to.
    fn raced_as(change: impl Fn(&mut RoundRecord)) -> (CaseTally, CaseVerdict) {
        let case = planned(TestCase::new(2).expect("success = 1, conflict = 1"), 60);
        let mut tally = CaseTally::new(&case);
        for round in 0..60 {
            let mut record = record(&case, round, "1 success, 1 conflict");
            record.answered_first = Some(round as usize % 2);
            change(&mut record);
            tally.add(&case, &record, &judge_round(&case, &record));
        }
        let verdict = judge_case(&case, &tally, &[]);
        (tally, verdict)
    }

    #[test]
    fn rounds_without_a_race_do_not_count_for_the_bound() {
        let (tally, verdict) = raced_as(|record| record.overlap = 1 + record.round % 2);
        assert_eq!((verdict.verdict, tally.raced), (Verdict::Pass, 30));
        assert_eq!(verdict.no_bound.as_deref(), Some("no bound: worker 1 was answered first in every round"));
        let (tally, verdict) = raced_as(|record| record.overlap = 1 + record.round / 2 % 2);
        assert_eq!((tally.raced, verdict.failure_bound), (30, Some(failure_bound(30.0))));
    }

    #[test]
    fn rounds_that_are_alike_are_worth_less_than_as_many_others() {
        let (_, independent) = raced_as(|_| ());
        assert_eq!(independent.failure_bound, Some(failure_bound(60.0)));
        let (_, sticky) = raced_as(|record| record.answered_first = Some(record.round as usize / 20 % 2));
        assert!(sticky.failure_bound > Some(0.3), "{:?}", sticky.failure_bound);
        let (_, one_order) = raced_as(|record| record.answered_first = Some(0));
        assert_eq!((one_order.verdict, one_order.failure_bound), (Verdict::Pass, None));
        assert_eq!(one_order.no_bound.as_deref(), Some("no bound: worker 0 was answered first in every round"));
    }

    #[test]
    fn a_failed_round_fails_the_case_and_leaves_no_bound() {
        let case = planned(TestCase::new(2).expect("success = 1, conflict = 1"), 3);
        let verdict = judge_case(&case, &race(&case, &["1 success, 1 conflict", "2 success", "2 success"]), &[]);
        assert_eq!((verdict.verdict, verdict.failure_bound), (Verdict::Fail, None));
        assert_eq!(verdict.reasons, ["2 of 3 rounds failed, first: round 1"]);
    }

    #[test]
    fn a_control_that_is_not_caught_fails_the_case() {
        let case = planned(TestCase::new(2).expect("success = 1, conflict = 1"), 1);
        let tally = race(&case, &["1 success, 1 conflict"]);
        let judge = |verdict| judge_case(&case, &tally, &[("no locks at all".to_owned(), verdict)]);
        let survived = judge(ControlVerdict::Survived { rounds: 50, broke: Vec::new() });
        assert_eq!(survived.verdict, Verdict::Fail);
        assert_eq!(survived.reasons, ["control `no locks at all` was not caught in 50 rounds"]);
        let invalid = judge(ControlVerdict::Invalid { round: Some(4), reason: "barrier `x` broke".to_owned() });
        assert_eq!(invalid.verdict, Verdict::Fail);
        assert_eq!(
            invalid.reasons,
            ["control `no locks at all` is invalid and proves nothing: in round 4 barrier `x` broke"]
        );
        assert_eq!(judge(ControlVerdict::AwaitsGrowth).verdict, Verdict::Pass);
    }

    #[test]
    fn workers_that_never_overlapped_prove_nothing() {
        let case = planned(TestCase::new(2).expect("success = 1, conflict = 1"), 1);
        let mut tally = CaseTally::new(&case);
        let mut round = record(&case, 0, "1 success, 1 conflict");
        round.overlap = 1;
        tally.add(&case, &round, &judge_round(&case, &round));
        let verdict = judge_case(&case, &tally, &[]);
        assert_eq!(verdict.verdict, Verdict::Inconclusive);
        assert!(verdict.reasons[0].starts_with("vacuous"), "{:?}", verdict.reasons);
        let ordered = planned(
            TestCase::new(2)
                .expect("success = 1, conflict = 1")
                .change(|case| case.ordered = Some("a story".to_owned())),
            1,
        );
        let verdict = judge_case(&ordered, &tally, &[]);
        assert_eq!((verdict.verdict, verdict.failure_bound), (Verdict::Pass, None), "ordered on purpose");
        let alone = planned(TestCase::new(1), 1);
        assert_eq!(judge_case(&alone, &race(&alone, &["1 success"]), &[]).verdict, Verdict::Pass);
    }

    #[test]
    fn what_was_cut_short_is_inconclusive() {
        let case = planned(TestCase::new(1), 10);
        let verdict = judge_case(&case, &race(&case, &["1 success"]), &[]);
        assert_eq!(
            (verdict.verdict, &verdict.reasons[..]),
            (Verdict::Inconclusive, &["only 1 of 10 rounds were raced".to_owned()][..])
        );
        assert_eq!(judge_case(&case, &CaseTally::new(&case), &[]).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn sometimes_wants_one_round() {
        let case = planned(
            TestCase::new(2).change(|case| {
                case.checks.sometimes = vec![(OutcomeKind::Busy, CountRange { low: 1, high: None })];
            }),
            2,
        );
        let never = judge_case(&case, &race(&case, &["2 success", "2 success"]), &[]);
        assert_eq!(never.verdict, Verdict::Fail);
        assert_eq!(never.reasons, ["no round had >= 1 busy, which `sometimes` wants of at least one"]);
        let once = judge_case(&case, &race(&case, &["2 success", "1 success, 1 busy"]), &[]);
        assert_eq!((once.verdict, once.sometimes[0].rounds), (Verdict::Pass, 1));
    }

    #[test]
    fn a_latency_without_enough_operations_says_how_many_it_needs() {
        let case = planned(TestCase::new(1).latency(0.99, 5_000), 2);
        let verdict = judge_case(&case, &race(&case, &["1 success"; 2]), &[]);
        assert_eq!(verdict.verdict, Verdict::Inconclusive);
        assert_eq!(verdict.reasons, ["`append.p99` needs 299 operations, and 2 were measured; raise `rounds` to 299"]);
        let case = planned(TestCase::new(1).latency(0.5, 10), 2);
        let verdict = judge_case(&case, &race(&case, &["1 success"; 2]), &[]);
        assert_eq!(verdict.reasons, ["`append.p50` is 990 µs, expected at most 10.0 µs"]);
    }

    #[test]
    fn durations_have_three_digits_and_a_unit() {
        let texts = [0, 999, 1_000, 12_345, 999_600, 1_234_567, 59_990_000_000, 200_000_000_000]
            .map(|ns| duration(Duration::from_nanos(ns)));
        assert_eq!(texts, ["0 ns", "999 ns", "1.00 µs", "12.3 µs", "1.00 ms", "1.23 ms", "60.0 s", "3 min 20 s"]);
    }
}
