//! One round: did what must hold, hold?

use crate::model::record::{Attempt, InvariantResult, RoundRecord, StepAt};
use crate::model::{Action, Case, Expectation, Invariant};
use crate::outcome::{OutcomeKind, Tally};
use crate::port::Place;

use super::case::count;
use super::count::{Counted, Short, did_not_run, fits, fits_as_observed, may_be_missing};
use super::disturbance::{disturbances, reasons_against_a_catch};
use super::misfit::{misfits, unexpected_ends};
use super::origin::misplaced;
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
    /// Why this round would make a control invalid: crashes, broken barriers, invariants without a value.
    pub invalid_as_control: Vec<String>,
    /// What came from outside and disturbed the round, so that it proves nothing about a control: lost connections, unknown
    /// outcomes that nobody expected, invariants that were not read.
    pub disturbed: Vec<String>,
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
    /// Whether it is broken by itself, whatever became of unknown attempts. Else it is broken only together with the others.
    pub is_certain: bool,
}

/// The kinds of check that can fail a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FailureKind {
    /// A count of `[expect]` or `[expect.by_group]`, or a crash or broken barrier that nobody expected.
    Count,
    /// An invariant that was broken.
    Invariant,
    /// An invariant to which what was read gives no value.
    Undefined,
}

/// Judges one round. Panics when the record does not hold exactly one attempt per worker: such a record is the harness's fault.
///
/// Any number of the unknown attempts may have taken effect. The round passes if there is a number with which all counts and
/// all invariants hold at once, and fails if there is none. One number serves for all of them.
pub fn judge_round(case: &Case, record: &RoundRecord) -> RoundJudgement {
    let groups = tally_groups(case, record);
    let tally = record.tally();
    let round = Round { case, record, groups: &groups, tally: &tally };
    let (failures, open) = round.judge();
    let invalid_as_control = reasons_against_a_catch(case, record, &tally);
    let disturbed = disturbances(case, record, &groups, &tally);
    RoundJudgement { round: record.round, tally, groups, failures, open, invalid_as_control, disturbed }
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

/// A round that is being judged.
struct Round<'a> {
    case: &'a Case,
    record: &'a RoundRecord,
    groups: &'a [Tally],
    tally: &'a Tally,
}

/// What a check says, if a certain number of the unknown attempts took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Says {
    /// It does not hold.
    Broken,
    /// It would hold only if attempts that did not run had run; or it is not known.
    Inconclusive,
    /// It holds.
    Holds,
}

impl Round<'_> {
    /// What did not hold; or why nothing can be said, if everything may have held.
    fn judge(&self) -> (Vec<Failure>, Option<String>) {
        let may_have_succeeded = self.may_have_succeeded();
        let counted = Counted { groups: self.groups, may_have_succeeded: &may_have_succeeded };
        let numbers = 0..=may_have_succeeded.iter().sum::<u64>();
        let counts: Vec<Says> = numbers.clone().map(|number| self.counts(counted, number)).collect();
        let invariants: Vec<Vec<Says>> = self
            .invariants()
            .map(|(invariant, result)| {
                numbers.clone().map(|number| self.invariant(invariant, result, number)).collect()
            })
            .collect();
        let whole: Vec<Says> = (0..counts.len())
            .map(|number| {
                invariants.iter().map(|says| says[number]).chain([counts[number]]).min().unwrap_or(counts[number])
            })
            .collect();

        let mut failures = unexpected_ends(self.case, self.groups, self.tally);
        let best = whole.iter().max().copied().unwrap_or(Says::Holds);
        if best == Says::Broken {
            let is_crash = |failure: &Failure| failure.check == OutcomeKind::Crash.as_str();
            let crashed = failures.iter().any(is_crash);
            let misfits = self.misfits(&counts).into_iter().filter(|failure| !(crashed && is_crash(failure)));
            failures.extend(misfits);
            failures.extend(self.broken_invariants(&invariants, true));
            if failures.is_empty() {
                failures.extend(self.broken_invariants(&invariants, false));
            }
            assert!(!failures.is_empty(), "what does not hold together is reported");
        }
        if !failures.is_empty() {
            return (failures, None);
        }
        (failures, if best == Says::Inconclusive { Some(self.doubt(&counts)) } else { self.lack_of_evidence(&whole) })
    }

    /// How many of each group's unknown attempts may have been a success: those that were cut at their last request.
    fn may_have_succeeded(&self) -> Vec<u64> {
        let mut numbers = vec![0; self.groups.len()];
        let unknown = self.record.attempts.iter().filter(|attempt| attempt.outcome.kind == OutcomeKind::Unknown);
        for attempt in unknown.filter(|attempt| was_cut_at_the_end(self.case, attempt)) {
            numbers[self.case.workers[attempt.worker].group] += 1;
        }
        numbers
    }

    fn alternatives(&self) -> Vec<Option<&Expectation>> {
        match self.case.checks.expect.as_slice() {
            [] => vec![None],
            expectations => expectations.iter().map(Some).collect(),
        }
    }

    /// The alternatives whose attempts ended where they must; none if those of a group did not.
    fn alternatives_by_origin(&self) -> Vec<Option<&Expectation>> {
        let is_right = |expectation: &Expectation, group: Option<usize>| {
            expectation.origins.is_empty() || misplaced(self.case, self.record, expectation, group).is_empty()
        };
        let mut by_group = self.case.checks.by_group.iter();
        if !by_group.all(|(group, expectation)| is_right(expectation, Some(*group))) {
            return Vec::new();
        }
        let mut alternatives = self.alternatives();
        alternatives.retain(|whole| whole.is_none_or(|whole| is_right(whole, None)));
        alternatives
    }

    /// What all counts together say.
    fn counts(&self, counted: Counted<'_>, took_effect: u64) -> Says {
        let by_group = &self.case.checks.by_group;
        let alternatives = self.alternatives_by_origin();
        let fits = |short| alternatives.iter().any(|whole| fits(*whole, by_group, counted, took_effect, short));
        if self.fits_as_observed() || fits(Short::Misfit) {
            Says::Holds
        } else if fits(Short::DidNotRun) {
            Says::Inconclusive
        } else {
            Says::Broken
        }
    }

    fn fits_as_observed(&self) -> bool {
        let by_group = &self.case.checks.by_group;
        self.alternatives_by_origin().into_iter().any(|whole| fits_as_observed(whole, by_group, self.groups))
    }

    fn invariants(&self) -> impl Iterator<Item = (&Invariant, Option<&InvariantResult>)> {
        invariant_results(self.case, self.record)
    }

    /// What an invariant says.
    fn invariant(&self, invariant: &Invariant, result: Option<&InvariantResult>, took_effect: u64) -> Says {
        let broken = if self.may_excuse(invariant, took_effect) { Says::Inconclusive } else { Says::Broken };
        match result {
            Some(InvariantResult::Unread { .. }) => Says::Inconclusive,
            // What was lost may be what the expression looks for.
            Some(InvariantResult::Undefined { .. }) if self.has_lost() => Says::Inconclusive,
            Some(InvariantResult::Undefined { .. }) | None => Says::Broken,
            Some(read) => match read.holds_for(took_effect) {
                Some(true) => Says::Holds,
                _ => broken,
            },
        }
    }

    /// Whether attempts were lost: whether they took effect is not known, or they did not run.
    fn has_lost(&self) -> bool {
        self.tally.of(OutcomeKind::Unknown) > 0 || self.did_not_run()
    }

    /// Whether attempts did not run, and there is an alternative that does not expect so.
    fn did_not_run(&self) -> bool {
        self.alternatives().into_iter().any(|whole| did_not_run(whole, self.tally) > 0)
    }

    /// Whether the invariant may be broken only because attempts were lost, if `took_effect` of the unknown ones were not. One
    /// that holds the final state against the number of successes holds of those that ran; another may want what those that
    /// were lost would have done.
    fn may_excuse(&self, invariant: &Invariant, took_effect: u64) -> bool {
        let names = |kind: OutcomeKind| invariant.that.variables().contains(&kind.as_str().replace('-', "_"));
        let names_others = OutcomeKind::ALL.into_iter().any(|kind| kind != OutcomeKind::Success && names(kind));
        let is_missing = |whole| may_be_missing(whole, self.tally, took_effect) > 0;
        let may_be_missing = self.alternatives().into_iter().any(is_missing);
        (self.has_lost() && names_others) || (may_be_missing && !names(OutcomeKind::Success))
    }

    /// The counts that do not fit. Where they would fit for another number of unknown attempts than the invariants, they
    /// are not broken by themselves.
    fn misfits(&self, counts: &[Says]) -> Vec<Failure> {
        if counts.contains(&Says::Holds) || counts.contains(&Says::Inconclusive) {
            return Vec::new();
        }
        misfits(self.case, self.record, self.groups, self.tally)
    }

    /// The invariants that are broken for every number of unknown attempts: these are certain. Else those that are broken for
    /// some, which together with the other checks are broken for every number.
    fn broken_invariants(&self, said: &[Vec<Says>], is_certain: bool) -> Vec<Failure> {
        let is_broken = |says: &[Says]| {
            let broken = says.iter().filter(|it| **it == Says::Broken).count();
            if is_certain { broken == says.len() } else { broken > 0 }
        };
        let broken = self.invariants().zip(said).filter(|(_, says)| is_broken(says));
        broken.map(|((invariant, result), _)| failure(invariant, result, self.tally, is_certain)).collect()
    }

    /// Why the round is open although nothing is broken for certain.
    fn doubt(&self, counts: &[Says]) -> String {
        let mut reasons = Vec::new();
        let lost = self.tally.of(OutcomeKind::Disconnected);
        if self.did_not_run() && !counts.contains(&Says::Holds) {
            reasons.push(did_not_run_words(lost));
        }
        for (invariant, result) in self.invariants() {
            let name = &invariant.name;
            match result {
                Some(InvariantResult::Unread { reason }) => {
                    reasons.push(format!("invariant `{name}` was not read: {reason}"));
                }
                Some(InvariantResult::Undefined { reason }) => {
                    reasons.push(format!("invariant `{name}` has no value, maybe for want of what was lost: {reason}"));
                }
                Some(InvariantResult::Broken { observed } | InvariantResult::Depends { observed, .. })
                    if self.may_excuse(invariant, 0) =>
                {
                    let text =
                        format!("invariant `{name}` is broken, maybe for want of attempts that were lost: {observed}");
                    reasons.push(text);
                }
                Some(InvariantResult::Held | InvariantResult::Broken { .. } | InvariantResult::Depends { .. })
                | None => {}
            }
        }
        if reasons.is_empty() {
            reasons.push(self.unknown_effect());
        }
        reasons.join("; ")
    }

    /// Why a round in which everything may have held does not pass, if it does not.
    fn lack_of_evidence(&self, whole: &[Says]) -> Option<String> {
        let unknown = self.tally.of(OutcomeKind::Unknown);
        if unknown == 0 || (self.fits_as_observed() && whole.contains(&Says::Holds)) {
            return None;
        }
        // What must not happen is seen in the final state; that nothing happened breaks no invariant, unless it names `success`.
        let may_be_short = whole.contains(&Says::Inconclusive);
        if self.case.checks.invariants.is_empty() || unknown == self.tally.total() || may_be_short {
            return Some(self.unknown_effect());
        }
        None
    }

    fn unknown_effect(&self) -> String {
        let unknown = self.tally.of(OutcomeKind::Unknown);
        let attempts = count(unknown, "attempt");
        if unknown == self.tally.total() {
            let all = if unknown == 1 { "the only attempt".to_owned() } else { format!("all {attempts}") };
            return format!("the effect of {all} is unknown");
        }
        format!(
            "the effect of {attempts} is unknown, and no check tells whether the counts are short of it; an invariant that names `success` could"
        )
    }
}

fn did_not_run_words(lost: u64) -> String {
    let (attempts, their) = if lost == 1 { ("1 attempt", "its") } else { (&*format!("{lost} attempts"), "their") };
    format!(
        "{attempts} lost {their} connection before anything took effect, and the counts are short of what was expected"
    )
}

/// Whether nothing was left to ask when the attempt was cut: only then can it have been a success. A row of a stored round
/// does not tell the step, so it may.
fn was_cut_at_the_end(case: &Case, attempt: &Attempt) -> bool {
    let worker = &case.workers[attempt.worker];
    let group = &case.groups[worker.group];
    let Some(step) = attempt.outcome.step else { return true };
    let last = if worker.transaction.is_some() {
        StepAt::Commit
    } else {
        let asked = group.steps.iter().rposition(|step| matches!(step.action, Action::Call { .. }));
        StepAt::step(asked.unwrap_or(0))
    };
    let repetitions = attempt.steps.iter().filter(|record| record.step == last).count() as u64;
    step == last && repetitions >= group.repeat
}

fn failure(invariant: &Invariant, result: Option<&InvariantResult>, tally: &Tally, is_certain: bool) -> Failure {
    let (kind, expected, observed) = match result {
        Some(InvariantResult::Broken { observed }) => {
            (FailureKind::Invariant, invariant.that.source(), observed.clone())
        }
        Some(InvariantResult::Depends { holds_for, observed }) => {
            let numbers: Vec<String> = holds_for.iter().map(u64::to_string).collect();
            let unknown = tally.of(OutcomeKind::Unknown);
            let observed = format!(
                "it holds only if {} of {unknown} unknown attempts took effect, and then another check does not; {observed}",
                numbers.join(" or ")
            );
            (FailureKind::Invariant, invariant.that.source(), observed)
        }
        Some(InvariantResult::Undefined { reason } | InvariantResult::Unread { reason }) => {
            (FailureKind::Undefined, "to be evaluated", reason.clone())
        }
        Some(InvariantResult::Held) | None => (FailureKind::Undefined, "to be evaluated", NOT_EVALUATED.to_owned()),
    };
    Failure {
        check: invariant.name.clone(),
        kind,
        group: None,
        expected: expected.to_owned(),
        observed,
        place: Some(invariant.place.clone()),
        is_certain,
    }
}

/// Said of an invariant that has no result at all.
pub(super) const NOT_EVALUATED: &str = "it was never evaluated";

/// Each invariant with its result; one without a result was skipped, which is never taken for holding.
pub(super) fn invariant_results<'a>(
    case: &'a Case,
    record: &'a RoundRecord,
) -> impl Iterator<Item = (&'a Invariant, Option<&'a InvariantResult>)> {
    case.checks.invariants.iter().enumerate().map(|(index, invariant)| (invariant, record.invariants.get(index)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::count::allowed;
    use super::*;
    use crate::judge::fixture::{TestCase, held, record};
    use crate::model::record::{InvariantResult, Outcome};
    use crate::model::{CountRange, Origin};

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
        assert!(judgement.open.is_some_and(|open| open.starts_with("the effect of 1 attempt is unknown")));
        let judgement = judge_round(&case, &record(&case, 0, "2 conflict"));
        assert_eq!(judgement.verdict(), Verdict::Fail);
        let judgement = judge_round(&case, &record(&case, 0, "2 success"));
        assert_eq!(judgement.verdict(), Verdict::Fail);

        let case =
            TestCase::new(2).expect("success = 1, conflict = 1").invariant_that("stored", "result == success").build();
        let mut round = record(&case, 0, "1 conflict, 1 unknown");
        let holds_for = |number| InvariantResult::Depends { holds_for: vec![number], observed: "[[1]]".to_owned() };
        round.invariants = vec![holds_for(1)];
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass, "the invariant tells");
        round.invariants = vec![holds_for(0)];
        assert_eq!(
            judge_round(&case, &round).verdict(),
            Verdict::Inconclusive,
            "nothing was stored, and who knows why"
        );
    }

    #[test]
    fn a_round_that_needs_an_unknown_success_passes_only_if_an_invariant_tells() {
        let case = TestCase::new(2).expect("success = 1, deadlock = 1").invariant("groups stay a DAG").build();
        // Nothing was added, perhaps: then there is no cycle either.
        let mut round = record(&case, 0, "1 deadlock, 1 unknown");
        let judgement = judge_round(&case, &round);
        assert_eq!(judgement.verdict(), Verdict::Inconclusive, "{judgement:?}");
        assert!(judgement.open.unwrap().contains("an invariant that names `success` could"));
        assert_eq!(judge_round(&case, &record(&case, 0, "1 success, 1 unknown")).verdict(), Verdict::Pass);
        round.invariants = vec![InvariantResult::Broken { observed: "a cycle".to_owned() }];
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Inconclusive);
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
        round.invariants = vec![InvariantResult::Undefined { reason: "no such row".to_owned() }];
        let judgement = judge_round(&case, &round);
        assert_eq!(checks(&judgement), [("one stored", "to be evaluated", "no such row")]);
        round.invariants = vec![InvariantResult::Unread { reason: "no answer".to_owned() }];
        let judgement = judge_round(&case, &round);
        assert_eq!(judgement.open.as_deref(), Some("invariant `one stored` was not read: no answer"));
        assert_eq!(
            (judgement.failures.len(), judgement.disturbed.len()),
            (0, 1),
            "that nobody answers is not its fault"
        );
        round.invariants.clear();
        assert_eq!(judge_round(&case, &round).failures[0].observed, "it was never evaluated");
        // What depends on what nobody knows is neither a failure nor a pass.
        let mut round = record(&case, 0, "1 unknown");
        round.invariants = vec![InvariantResult::Undefined { reason: "who knows".to_owned() }];
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Inconclusive);
        round.invariants.clear();
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Fail, "it was never evaluated");
        let mut round = record(&case, 0, "1 success");
        round.invariants = held(&case);
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass);
    }

    #[test]
    fn one_number_of_effects_serves_for_all_checks_at_once() {
        let case = TestCase::new(3).expect("success = \">= 1\", conflict = \"<= 3\"");
        let case = case.invariant_that("a", "result == success").invariant_that("b", "result == success").build();
        let depends =
            |holds_for: &[u64]| InvariantResult::Depends { holds_for: holds_for.to_vec(), observed: "2".into() };
        let mut round = record(&case, 0, "1 conflict, 2 unknown");
        round.invariants = vec![depends(&[0, 2]), depends(&[1, 2])];
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass, "both may have taken effect");
        round.invariants = vec![depends(&[1]), depends(&[2])];
        let judgement = judge_round(&case, &round);
        assert_eq!(judgement.verdict(), Verdict::Fail, "no number fits both");
        assert!(judgement.failures.iter().all(|failure| !failure.is_certain), "{judgement:?}");
        round.invariants = vec![depends(&[0]), InvariantResult::Held];
        let judgement = judge_round(&case, &round);
        assert_eq!(judgement.verdict(), Verdict::Inconclusive, "then nobody succeeded, since both were lost");
        let mut alone = record(&case, 0, "3 unknown");
        alone.invariants = held(&case);
        assert_eq!(judge_round(&case, &alone).verdict(), Verdict::Inconclusive, "of no attempt the end is known");
    }

    #[test]
    fn what_was_cut_before_its_last_request_was_no_success() {
        let two_steps = |case: &mut Case| {
            let step = case.groups[0].steps[0].clone();
            case.groups[0].steps.push(step);
        };
        let case = TestCase::new(2).expect("success = 2").invariant_that("a", "result == success");
        let case = case.change(two_steps).build();
        let mut round = record(&case, 0, "1 success, 1 unknown");
        round.invariants = vec![InvariantResult::Depends { holds_for: vec![1], observed: "2".to_owned() }];
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Fail, "it was cut at the first of two steps");
        round.attempts[1].outcome.step = Some(StepAt::Step(1));
        round.attempts[1].steps[0].step = StepAt::Step(1);
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass, "at the last one");
    }

    #[test]
    fn all_attempts_of_an_outcome_end_where_they_are_expected_to() {
        let at = |at: Option<&str>, code: Option<&str>| {
            let origin = Origin { at: at.map(str::to_owned), code: code.map(str::to_owned) };
            let case = TestCase::new(3).expect("success = 1, conflict = 2");
            case.change(|case| drop(case.checks.expect[0].origins.insert(OutcomeKind::Conflict, origin))).build()
        };
        let judge = |case: &Case| judge_round(case, &record(case, 0, "1 success, 2 conflict"));
        for (step, code) in [(Some("append"), Some("23505")), (Some("append"), None), (None, Some("23505"))] {
            assert_eq!(judge(&at(step, code)).verdict(), Verdict::Pass, "{step:?} {code:?}");
        }
        let judgement = judge(&at(Some("commit"), None));
        assert_eq!(checks(&judgement), [("conflict", "2 at commit", "2, of which 2 at append (23505)")]);
        let case = at(Some("append"), Some("40001"));
        assert_eq!(checks(&judge(&case)), [("conflict", "2 at append (40001)", "2, of which 2 at append (23505)")]);
        let mut mixed = record(&case, 0, "1 success, 2 conflict");
        mixed.attempts[2].outcome.code = "40001".to_owned();
        let judgement = judge_round(&case, &mixed);
        assert_eq!(judgement.failures[0].observed, "2, of which 1 at append (23505)");
        let other = TestCase::new(3).expect("success = 1, conflict = 2").expect("success = 1, conflict = 2");
        let other = other.change(|case| {
            let origin = Origin { at: Some("commit".to_owned()), code: None };
            case.checks.expect[0].origins.insert(OutcomeKind::Conflict, origin);
        });
        assert_eq!(judge(&other.build()).verdict(), Verdict::Pass, "the other alternative takes them from anywhere");
    }

    #[test]
    fn an_attempt_that_did_not_run_is_neither_blamed_nor_missed() {
        let case = TestCase::new(3).expect("success = 1, conflict = 2").build();
        let judge = |outcomes| judge_round(&case, &record(&case, 0, outcomes));
        let short = judge("1 success, 1 conflict, 1 disconnected");
        assert_eq!(short.verdict(), Verdict::Inconclusive);
        assert!(short.open.unwrap().starts_with("1 attempt lost its connection"));
        assert_eq!(judge("2 success, 1 disconnected").verdict(), Verdict::Fail, "one too many all the same");
        assert_eq!(
            checks(&judge("2 success, 1 disconnected")),
            [("success", "1", "2")],
            "what is missing is not blamed"
        );
        let case = TestCase::new(3).expect("success = 1, conflict = \">= 1\"").build();
        let round = record(&case, 0, "1 success, 1 conflict, 1 disconnected");
        assert_eq!(judge_round(&case, &round).verdict(), Verdict::Pass, "the counts fit without it");
        let case = TestCase::new(3).expect("success = 2, disconnected = 1").build();
        let judge = |outcomes| judge_round(&case, &record(&case, 0, outcomes)).verdict();
        assert_eq!(judge("2 success, 1 disconnected"), Verdict::Pass, "it is expected");
        assert_eq!((judge("3 success"), judge("1 success, 2 disconnected")), (Verdict::Fail, Verdict::Fail));
    }

    #[test]
    fn an_invariant_may_be_broken_for_want_of_what_did_not_run_unless_it_counts_successes() {
        let judge = |that: &str, outcomes: &str| {
            let case = TestCase::new(3).invariant_that("stored", that).build();
            let mut round = record(&case, 0, outcomes);
            round.invariants = vec![InvariantResult::Broken { observed: "2".to_owned() }];
            judge_round(&case, &round).verdict()
        };
        assert_eq!(judge("result == 3", "2 success, 1 disconnected"), Verdict::Inconclusive);
        assert_eq!(judge("result == success", "2 success, 1 disconnected"), Verdict::Fail);
        assert_eq!(judge("result == success + conflict", "2 success, 1 disconnected"), Verdict::Inconclusive);
        assert_eq!(judge("result == 3", "2 success, 1 unknown"), Verdict::Inconclusive);
        assert_eq!(judge("result == success", "2 success, 1 unknown"), Verdict::Fail, "whatever became of it");
        assert_eq!(judge("result == success + conflict", "2 success, 1 unknown"), Verdict::Inconclusive);
        assert_eq!(judge("result == 3", "2 success, 1 conflict"), Verdict::Fail);
    }

    /// What all ways to give each unknown attempt an end make of the checks, if it can have been that: whether some way makes
    /// all hold at once, and whether enough of them succeeded in another way that they hold only for want of what was lost.
    fn some_end_fits(case: &Case, record: &RoundRecord, cut_early: &[bool]) -> (bool, bool) {
        let lost = OutcomeKind::Disconnected;
        let kinds = [OutcomeKind::Success, OutcomeKind::Conflict, OutcomeKind::Busy, OutcomeKind::Unknown, lost];
        let unknown: Vec<usize> =
            (0..record.attempts.len()).filter(|it| record.attempts[*it].outcome.kind == OutcomeKind::Unknown).collect();
        let (mut hold, mut open) = (BTreeSet::new(), BTreeSet::new());
        for way in 0..kinds.len().pow(unknown.len() as u32) {
            let mut ends: Vec<OutcomeKind> = record.attempts.iter().map(|attempt| attempt.outcome.kind).collect();
            for (position, attempt) in unknown.iter().enumerate() {
                ends[*attempt] = kinds[way / kinds.len().pow(position as u32) % kinds.len()];
            }
            if unknown.iter().any(|it| ends[*it] == OutcomeKind::Success && cut_early[*it]) {
                continue;
            }
            let took_effect = unknown.iter().filter(|it| ends[**it] == OutcomeKind::Success).count() as u64;
            let of = |group: Option<usize>| -> Tally {
                let is_in = |worker: &usize| group.is_none_or(|group| case.workers[*worker].group == group);
                (0..ends.len()).filter(is_in).map(|worker| ends[worker]).collect()
            };
            let fits = |it: &Expectation, tally: &Tally, forgives: bool| {
                OutcomeKind::ALL.into_iter().all(|kind| {
                    let CountRange { low, high } = allowed(it, kind);
                    let low = if forgives && tally.of(lost) > 0 { 0 } else { low };
                    CountRange { low, high }.contains(tally.of(kind))
                })
            };
            let counts = |forgives| {
                let expect = &case.checks.expect;
                let whole = expect.is_empty() || expect.iter().any(|it| fits(it, &of(None), forgives));
                whole && case.checks.by_group.iter().all(|(group, it)| fits(it, &of(Some(*group)), forgives))
            };
            let is_missing = took_effect < unknown.len() as u64;
            let invariants = |forgives: bool| {
                let results = case.checks.invariants.iter().zip(&record.invariants);
                results.into_iter().all(|(invariant, result)| {
                    let may_miss = forgives && is_missing && !invariant.that.variables().contains("success");
                    may_miss || result.holds_for(took_effect) == Some(true)
                })
            };
            if counts(false) && invariants(false) {
                hold.insert(took_effect);
            }
            if counts(true) && invariants(true) {
                open.insert(took_effect);
            }
        }
        (!hold.is_empty(), open.difference(&hold).next().is_some())
    }

    fn any_expectation() -> impl Strategy<Value = String> {
        let range = prop_oneof![
            (0u64..3).prop_map(|count| count.to_string()),
            (0u64..3).prop_map(|count| format!("\">= {count}\"")),
            (0u64..3).prop_map(|count| format!("\"<= {count}\"")),
        ];
        let counts =
            prop::collection::btree_map(prop::sample::select(vec!["success", "conflict", "busy"]), range, 1..=3);
        counts.prop_map(|counts| {
            let counts: Vec<String> = counts.iter().map(|(kind, range)| format!("{kind} = {range}")).collect();
            counts.join(", ")
        })
    }

    const THAT: [&str; 2] = ["result == success", "result == 1"];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_verdict_is_that_of_all_ends_that_the_unknown_attempts_can_have_had(
            expect in prop::collection::vec(any_expectation(), 0..=2),
            group in prop::option::of(any_expectation()),
            ends in prop::collection::vec((0usize..4, any::<bool>()), 4),
            held in prop::collection::vec(prop::collection::vec(any::<bool>(), 5), 0..=2),
        ) {
            let two_steps = |case: &mut Case| {
                let step = case.groups[0].steps[0].clone();
                case.groups.iter_mut().for_each(|group| group.steps.push(step.clone()));
            };
            let case = TestCase::groups(&[("adder", 2), ("remover", 2)]).change(two_steps);
            let case = expect.iter().fold(case, |case, text| case.expect(text));
            let case = group.iter().fold(case, |case, text| case.by_group(1, text));
            let case = held.iter().enumerate().fold(case, |case, (index, _)| case.invariant_that(&index.to_string(), THAT[index])).build();
            let mut round = record(&case, 0, "4 success");
            let kinds = [OutcomeKind::Success, OutcomeKind::Conflict, OutcomeKind::Busy, OutcomeKind::Unknown];
            let mut cut_early = Vec::new();
            for (attempt, (kind, early)) in round.attempts.iter_mut().zip(ends) {
                let step = StepAt::Step(u32::from(!early));
                attempt.outcome = Outcome { kind: kinds[kind], step: (kind > 0).then_some(step), ..Outcome::success() };
                attempt.steps[0].step = step;
                cut_early.push(early);
            }
            let unknown = round.tally().of(OutcomeKind::Unknown);
            round.invariants = held
                .iter()
                .zip(THAT)
                .map(|(held, that)| {
                    // One that does not count the successes does not depend on them.
                    let at = |number: u64| held[if that.contains("success") { number as usize } else { 0 }];
                    let holds_for: Vec<u64> = (0..=unknown).filter(|number| at(*number)).collect();
                    match holds_for.len() as u64 {
                        0 => InvariantResult::Broken { observed: String::new() },
                        all if all == unknown + 1 => InvariantResult::Held,
                        _ => InvariantResult::Depends { holds_for, observed: String::new() },
                    }
                })
                .collect();
            let verdict = judge_round(&case, &round).verdict();
            let (fits, may_be_missing) = some_end_fits(&case, &round, &cut_early);
            // In a group the lack of one is forgiven although it may have been in the other.
            prop_assert!(verdict != Verdict::Fail || !(fits || may_be_missing), "{:?}", judge_round(&case, &round));
            prop_assert!(verdict != Verdict::Pass || fits);
            let is_known = unknown == 0 || (unknown < 4 && !held.is_empty());
            if case.checks.by_group.is_empty() {
                prop_assert_eq!(verdict == Verdict::Fail, !(fits || may_be_missing));
                if is_known && fits && !may_be_missing {
                    prop_assert_eq!(verdict, Verdict::Pass);
                }
                if may_be_missing && !expect.is_empty() {
                    prop_assert_eq!(verdict, Verdict::Inconclusive);
                }
            }
        }
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
