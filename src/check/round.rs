//! One round: did what must hold, hold?

use crate::engine::record::{InvariantResult, RoundRecord};
use crate::outcome::{OutcomeKind, Tally};
use crate::plan::{Case, Expectation, Place};

use super::count::{Assignment, allowed, assign_unknowns};
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
    /// Invariants that could not be evaluated beside unknown attempts, on which they may depend: the round is open.
    pub undecided: Vec<String>,
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
    /// The check, named as in a control's `breaks`: an outcome's word, or an invariant's name.
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
    let groups = tally_groups(case, record);
    let tally = record.tally();
    let (mut failures, undecided) = judge_invariants(case, record, tally.of(OutcomeKind::Unknown) > 0);
    let all_held = failures.is_empty() && undecided.is_empty();
    let counts = judge_counts(case, &groups, &tally);
    let open = match counts {
        Counts::Broken(broken) => {
            failures.splice(0..0, broken);
            None
        }
        _ if !undecided.is_empty() => {
            let said: Vec<String> =
                undecided.iter().map(|(name, reason)| format!("invariant `{name}` is not decided: {reason}")).collect();
            Some(said.join("; "))
        }
        Counts::Fit => None,
        Counts::FitIfKnown if all_held && !case.checks.invariants.is_empty() => None,
        Counts::FitIfKnown => {
            let unknown = tally.of(OutcomeKind::Unknown);
            let remedy = if case.checks.invariants.is_empty() { "; an invariant could tell" } else { "" };
            Some(format!("the effect of {unknown} attempts is unknown, and the counts alone do not tell{remedy}"))
        }
    };
    let invalid_as_control = reasons_against_a_catch(case, record, &tally);
    let undecided = undecided.into_iter().map(|(name, _)| name).collect();
    RoundJudgement { round: record.round, tally, groups, failures, open, undecided, invalid_as_control }
}

/// How the attempts of each group ended. Each worker must be there exactly once.
fn tally_groups(case: &Case, record: &RoundRecord) -> Vec<Tally> {
    let round = record.round;
    assert_eq!(record.attempts.len(), case.workers.len(), "round {round} must hold one attempt per worker");
    let mut seen = vec![false; case.workers.len()];
    let mut groups = vec![Tally::default(); case.groups.len()];
    for attempt in &record.attempts {
        assert!(!seen[attempt.worker], "worker {} has two attempts in round {round}", attempt.worker);
        seen[attempt.worker] = true;
        groups[case.workers[attempt.worker].group].count(attempt.outcome.kind);
    }
    groups
}

/// The failures, and the invariants that are not decided because there are unknown attempts, with the reasons.
fn judge_invariants(case: &Case, record: &RoundRecord, has_unknown: bool) -> (Vec<Failure>, Vec<(String, String)>) {
    let (mut failures, mut undecided) = (Vec::new(), Vec::new());
    for (invariant, result) in invariant_results(case, record) {
        let (kind, expected, observed) = match result {
            Some(InvariantResult::Held) => continue,
            Some(InvariantResult::Broken { observed }) => {
                (FailureKind::Invariant, invariant.that.source().to_owned(), observed.clone())
            }
            Some(InvariantResult::Unevaluated { reason }) if has_unknown => {
                undecided.push((invariant.name.clone(), reason.clone()));
                continue;
            }
            Some(InvariantResult::Unevaluated { reason }) => {
                (FailureKind::Unevaluated, "to be evaluated".to_owned(), reason.clone())
            }
            None => (FailureKind::Unevaluated, "to be evaluated".to_owned(), NOT_EVALUATED.to_owned()),
        };
        let place = Some(invariant.place.clone());
        failures.push(Failure { check: invariant.name.clone(), kind, group: None, expected, observed, place });
    }
    (failures, undecided)
}

/// Said of an invariant that has no result at all.
pub(super) const NOT_EVALUATED: &str = "it was never evaluated";

/// Each invariant with its result; one without a result was skipped, which is never taken for holding.
pub(super) fn invariant_results<'a>(
    case: &'a Case,
    record: &'a RoundRecord,
) -> impl Iterator<Item = (&'a crate::plan::Invariant, Option<&'a InvariantResult>)> {
    case.checks.invariants.iter().enumerate().map(|(index, invariant)| (invariant, record.invariants.get(index)))
}

/// What the counts say.
enum Counts {
    /// They fit, whatever became of attempts that are unknown.
    Fit,
    /// They fit for some ends of the unknown attempts.
    FitIfKnown,
    /// They do not.
    Broken(Vec<Failure>),
}

fn judge_counts(case: &Case, groups: &[Tally], tally: &Tally) -> Counts {
    let by_group = &case.checks.by_group;
    let alternatives: Vec<Option<&Expectation>> = match case.checks.expect.as_slice() {
        [] => vec![None],
        expectations => expectations.iter().map(Some).collect(),
    };
    let mut failures = unexpected_ends(case, groups, tally);
    let fits: Vec<(Option<&Expectation>, Assignment)> =
        alternatives.iter().filter_map(|whole| Some((*whole, assign_unknowns(*whole, by_group, groups)?))).collect();
    if fits.is_empty() {
        let crashed = failures.iter().any(|failure| failure.check == OutcomeKind::Crash.as_str());
        let broken = count_failures(case, groups, tally).into_iter();
        failures.extend(broken.filter(|failure| !crashed || failure.check != OutcomeKind::Crash.as_str()));
        assert!(!failures.is_empty(), "counts that do not fit are reported");
    }
    if !failures.is_empty() {
        return Counts::Broken(failures);
    }
    let nothing_expected = case.checks.expect.is_empty() && by_group.is_empty();
    let certain = tally.of(OutcomeKind::Unknown) == 0 || nothing_expected;
    let allowed_for = |whole: Option<&Expectation>| match whole {
        Some(whole) => whole.counts.contains_key(&OutcomeKind::Unknown),
        None => groups.iter().enumerate().all(|(index, group)| {
            let named = by_group.get(&index).is_none_or(|it| it.counts.contains_key(&OutcomeKind::Unknown));
            named || group.of(OutcomeKind::Unknown) == 0
        }),
    };
    let plain = fits.iter().any(|(whole, assignment)| assignment.used.total() == 0 && allowed_for(*whole));
    if certain || plain { Counts::Fit } else { Counts::FitIfKnown }
}

/// Crashes, and broken barriers where no expectation speaks of them: these fail a round even if nothing is expected.
fn unexpected_ends(case: &Case, groups: &[Tally], tally: &Tally) -> Vec<Failure> {
    let mut failures = Vec::new();
    let mut push = |kind: OutcomeKind, observed: u64| {
        if observed > 0 {
            failures.push(Failure {
                check: kind.as_str().to_owned(),
                kind: FailureKind::Count,
                group: None,
                expected: "0".to_owned(),
                observed: observed.to_string(),
                place: None,
            });
        }
    };
    push(OutcomeKind::Crash, tally.of(OutcomeKind::Crash));
    if case.checks.expect.is_empty() {
        let free = groups.iter().enumerate().filter(|(index, _)| !case.checks.by_group.contains_key(index));
        push(OutcomeKind::BrokenBarrier, free.map(|(_, group)| group.of(OutcomeKind::BrokenBarrier)).sum());
    }
    failures
}

/// A count that does not fit, and by how much.
struct Mismatch {
    group: Option<usize>,
    kind: OutcomeKind,
    /// Even if all the unknown attempts went to this outcome, or were left out.
    certain: bool,
    distance: u64,
}

/// The counts that break the expectations: against the alternative that is nearest to what was observed.
fn count_failures(case: &Case, groups: &[Tally], tally: &Tally) -> Vec<Failure> {
    let nearest = case
        .checks
        .expect
        .iter()
        .map(|whole| (mismatches(whole, tally, None), whole))
        .min_by_key(|(mismatches, _)| mismatches.iter().map(|mismatch| mismatch.distance).sum::<u64>());
    let (mut found, whole) = nearest.map_or((Vec::new(), None), |(mismatches, whole)| (mismatches, Some(whole)));
    for (index, expectation) in &case.checks.by_group {
        found.extend(mismatches(expectation, &groups[*index], Some(*index)));
    }
    // Counts that the unknown attempts could mend one by one, but not together, are only named when nothing is certain.
    if found.iter().any(|mismatch| mismatch.certain) {
        found.retain(|mismatch| mismatch.certain);
    }
    found
        .into_iter()
        .filter_map(|mismatch| {
            let (observed, expectation) = match mismatch.group {
                Some(group) => (&groups[group], &case.checks.by_group[&group]),
                None => (tally, whole?),
            };
            Some(Failure {
                check: mismatch.kind.as_str().to_owned(),
                kind: FailureKind::Count,
                group: mismatch.group.map(|group| case.groups[group].name.clone()),
                expected: expected_text(case, mismatch.group, mismatch.kind),
                observed: observed_text(observed, mismatch.kind),
                place: Some(expectation.place_of(mismatch.kind).clone()),
            })
        })
        .collect()
}

fn mismatches(expectation: &Expectation, observed: &Tally, group: Option<usize>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for kind in OutcomeKind::ALL {
        let (range, count) = (allowed(expectation, kind), observed.of(kind));
        if range.contains(count) {
            continue;
        }
        let missing = range.low.saturating_sub(count);
        let excess = range.high.map_or(0, |high| count.saturating_sub(high));
        let mendable = if kind == OutcomeKind::Unknown { 0 } else { observed.of(OutcomeKind::Unknown) };
        found.push(Mismatch { group, kind, certain: excess > 0 || missing > mendable, distance: missing + excess });
    }
    found
}

/// What is expected of `kind` in each round, alternatives joined; `any` where nothing is.
pub(crate) fn expected_text(case: &Case, group: Option<usize>, kind: OutcomeKind) -> String {
    let expectations: Vec<&Expectation> = match group {
        Some(group) => case.checks.by_group.get(&group).into_iter().collect(),
        None => case.checks.expect.iter().collect(),
    };
    let mut texts: Vec<String> = Vec::new();
    for expectation in expectations {
        let range = allowed(expectation, kind);
        let text = if range.low == 0 && range.high.is_none() { "any".to_owned() } else { range.to_string() };
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    if texts.is_empty() { "any".to_owned() } else { texts.join(" or ") }
}

fn observed_text(observed: &Tally, kind: OutcomeKind) -> String {
    match observed.of(OutcomeKind::Unknown) {
        unknown if unknown > 0 && kind != OutcomeKind::Unknown => {
            format!("{} (and {unknown} unknown)", observed.of(kind))
        }
        _ => observed.of(kind).to_string(),
    }
}

/// Why a check that broke in this round would prove nothing about a control.
fn reasons_against_a_catch(case: &Case, record: &RoundRecord, tally: &Tally) -> Vec<String> {
    let mut reasons = Vec::new();
    let against = [
        (OutcomeKind::Crash, "crashed"),
        (OutcomeKind::Unknown, "ended unknown"),
        (OutcomeKind::Disconnected, "lost their connection"),
    ];
    for (kind, what) in against {
        let Some(first) = record.attempts.iter().find(|attempt| attempt.outcome.kind == kind) else { continue };
        let said =
            if first.outcome.message.is_empty() { String::new() } else { format!(": {}", first.outcome.message) };
        reasons.push(format!("{} of {} attempts {what}{said}", tally.of(kind), tally.total()));
    }
    let broken: Vec<String> = case
        .barriers
        .iter()
        .zip(&record.barriers)
        .filter(|(_, barrier)| !barrier.missing.is_empty())
        .map(|(spec, _)| format!("barrier `{}` broke", spec.name))
        .collect();
    if broken.is_empty() && tally.of(OutcomeKind::BrokenBarrier) > 0 {
        reasons.push("a barrier broke".to_owned());
    }
    reasons.extend(broken);
    for (invariant, result) in invariant_results(case, record) {
        let reason = match result {
            Some(InvariantResult::Held | InvariantResult::Broken { .. }) => continue,
            Some(InvariantResult::Unevaluated { reason }) => reason,
            None => NOT_EVALUATED,
        };
        reasons.push(format!("invariant `{}` could not be evaluated: {reason}", invariant.name));
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{TestCase, held, record};
    use crate::engine::record::InvariantResult;

    fn checks(judgement: &RoundJudgement) -> Vec<(&str, &str, &str)> {
        judgement.failures.iter().map(|it| (it.check.as_str(), it.expected.as_str(), it.observed.as_str())).collect()
    }

    #[test]
    fn counts_are_exact_and_what_is_not_named_must_not_occur() {
        let case = TestCase::new(3).expect("success = 1, conflict = 2").build();
        assert_eq!(judge_round(&case, &record(&case, 0, "1 success, 2 conflict")).verdict(), Verdict::Pass);
        let two_won = judge_round(&case, &record(&case, 7, "2 success, 1 conflict"));
        assert_eq!(checks(&two_won), [("success", "1", "2"), ("conflict", "2", "1")]);
        assert_eq!(two_won.failures[0].place.as_ref().unwrap().to_string(), "race.toml:9:1");
        let deadlock = judge_round(&case, &record(&case, 0, "1 success, 1 conflict, 1 deadlock"));
        assert_eq!(checks(&deadlock), [("conflict", "2", "1"), ("deadlock", "0", "1")]);
    }

    #[test]
    fn the_sides_of_an_expectation_are_not_swapped() {
        // With the sides swapped, 1 expected and 2 observed would read like 2 expected and 1 observed.
        let case = TestCase::new(2).expect("success = 1, conflict = \"<= 1\"").build();
        let judgement = judge_round(&case, &record(&case, 0, "2 success"));
        assert_eq!(checks(&judgement), [("success", "1", "2")]);
        let case = TestCase::new(2).expect("success = 2").build();
        let judgement = judge_round(&case, &record(&case, 0, "1 success, 1 conflict"));
        assert_eq!(checks(&judgement), [("success", "2", "1"), ("conflict", "0", "1")]);
    }

    #[test]
    fn one_of_several_alternatives_is_enough() {
        let case = TestCase::new(2).expect("success = 1, deadlock = 1").expect("success = 1, busy = 1").build();
        for passing in ["1 success, 1 deadlock", "1 success, 1 busy"] {
            assert_eq!(judge_round(&case, &record(&case, 0, passing)).verdict(), Verdict::Pass);
        }
        let judgement = judge_round(&case, &record(&case, 0, "2 success"));
        assert_eq!(checks(&judgement), [("success", "1", "2"), ("deadlock", "1 or 0", "0")]);
    }

    #[test]
    fn groups_have_expectations_of_their_own() {
        let case = TestCase::groups(&[("adder", 2), ("remover", 1)]).by_group(1, "success = 1").build();
        let judgement = judge_round(&case, &record(&case, 0, "2 success, 1 conflict"));
        assert_eq!(checks(&judgement), [("success", "1", "0"), ("conflict", "0", "1")]);
        assert_eq!(judgement.failures[0].group.as_deref(), Some("remover"));
        assert_eq!(judgement.groups.iter().map(Tally::to_string).collect::<Vec<_>>(), ["2 success", "1 conflict"]);
    }

    #[test]
    fn an_unknown_is_neither_a_failure_nor_a_success() {
        let case = TestCase::new(2).expect("success = 1, conflict = 1").build();
        let judgement = judge_round(&case, &record(&case, 0, "1 conflict, 1 unknown"));
        assert_eq!(judgement.verdict(), Verdict::Inconclusive, "{judgement:?}");
        let judgement = judge_round(&case, &record(&case, 0, "2 conflict"));
        assert_eq!(judgement.verdict(), Verdict::Fail);
        let judgement = judge_round(&case, &record(&case, 0, "2 success"));
        assert_eq!(judgement.verdict(), Verdict::Fail);

        let case = TestCase::new(2).expect("success = 1, conflict = 1").invariant("one stored").build();
        let mut round = record(&case, 0, "1 conflict, 1 unknown");
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass, "the invariant tells");
        round.invariants = vec![InvariantResult::Broken { observed: "[[2]]".to_owned() }];
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Fail);
    }

    #[test]
    fn an_unknown_that_the_counts_could_do_without_may_still_be_one_success_too_many() {
        let case = TestCase::new(3).expect("success = 1, conflict = \">= 1\"").build();
        let round = record(&case, 0, "1 success, 1 conflict, 1 unknown");
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Inconclusive);
        let case = TestCase::new(3).expect("success = 1, conflict = \">= 1\", unknown = \"<= 1\"").build();
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass, "unknowns were expected by name");
    }

    #[test]
    fn a_crash_always_fails_and_a_broken_barrier_unless_it_is_expected() {
        let case = TestCase::new(1).expect("crash = 1").build();
        assert_eq!(checks(&judge_round(&case, &record(&case, 0, "1 crash"))), [("crash", "0", "1")]);
        assert_eq!(judge_round(&case, &record(&case, 0, "1 success")).verdict(), Verdict::Fail);
        let case = TestCase::new(1).build();
        assert_eq!(checks(&judge_round(&case, &record(&case, 0, "1 crash"))), [("crash", "0", "1")]);
        assert_eq!(checks(&judge_round(&case, &record(&case, 0, "1 broken-barrier"))), [("broken-barrier", "0", "1")]);
        let case = TestCase::new(1).expect("broken-barrier = 1").build();
        assert_eq!(judge_round(&case, &record(&case, 0, "1 broken-barrier")).verdict(), Verdict::Pass);
    }

    #[test]
    fn a_skipped_or_unevaluated_invariant_never_passes() {
        let case = TestCase::new(1).expect("success = 1").invariant("one stored").build();
        let mut round = record(&case, 0, "1 success");
        round.invariants = vec![InvariantResult::Unevaluated { reason: "no such table".to_owned() }];
        let judgement = judge_round(&case, &round);
        assert_eq!(checks(&judgement), [("one stored", "to be evaluated", "no such table")]);
        assert_eq!(judgement.invalid_as_control, ["invariant `one stored` could not be evaluated: no such table"]);
        round.invariants.clear();
        assert_eq!(judge_round(&case, &round).failures[0].observed, "it was never evaluated");
        // What depends on what nobody knows is no failure, and no pass either.
        let mut round = record(&case, 0, "1 unknown");
        round.invariants = vec![InvariantResult::Unevaluated { reason: "who knows".to_owned() }];
        let judgement = judge_round(&case, &round);
        assert_eq!(
            (judgement.verdict(), &judgement.undecided[..]),
            (Verdict::Inconclusive, &["one stored".to_owned()][..])
        );
        round.invariants.clear();
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Fail, "it was never evaluated");
        let mut round = record(&case, 0, "1 success");
        round.invariants = held(&case);
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass);
    }

    #[test]
    #[should_panic(expected = "round 4 must hold one attempt per worker")]
    fn a_dropped_outcome_is_noticed() {
        let case = TestCase::new(2).build();
        let mut round = record(&case, 4, "2 success");
        round.attempts.pop();
        judge_round(&case, &round);
    }

    #[test]
    #[should_panic(expected = "worker 0 has two attempts in round 4")]
    fn a_doubled_outcome_is_noticed() {
        let case = TestCase::new(2).build();
        let mut round = record(&case, 4, "2 success");
        round.attempts[1] = round.attempts[0].clone();
        judge_round(&case, &round);
    }
}
