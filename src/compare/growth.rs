//! Growth checks on both sides: they are judged over the cases of a scenario, so that no case's verdict tells of them.

use crate::judge::Verdict;
use crate::report::schema::*;

/// A growth check with the scenario that it is of.
type Judged<'a> = (&'a ScenarioReport, &'a GrowthReport);

/// Every growth check that either side judged: in HEAD's order, then those that only BASE has.
pub(super) fn compare(base: &Report, head: &Report) -> Vec<GrowthComparison> {
    let (mut before, after) = (judged(base), judged(head));
    let mut compared: Vec<GrowthComparison> = Vec::new();
    for (scenario, growth) in after {
        let same = before.iter().position(|(other, it)| {
            other.name == scenario.name
                && (&it.name, &it.control, &it.others) == (&growth.name, &growth.control, &growth.others)
        });
        let base = same.map(|place| before.remove(place).1);
        compared.push(pair(scenario, growth, base, Some(growth)));
    }
    compared.extend(before.into_iter().map(|(scenario, growth)| pair(scenario, growth, Some(growth), None)));
    compared
}

fn judged(report: &Report) -> Vec<Judged<'_>> {
    let scenarios = report.scenarios.iter();
    scenarios.flat_map(|scenario| scenario.growth.iter().map(move |growth| (scenario, growth))).collect()
}

/// `growth` is the one of the two that names both.
fn pair(
    scenario: &ScenarioReport,
    growth: &GrowthReport,
    base: Option<&GrowthReport>,
    head: Option<&GrowthReport>,
) -> GrowthComparison {
    let side = |growth: &GrowthReport| GrowthSide {
        verdict: growth.verdict,
        exponent: growth.exponent,
        at_most: growth.at_most,
        reason: growth.reason.clone(),
    };
    let verdict = |side: Option<&GrowthReport>| side.map(|growth| Verdict::from(growth.verdict));
    GrowthComparison {
        scenario: scenario.name.clone(),
        name: growth.name.clone(),
        control: growth.control.clone(),
        metric: growth.metric.clone(),
        over: growth.over.clone(),
        others: growth.others.clone(),
        base: base.map(side),
        head: head.map(side),
        change: change(growth.control.is_some(), verdict(base), verdict(head)),
    }
}

/// A control is worse only when it was caught and no longer is: as elsewhere, how it is not caught makes no difference.
/// A check that only HEAD has is as bad as what it found.
fn change(control: bool, base: Option<Verdict>, head: Option<Verdict>) -> OutcomeChangeWord {
    match (base, head) {
        (None, Some(Verdict::Fail)) => OutcomeChangeWord::Worse,
        (None, _) | (_, None) => OutcomeChangeWord::Same,
        (Some(before), Some(after)) if after > before && (!control || before == Verdict::Pass) => {
            OutcomeChangeWord::Worse
        }
        (Some(before), Some(after)) if after < before => OutcomeChangeWord::Better,
        (Some(_), Some(_)) => OutcomeChangeWord::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{USUAL, compared, run};
    use super::super::{FailOn, Options};
    use super::*;

    /// A run whose one growth check ended so.
    fn grown(verdict: VerdictWord, exponent: f64, control: Option<&str>) -> (Report, crate::report::Samples) {
        let (mut report, samples) = run(&USUAL, 1.0, 1);
        let growth = &mut report.scenarios[0].growth[0];
        (growth.verdict, growth.exponent, growth.control) = (verdict, Some(exponent), control.map(str::to_owned));
        growth.reason = (verdict == VerdictWord::Fail).then(|| format!("grows like events^{exponent}"));
        (report, samples)
    }

    fn change() -> Options {
        Options { fail_on: [FailOn::Change].into(), ..Options::default() }
    }

    #[test]
    fn a_growth_that_fails_now_is_a_regression() {
        let (good, bad) = (grown(VerdictWord::Pass, 0.0, None), grown(VerdictWord::Fail, 1.0, None));
        let worse = compared(&good, &bad, &Options::default());
        assert_eq!(worse.verdict, RunVerdictWord::Regression);
        assert_eq!(worse.reasons, ["growth `lookup is O(1)` is worse: pass became fail (grows like events^1)"]);
        let growth = &worse.growth[0];
        assert_eq!(growth.base.as_ref().unwrap().exponent, Some(0.0));
        assert_eq!(growth.head.as_ref().unwrap().exponent, Some(1.0));
        assert_eq!(compared(&bad, &good, &Options::default()).verdict, RunVerdictWord::Pass);
        assert_eq!(compared(&bad, &good, &change()).verdict, RunVerdictWord::Regression);
        assert_eq!(compared(&bad, &bad.clone(), &Options { force: true, ..change() }).verdict, RunVerdictWord::Pass);
    }

    #[test]
    fn a_control_whose_growth_is_no_longer_caught_is_a_regression() {
        let caught = grown(VerdictWord::Pass, 1.0, Some("scan"));
        let survived = grown(VerdictWord::Fail, 0.0, Some("scan"));
        let open = grown(VerdictWord::Inconclusive, 0.0, Some("scan"));
        let worse = compared(&caught, &survived, &Options::default());
        assert_eq!(worse.verdict, RunVerdictWord::Regression);
        assert!(worse.reasons[0].starts_with("growth `lookup is O(1)` of control `scan` is worse"), "{worse:?}");
        assert_eq!(compared(&caught, &open, &Options::default()).verdict, RunVerdictWord::Regression);
        assert_eq!(compared(&open, &survived, &Options::default()).verdict, RunVerdictWord::Pass);
    }

    #[test]
    fn growths_are_paired_by_control_and_axes() {
        let (good, mut other) = (grown(VerdictWord::Pass, 0.0, None), grown(VerdictWord::Fail, 1.0, None));
        other.0.scenarios[0].growth[0].others.insert("backend".to_owned(), "sqlite".into());
        let alone = compared(&good, &other, &Options::default());
        assert_eq!(alone.growth.len(), 2, "{:?}", alone.growth);
        assert_eq!(alone.verdict, RunVerdictWord::Regression, "what only HEAD has fails");
        assert_eq!(compared(&other, &good, &Options::default()).verdict, RunVerdictWord::Pass);
        let gone = compared(&other, &good, &change());
        assert!(
            gone.reasons.contains(&"only BASE has growth `lookup is O(1)` [backend=sqlite]".to_owned()),
            "{gone:?}"
        );
    }

    #[test]
    fn a_run_that_failed_after_one_that_passed_is_never_a_pass() {
        let (base, mut head) = (run(&USUAL, 1.0, 1), run(&USUAL, 1.0, 2));
        head.0.verdict = RunVerdictWord::Fail;
        let comparison = compared(&base, &head, &Options::default());
        assert_eq!(comparison.verdict, RunVerdictWord::Regression);
        assert_eq!(comparison.reasons, ["the run passed, and fails now"]);
    }
}
