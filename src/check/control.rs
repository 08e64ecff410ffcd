//! Controls: broken variants that the scenario's checks must catch.

use crate::plan::{Case, Control};

use super::case::{duration, judge_latency};
use super::round::RoundJudgement;
use super::tally::CaseTally;
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
        /// Rounds raced.
        rounds: u64,
    },
    /// It had something that would make any check break, or too little to judge: the case fails.
    Invalid {
        /// The round, if it was one.
        round: Option<u64>,
        /// What it had.
        reason: String,
    },
    /// Only a growth check can still catch it, when all cases of the scenario are over.
    AwaitsGrowth,
}

/// Judges a control's round: `Some` ends the control. What would break any check makes it invalid, whatever broke beside it.
pub fn judge_control_round(control: &Control, judgement: &RoundJudgement) -> Option<ControlVerdict> {
    if !judgement.invalid_as_control.is_empty() {
        let reason = judgement.invalid_as_control.join("; ");
        return Some(ControlVerdict::Invalid { round: Some(judgement.round), reason });
    }
    let caught = judgement.failures.iter().find(|failure| control.breaks.contains(&failure.check))?;
    Some(ControlVerdict::Caught {
        round: Some(judgement.round),
        check: caught.check.clone(),
        expected: caught.expected.clone(),
        observed: caught.observed.clone(),
    })
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
    match unsupported {
        Some(reason) => ControlVerdict::Invalid { round: None, reason },
        None => ControlVerdict::Survived { rounds: tally.rounds },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::fixture::{TestCase, record};
    use crate::check::judge_round;
    use crate::engine::record::{InvariantResult, Missing};

    fn judge(case: &Case, outcomes: &str) -> Option<ControlVerdict> {
        judge_control_round(case.control.as_ref().unwrap(), &judge_round(case, &record(case, 3, outcomes)))
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
        for outcomes in [
            "3 crash",
            "2 success, 1 crash",
            "3 success",
            "2 success, 1 broken-barrier",
            "2 success, 1 unknown",
            "2 success, 1 disconnected",
        ] {
            let invalid = matches!(judge(&case, outcomes), Some(ControlVerdict::Invalid { round: Some(3), .. }));
            assert_eq!(invalid, outcomes != "3 success", "{outcomes}");
        }
        let mut broken = record(&case, 3, "3 success");
        broken.barriers[0].missing.push(Missing { worker: 1, step: None, for_ns: 1, waits_for: Vec::new() });
        let verdict = judge_control_round(case.control.as_ref().unwrap(), &judge_round(&case, &broken));
        assert_eq!(
            verdict,
            Some(ControlVerdict::Invalid { round: Some(3), reason: "barrier `start` broke".to_owned() })
        );
    }

    #[test]
    fn a_control_is_never_caught_beside_an_invariant_that_was_not_evaluated() {
        let case =
            TestCase::new(1).expect("success = 0").invariant("one stored").control(&["success", "one stored"]).build();
        let control = case.control.as_ref().unwrap();
        let mut round = record(&case, 3, "1 success");
        round.invariants = vec![InvariantResult::Unevaluated { reason: "no such table".to_owned() }];
        assert!(matches!(
            judge_control_round(control, &judge_round(&case, &round)),
            Some(ControlVerdict::Invalid { .. })
        ));
        round.invariants = vec![InvariantResult::Broken { observed: "2".to_owned() }];
        assert!(matches!(
            judge_control_round(control, &judge_round(&case, &round)),
            Some(ControlVerdict::Caught { .. })
        ));
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
        assert_eq!(judge_control(&fast, &raced(&fast, 5)), ControlVerdict::Survived { rounds: 5 });
        let thin = TestCase::new(2).latency(0.99, 100).control(&["append.p99"]).build();
        assert!(matches!(judge_control(&thin, &raced(&thin, 5)), ControlVerdict::Invalid { round: None, .. }));
    }
}
