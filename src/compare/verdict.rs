//! The verdict of a comparison: what of all that differs fails it.

use super::{FailOn, Options, words};
use crate::judge::RunVerdict;
use crate::report::schema::*;

/// What the parts of a comparison come to so far.
struct Judging<'a> {
    options: &'a Options,
    any_change: bool,
    causes: Vec<RunVerdict>,
    reasons: Vec<String>,
}

/// How the comparison ends, and every reason why it does not pass.
pub(super) fn judge(comparison: &Comparison, options: &Options) -> (RunVerdict, Vec<String>) {
    let mut judging = Judging {
        options,
        any_change: options.fail_on.contains(&FailOn::Change),
        causes: vec![RunVerdict::Pass],
        reasons: Vec::new(),
    };
    for case in &comparison.cases {
        judging.outcomes(case);
        judging.latency(case, comparison.form);
    }
    for growth in &comparison.growth {
        judging.growth(growth);
    }
    judging.one_sided(comparison);
    (RunVerdict::decide(judging.causes), judging.reasons)
}

impl Judging<'_> {
    fn regression(&mut self, reason: String) {
        self.causes.push(RunVerdict::Regression);
        self.reasons.push(reason);
    }

    fn outcomes(&mut self, case: &CaseComparison) {
        let (id, outcomes) = (&case.case, &case.outcomes);
        let reasons = || outcomes.reasons.join("; ");
        match outcomes.change {
            OutcomeChangeWord::Worse => self.regression(format!("`{id}` is worse: {}", reasons())),
            OutcomeChangeWord::Changed if outcomes.weak && !self.any_change => {}
            OutcomeChangeWord::Changed => self.regression(format!("`{id}` ends otherwise: {}", reasons())),
            OutcomeChangeWord::Better if self.any_change => {
                self.regression(format!("`{id}` is better, which is a change: {}", reasons()));
            }
            OutcomeChangeWord::Same | OutcomeChangeWord::Better => {}
        }
    }

    fn latency(&mut self, case: &CaseComparison, form: FormWord) {
        let fails = form == FormWord::Live || self.options.fail_on.contains(&FailOn::Regression) || self.any_change;
        for metric in case.latency.iter().filter(|metric| metric.gate) {
            let (id, name, effect) = (&case.case, &metric.metric, words::effect(metric));
            match metric.change {
                ChangeWord::Regressed if fails => self.regression(format!("`{id}`: {name} regressed, {effect}")),
                ChangeWord::Improved if self.any_change => {
                    self.regression(format!("`{id}`: {name} improved, which is a change, {effect}"));
                }
                ChangeWord::Inconclusive if self.options.fail_on.contains(&FailOn::Inconclusive) => {
                    self.causes.push(RunVerdict::Inconclusive);
                    self.reasons.push(format!("`{id}`: {name} is inconclusive, {effect}"));
                }
                ChangeWord::Regressed | ChangeWord::Improved | ChangeWord::Inconclusive | ChangeWord::Equivalent => {}
            }
        }
    }

    fn growth(&mut self, growth: &GrowthComparison) {
        match growth.change {
            OutcomeChangeWord::Worse => self.regression(words::growth_worse(growth)),
            OutcomeChangeWord::Better if self.any_change => {
                self.regression(format!("{} is better, which is a change", words::growth(growth)));
            }
            _ => {}
        }
    }

    /// What only one side has: a case that failed, and, if any change fails, everything.
    fn one_sided(&mut self, comparison: &Comparison) {
        let failed_alone: Vec<&UnpairedCase> =
            comparison.unpaired.iter().filter(|case| case.head.state == CaseStateWord::Fail).collect();
        for UnpairedCase { case, head, .. } in &failed_alone {
            let why = head.reason.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            self.regression(format!("only HEAD has `{case}`, and it failed{why}"));
        }
        if !self.any_change {
            return;
        }
        for growth in comparison.growth.iter().filter(|growth| growth.base.is_none() || growth.head.is_none()) {
            let side = if growth.base.is_some() { "BASE" } else { "HEAD" };
            self.regression(format!("only {side} has {}", words::growth(growth)));
        }
        for (ids, side) in [(&comparison.only_in_base, "BASE"), (&comparison.only_in_head, "HEAD")] {
            let ids = ids.iter().filter(|id| failed_alone.iter().all(|case| case.case != **id));
            ids.for_each(|id| self.regression(format!("only {side} has `{id}`")));
        }
        for case in &comparison.cases {
            for what in words::one_sided(&case.outcomes) {
                self.regression(format!("`{}`: {what}", case.case));
            }
        }
    }
}
