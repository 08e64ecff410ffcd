//! Cases that only one side raced, with what became of them on both.

use crate::report::schema::*;

/// The cases of these ids, which are only in BASE or only in HEAD.
pub(super) fn compare(base: &Report, head: &Report, ids: &[String]) -> Vec<UnpairedCase> {
    ids.iter().map(|id| UnpairedCase { case: id.clone(), base: state(base, id), head: state(head, id) }).collect()
}

fn state(report: &Report, id: &str) -> CaseState {
    let raced = report.scenarios.iter().flat_map(|scenario| &scenario.cases).find(|case| case.id == id);
    let skipped = report.skipped.iter().find(|skipped| skipped.case == id);
    let (state, reason) = match (raced, skipped) {
        (Some(case), _) => {
            let state = match case.verdict {
                VerdictWord::Pass => CaseStateWord::Pass,
                VerdictWord::Inconclusive => CaseStateWord::Inconclusive,
                VerdictWord::Fail => CaseStateWord::Fail,
            };
            (state, case.reasons.first().cloned())
        }
        (None, Some(skipped)) => (CaseStateWord::Skipped, Some(skipped.reason.clone())),
        (None, None) if report.not_raced.iter().any(|other| other == id) => (CaseStateWord::NotRaced, None),
        (None, None) => (CaseStateWord::Absent, None),
    };
    CaseState { state, reason }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{USUAL, compared, run};
    use super::super::{FailOn, Options};
    use super::*;
    use crate::report::{Samples, example};

    /// A run with one more case, which ended in these rounds.
    fn with(rounds: &[&str]) -> (Report, Samples) {
        let (mut report, samples) = run(&USUAL, 1.0, 2);
        let mut case = example::case(rounds, &["3 success"]);
        case.id = "race[backend=sqlite]".to_owned();
        report.scenarios[0].cases.push(case);
        (report, samples)
    }

    #[test]
    fn a_case_that_only_head_has_and_that_failed_is_a_regression() {
        let base = run(&USUAL, 1.0, 1);
        let failed = compared(&base, &with(&["2 success, 1 conflict"; 3]), &Options::default());
        assert_eq!(failed.verdict, RunVerdictWord::Regression);
        assert!(failed.reasons[0].starts_with("only HEAD has `race[backend=sqlite]`, and it failed ("), "{failed:?}");
        assert_eq!(failed.reasons.len(), 1);
        assert_eq!(failed.unpaired[0].base.state, CaseStateWord::Absent);
        let passed = compared(&base, &with(&["1 success, 2 conflict"; 3]), &Options::default());
        assert_eq!((passed.verdict, passed.unpaired[0].head.state), (RunVerdictWord::Pass, CaseStateWord::Pass));
    }

    #[test]
    fn why_a_case_is_missing_is_told() {
        let (base, mut head) = (with(&["1 success, 2 conflict"; 3]), run(&USUAL, 1.0, 2));
        let state = |head: &(Report, Samples)| compared(&base, head, &Options::default()).unpaired[0].head.clone();
        assert_eq!(state(&head).state, CaseStateWord::Absent);
        head.0.not_raced.push("race[backend=sqlite]".to_owned());
        assert_eq!(state(&head).state, CaseStateWord::NotRaced);
        let reason = "no server was found".to_owned();
        head.0.skipped.push(SkippedCase {
            scenario: "race".to_owned(),
            case: "race[backend=sqlite]".to_owned(),
            reason: reason.clone(),
            remedy: String::new(),
        });
        assert_eq!(state(&head), CaseState { state: CaseStateWord::Skipped, reason: Some(reason) });
    }

    #[test]
    fn controls_and_invariants_that_vanished_are_a_change() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
        let case = &mut head.0.scenarios[0].cases[0];
        case.controls.clear();
        case.race.invariants.clear();
        assert_eq!(compared(&base, &head, &Options::default()).verdict, RunVerdictWord::Pass);
        let change = Options { fail_on: [FailOn::Change].into(), ..Options::default() };
        let gone = compared(&base, &head, &change);
        assert_eq!(gone.verdict, RunVerdictWord::Regression);
        let id = "race[backend=memory]";
        let told = [
            format!("`{id}`: only BASE has control `no guard`"),
            format!("`{id}`: only BASE has invariant `one event stored`"),
        ];
        assert_eq!(gone.reasons, told);
    }
}
