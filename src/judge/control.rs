//! Controls: broken variants that the scenario's checks must catch.

use std::collections::BTreeSet;
use std::fmt;

use crate::model::Case;
use crate::model::record::{Attempt, Outcome, RoundRecord};
use crate::outcome::OutcomeKind;

use super::case::{count, duration, judge_latency};
use super::round::{Failure, FailureKind, RoundJudgement, judge_round};
use super::tally::{CaseTally, step_name};
use super::verdict::Verdict;

/// How a control of one case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ControlVerdict {
    /// A check that it names was broken. That is what controls are for.
    Caught {
        /// The catching round; `None` when a latency over all rounds caught it.
        round: Option<u64>,
        /// The check that broke.
        check: String,
        /// What was expected of it.
        expected: String,
        /// What was observed.
        observed: String,
    },
    /// It ran its rounds and no check that it names broke: the case fails.
    Survived {
        /// Rounds raced, without those that were disturbed.
        rounds: u64,
        /// The checks that broke all the same.
        broke: Vec<Broke>,
    },
    /// It had something that would make any check break, or too little to judge: the case fails.
    Invalid {
        /// The round, if it was one.
        round: Option<u64>,
        /// What it had.
        reason: String,
    },
    /// Too many of its rounds were disturbed from outside to show whether it is caught: the
    /// case is inconclusive.
    Disturbed {
        /// Rounds raced.
        rounds: u64,
        /// How many of them were disturbed.
        disturbed: u64,
        /// What disturbed the first of them.
        reason: String,
    },
    /// Only a growth check can still catch it, when all cases of the scenario are over.
    AwaitsGrowth,
}

/// A check that broke in rounds of a control that does not name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broke {
    /// In how many rounds.
    pub rounds: u64,
    /// The first of those that were kept.
    pub round: u64,
    /// What broke in it.
    pub failure: Failure,
}

impl fmt::Display for Broke {
    /// `rejected` in 10 rounds (race.toml:14:1; in round 0 expected 1, observed 0)
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broke { rounds, round, failure: Failure { check, group, expected, observed, place, .. } } = self;
        let group = group.as_ref().map(|group| format!("{group}: ")).unwrap_or_default();
        let place = place.as_ref().map(|place| format!("{place}; ")).unwrap_or_default();
        let rounds = count(*rounds, "round");
        write!(f, "`{group}{check}` in {rounds} ({place}in round {round} expected {expected}, observed {observed})")
    }
}

/// What a case itself produced: the class and the code of each end of an attempt.
pub type Ends = BTreeSet<(OutcomeKind, String)>;

/// Judges a control's round: `Some` ends the control. What would break any check makes it invalid, whatever broke beside it; a
/// round that was disturbed is set aside. A catch counts only if it stands without the attempts that ended as none of the
/// case's own did: a typo in the control is not a race. `case` is the control's own case, `ends` are those of the case that it
/// belongs to.
pub fn judge_control_round(
    case: &Case,
    record: &RoundRecord,
    judgement: &RoundJudgement,
    ends: &Ends,
) -> Option<ControlVerdict> {
    let breaks = case.control.as_ref().map_or(&[][..], |control| &control.breaks);
    if !judgement.invalid_as_control.is_empty() {
        let reason = judgement.invalid_as_control.join("; ");
        return Some(ControlVerdict::Invalid { round: Some(judgement.round), reason });
    }
    if !judgement.disturbed.is_empty() {
        return None;
    }
    let caught = catching(judgement, breaks)?;
    if asked_nothing(case, record) {
        let reason = format!("`{}` broke although no worker asked a target for anything", caught.check);
        return Some(ControlVerdict::Invalid { round: Some(judgement.round), reason });
    }
    let has_success = judgement.tally.of(OutcomeKind::Success) > 0;
    let is_success = |failure: &Failure| failure.check == OutcomeKind::Success.as_str();
    let lacks_success_alone = !has_success && all_catching(judgement, breaks).all(is_success);
    let foreign = Foreign { breaks, ends, has_success, lacks_success_alone };
    let ended_so: Vec<&Attempt> = record.attempts.iter().filter(|attempt| foreign.is(&attempt.outcome)).collect();
    let Some(first) = ended_so.first() else { return Some(caught_by(judgement, caught)) };
    let mut without = record.clone();
    for attempt in &mut without.attempts {
        if foreign.is(&attempt.outcome) {
            // As if it had not run: its connection was lost before anything took effect.
            attempt.outcome.kind = OutcomeKind::Disconnected;
        }
    }
    let stands = judge_round(case, &without);
    if let Some(still) = catching(&stands, breaks) {
        let as_it_was = judgement.failures.iter().find(|failure| failure.check == still.check);
        return Some(caught_by(judgement, as_it_was.unwrap_or(still)));
    }
    let Outcome { kind, step, code, .. } = &first.outcome;
    let group = case.workers[first.worker].group;
    let at = step.map(|step| format!(" at `{}`", step_name(case, group, step))).unwrap_or_default();
    let code = if code.is_empty() { String::new() } else { format!(" ({code})") };
    let (ended, all) = (ended_so.len(), record.attempts.len());
    let (did, check) = (ended_as(*kind), &caught.check);
    let why = if lacks_success_alone && ends.contains(&(*kind, first.outcome.code.clone())) {
        "and nobody succeeded"
    } else {
        "as none of the case's own did"
    };
    let reason = format!(
        "caught by `{check}` only because {ended} of {all} attempts {did}{code}{at}, {why}; mend the control, or name `{kind}` in its `breaks`"
    );
    Some(ControlVerdict::Invalid { round: Some(judgement.round), reason })
}

/// What attempts did that ended so.
const fn ended_as(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Success => "succeeded",
        OutcomeKind::Conflict => "met a conflict",
        OutcomeKind::Deadlock => "met a deadlock",
        OutcomeKind::Busy => "found a lock taken",
        OutcomeKind::Serialization => "were not serialized",
        OutcomeKind::Duplicate => "were duplicates",
        OutcomeKind::Rejected => "were rejected",
        OutcomeKind::Disconnected => "were disconnected",
        OutcomeKind::Timeout => "timed out",
        OutcomeKind::Unknown => "ended unknown",
        OutcomeKind::BrokenBarrier => "met a broken barrier",
        OutcomeKind::Crash => "crashed",
    }
}

/// The first check named in `breaks` that is broken for certain.
fn catching<'a>(judgement: &'a RoundJudgement, breaks: &[String]) -> Option<&'a Failure> {
    all_catching(judgement, breaks).next()
}

/// The checks named in `breaks` that are broken for certain.
fn all_catching<'a>(judgement: &'a RoundJudgement, breaks: &[String]) -> impl Iterator<Item = &'a Failure> {
    let catches = |failure: &&Failure| failure.is_certain && failure.kind != FailureKind::Undefined;
    judgement.failures.iter().filter(catches).filter(|failure| breaks.contains(&failure.check))
}

/// Whether no step of any worker went to a target. A stored round does not hold its steps.
fn asked_nothing(case: &Case, record: &RoundRecord) -> bool {
    let asks = |attempt: &Attempt| {
        let group = &case.groups[case.workers[attempt.worker].group];
        attempt.steps.iter().any(|it| group.step(it.step).is_none_or(|step| case.request(step).is_some()))
    };
    record.attempts.iter().any(|attempt| !attempt.steps.is_empty()) && !record.attempts.iter().any(asks)
}

/// Which ends of attempts a mistake in the control may have brought about.
struct Foreign<'a> {
    breaks: &'a [String],
    ends: &'a Ends,
    has_success: bool,
    /// Whether nothing else broke than that nobody succeeded: a statement that finds nothing looks like this.
    lacks_success_alone: bool,
}

impl Foreign<'_> {
    /// Whether the case itself never had such an end, and the control does not name it either. Where somebody succeeded, a
    /// refusal that only a rival causes is the race's own. Where nobody did, no rival won, whatever the refusal is called.
    fn is(&self, outcome: &Outcome) -> bool {
        let kind = outcome.kind;
        let is_own = self.ends.contains(&(kind, outcome.code.clone()));
        let may_be_a_mistake = match kind {
            OutcomeKind::Success | OutcomeKind::Unknown => false,
            OutcomeKind::Conflict
            | OutcomeKind::Deadlock
            | OutcomeKind::Busy
            | OutcomeKind::Serialization
            | OutcomeKind::Duplicate => !self.has_success && (self.lacks_success_alone || !is_own),
            OutcomeKind::Rejected
            | OutcomeKind::Disconnected
            | OutcomeKind::Timeout
            | OutcomeKind::BrokenBarrier
            | OutcomeKind::Crash => !is_own,
        };
        let is_named = || self.breaks.iter().any(|check| check == kind.as_str());
        may_be_a_mistake && !is_named()
    }
}

fn caught_by(judgement: &RoundJudgement, failure: &Failure) -> ControlVerdict {
    ControlVerdict::Caught {
        round: Some(judgement.round),
        check: failure.check.clone(),
        expected: failure.expected.clone(),
        observed: failure.observed.clone(),
    }
}

/// Whether enough rounds of a control were raced undisturbed, or another may still be: each disturbed round is raced again
/// once.
pub fn has_control_rounds_left(case: &Case, tally: &CaseTally) -> bool {
    tally.rounds - tally.disturbed < case.rounds && tally.rounds < case.rounds.saturating_mul(2)
}

/// Judges a control that no round ended, after all its rounds. `case` is the control's own case.
pub fn judge_control(case: &Case, tally: &CaseTally) -> ControlVerdict {
    let breaks = case.control.as_ref().map_or(&[][..], |control| &control.breaks);
    let mut unsupported = None;
    for bound in case.checks.latency.iter().filter(|bound| breaks.contains(&bound.key)) {
        let check = judge_latency(bound, tally);
        match check.observed {
            Some(observed) if check.verdict == Verdict::Fail => {
                return ControlVerdict::Caught {
                    round: None,
                    check: check.key,
                    expected: format!("at most {}", duration(check.at_most)),
                    observed: duration(observed),
                };
            }
            Some(_) => {}
            None => unsupported = Some(check.too_few()),
        }
    }
    if case.checks.growth.iter().any(|growth| breaks.contains(&growth.name)) {
        return ControlVerdict::AwaitsGrowth;
    }
    if let Some(reason) = unsupported {
        return ControlVerdict::Invalid { round: None, reason };
    }
    let CaseTally { rounds, disturbed, .. } = *tally;
    match &tally.first_disturbed {
        Some((round, what)) if rounds - disturbed < case.rounds => {
            ControlVerdict::Disturbed { rounds, disturbed, reason: format!("in round {round} {what}") }
        }
        _ => ControlVerdict::Survived { rounds: rounds - disturbed, broke: broke(tally) },
    }
}

/// What broke in the rounds of a control that was not caught.
fn broke(tally: &CaseTally) -> Vec<Broke> {
    let first = |(group, check): &(Option<String>, String)| {
        tally.kept.iter().find_map(|kept| {
            let mut failures = kept.judgement.failures.iter();
            let failure = failures.find(|failure| failure.group == *group && failure.check == *check)?;
            Some((kept.judgement.round, failure.clone()))
        })
    };
    let broken = tally.broken.iter().filter_map(|(check, rounds)| {
        let (round, failure) = first(check)?;
        Some(Broke { rounds: *rounds, round, failure })
    });
    broken.collect()
}

impl ControlVerdict {
    /// Why the control proves nothing, as a sentence without the control's name; `None` if it was caught or is still to be.
    pub fn reason(&self) -> Option<String> {
        match self {
            ControlVerdict::Caught { .. } | ControlVerdict::AwaitsGrowth => None,
            ControlVerdict::Survived { rounds, broke } => {
                let broke: Vec<String> = broke.iter().map(Broke::to_string).collect();
                let others = match broke.as_slice() {
                    [] => String::new(),
                    _ => format!("; what broke is not what its `breaks` names: {}", broke.join(", ")),
                };
                Some(format!("was not caught in {}{others}", count(*rounds, "round")))
            }
            ControlVerdict::Invalid { round: Some(round), reason } => {
                Some(format!("is invalid and proves nothing: in round {round} {reason}"))
            }
            ControlVerdict::Invalid { round: None, reason } => Some(format!("is invalid and proves nothing: {reason}")),
            ControlVerdict::Disturbed { rounds, disturbed, reason } => Some(format!(
                "was not caught, and {disturbed} of its {} were disturbed: {reason}",
                count(*rounds, "round")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::fixture::{TestCase, record};
    use crate::judge::judge_round;
    use crate::model::Action;
    use crate::model::record::{InvariantResult, Missing};

    fn judge(case: &Case, outcomes: &str) -> Option<ControlVerdict> {
        judge_as(case, &record(case, 3, outcomes))
    }

    /// As if the case itself had had every end that the fixtures have.
    fn judge_as(case: &Case, record: &RoundRecord) -> Option<ControlVerdict> {
        let ends = OutcomeKind::ALL.map(|kind| (kind, "23505".to_owned())).into();
        judge_control_round(case, record, &judge_round(case, record), &ends)
    }

    #[test]
    fn a_control_is_caught_by_a_check_it_names_and_by_no_other() {
        let case = TestCase::new(2).expect("success = 1, conflict = 1").control(&["success"]).build();
        assert_eq!(judge(&case, "1 success, 1 conflict"), None);
        let caught = ControlVerdict::Caught {
            round: Some(3),
            check: "success".to_owned(),
            expected: "1".to_owned(),
            observed: "2".to_owned(),
        };
        assert_eq!(judge(&case, "2 success"), Some(caught));
        let other = TestCase::new(2).expect("success = 1, conflict = 1").control(&["deadlock"]).build();
        assert_eq!(judge(&other, "2 success"), None, "`success` broke, but the control does not name it");
    }

    #[test]
    fn a_control_is_never_caught_by_a_crash_a_broken_barrier_or_an_unknown() {
        let case =
            TestCase::new(3).expect("success = 1, conflict = 2").control(&["success", "conflict", "crash"]).build();
        for outcomes in ["3 crash", "2 success, 1 crash", "3 success", "2 success, 1 broken-barrier"] {
            let invalid = matches!(judge(&case, outcomes), Some(ControlVerdict::Invalid { round: Some(3), .. }));
            assert_eq!(invalid, outcomes != "3 success", "{outcomes}");
        }
        // These come from outside: another round is raced.
        for outcomes in ["3 disconnected", "2 success, 1 disconnected", "2 success, 1 unknown", "3 unknown"] {
            assert_eq!(judge(&case, outcomes), None, "{outcomes}");
        }
        let mut broken = record(&case, 3, "3 success");
        broken.barriers[0].missing.push(Missing { worker: 1, step: None, for_ns: 1, waits_for: Vec::new() });
        assert_eq!(
            judge_as(&case, &broken),
            Some(ControlVerdict::Invalid { round: Some(3), reason: "barrier `start` broke".to_owned() })
        );
    }

    #[test]
    fn a_control_is_never_caught_beside_an_invariant_that_was_not_evaluated() {
        let case =
            TestCase::new(1).expect("success = 0").invariant("one stored").control(&["success", "one stored"]).build();
        let mut round = record(&case, 3, "1 success");
        round.invariants = vec![InvariantResult::Unread { reason: "no answer".to_owned() }];
        assert_eq!(judge_as(&case, &round), None, "though `success` broke, nobody knows what else did");
        let case = TestCase::new(1).expect("success = 1").invariant("one stored").control(&["one stored"]).build();
        round.invariants = vec![InvariantResult::Undefined { reason: "no such row".to_owned() }];
        assert!(matches!(judge_as(&case, &round), Some(ControlVerdict::Invalid { .. })), "that is not what is broken");
        round.invariants = vec![InvariantResult::Broken { observed: "2".to_owned() }];
        assert!(matches!(judge_as(&case, &round), Some(ControlVerdict::Caught { .. })));
    }

    #[test]
    fn a_control_that_expects_its_unknown_is_caught_by_what_breaks_for_certain() {
        let case = TestCase::new(2).expect("success = 1, unknown = 1").invariant("one stored").control(&["one stored"]);
        let case = case.build();
        let mut round = record(&case, 3, "1 success, 1 unknown");
        round.invariants = vec![InvariantResult::Broken { observed: "2".to_owned() }];
        assert!(matches!(judge_as(&case, &round), Some(ControlVerdict::Caught { .. })));
        round.invariants = vec![InvariantResult::Depends { holds_for: vec![1], observed: "2".to_owned() }];
        assert_eq!(judge_as(&case, &round), None, "it holds if the unknown one took effect");
    }

    #[test]
    fn a_catch_stands_without_the_ends_that_the_case_never_had() {
        let case = TestCase::new(2).expect("success = 1, conflict = 1").control(&["success"]).build();
        let typo = |breaks: &[&str], outcomes: &str, ends: &[(OutcomeKind, &str)]| {
            let case = TestCase::new(2).expect("success = 1, conflict = 1").control(breaks).build();
            let record = record(&case, 3, outcomes);
            let ends = ends.iter().map(|(kind, code)| (*kind, (*code).to_owned())).collect();
            judge_control_round(&case, &record, &judge_round(&case, &record), &ends)
        };
        let own = [(OutcomeKind::Conflict, "23505")];
        let Some(ControlVerdict::Invalid { reason, .. }) = typo(&["success"], "2 rejected", &own) else { panic!() };
        let wanted = "caught by `success` only because 2 of 2 attempts were rejected (23505) at `append`, as none of the case's own did; mend the control, or name `rejected` in its `breaks`";
        assert_eq!(reason, wanted);
        let caught = |verdict| matches!(verdict, Some(ControlVerdict::Caught { .. }));
        assert!(caught(typo(&["success", "rejected"], "2 rejected", &own)), "the control names the outcome");
        let Some(ControlVerdict::Invalid { reason, .. }) = typo(&["success"], "2 conflict", &own) else { panic!() };
        let wanted = "caught by `success` only because 2 of 2 attempts met a conflict (23505) at `append`, and nobody succeeded; mend the control, or name `conflict` in its `breaks`";
        assert_eq!(reason, wanted);
        assert!(caught(typo(&["success", "conflict"], "2 conflict", &own)), "the control names what they met");
        assert!(!caught(typo(&["success"], "2 conflict", &[(OutcomeKind::Conflict, "rows")])), "of another code");
        assert!(caught(typo(&["conflict"], "1 success, 1 busy", &own)), "only a rival makes somebody busy");
        assert!(!caught(typo(&["success"], "2 busy", &own)), "but here nobody won");
        assert!(caught(typo(&["success"], "2 success", &[])), "two succeeded, whatever the others did");
        assert_eq!(judge(&case, "1 success, 1 conflict"), None);
    }

    #[test]
    fn a_control_that_asks_nothing_is_invalid() {
        let case = TestCase::new(2).expect("success = 1, conflict = 1").control(&["success"]);
        let case = case.change(|case| case.groups[0].steps[0].action = Action::Barrier(0)).build();
        let Some(ControlVerdict::Invalid { reason, .. }) = judge(&case, "2 success") else { panic!() };
        assert_eq!(reason, "`success` broke although no worker asked a target for anything");
        let mut stored = record(&case, 3, "2 success");
        stored.attempts.iter_mut().for_each(|attempt| attempt.steps.clear());
        assert!(matches!(judge_as(&case, &stored), Some(ControlVerdict::Caught { .. })), "not known of a stored round");
    }

    #[test]
    fn disturbed_rounds_are_raced_again_once_and_never_count_as_not_caught() {
        let case = TestCase::new(2).expect("success = 1, conflict = 1").control(&["success"]);
        let case = case.change(|case| case.rounds = 3).build();
        let mut tally = CaseTally::new(&case);
        let mut race = |outcomes: &str| {
            let record = record(&case, tally.rounds, outcomes);
            tally.add(&case, &record, &judge_round(&case, &record));
            (has_control_rounds_left(&case, &tally), judge_control(&case, &tally))
        };
        for outcomes in ["1 conflict, 1 disconnected", "1 success, 1 conflict", "1 success, 1 conflict"] {
            assert!(race(outcomes).0, "an undisturbed round is missing");
        }
        let (is_left, verdict) = race("1 conflict, 1 unknown");
        assert!(is_left && matches!(verdict, ControlVerdict::Disturbed { rounds: 4, disturbed: 2, .. }), "{verdict:?}");
        let reason = verdict.reason().unwrap();
        assert!(reason.contains("in round 0 1 of 2 attempts lost their connection"), "{reason}");
        let (is_left, verdict) = race("1 success, 1 conflict");
        assert_eq!((is_left, verdict), (false, ControlVerdict::Survived { rounds: 3, broke: Vec::new() }));
    }

    #[test]
    fn a_control_that_was_not_caught_says_what_broke_in_its_place() {
        let case = TestCase::new(2).expect("success = 1, rejected = 1").control(&["success"]).build();
        let mut tally = CaseTally::new(&case);
        let record = record(&case, 0, "1 success, 1 conflict");
        tally.add(&case, &record, &judge_round(&case, &record));
        let reason = judge_control(&case, &tally).reason().unwrap();
        let wanted = "was not caught in 1 round; what broke is not what its `breaks` names: \
                      `conflict` in 1 round (race.toml:9:1; in round 0 expected 0, observed 1), \
                      `rejected` in 1 round (race.toml:9:1; in round 0 expected 1, observed 0)";
        assert_eq!(reason, wanted);
    }

    #[test]
    fn latencies_are_judged_at_the_end() {
        let raced = |case: &Case, rounds: u64| {
            let mut tally = CaseTally::new(case);
            for round in 0..rounds {
                let record = record(case, round, "2 success");
                tally.add(case, &record, &judge_round(case, &record));
            }
            tally
        };
        // The rounds of the fixture take 0.99 ms and more.
        let slow = TestCase::new(2).latency(0.5, 100).control(&["append.p50"]).build();
        assert!(matches!(judge_control(&slow, &raced(&slow, 5)), ControlVerdict::Caught { round: None, .. }));
        let fast = TestCase::new(2).latency(0.5, 5_000).control(&["append.p50"]).build();
        assert_eq!(judge_control(&fast, &raced(&fast, 5)), ControlVerdict::Survived { rounds: 5, broke: Vec::new() });
        let thin = TestCase::new(2).latency(0.99, 100).control(&["append.p99"]).build();
        assert!(matches!(judge_control(&thin, &raced(&thin, 5)), ControlVerdict::Invalid { round: None, .. }));
    }
}
