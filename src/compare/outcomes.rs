//! Counts and verdicts of a case on both sides: exact where one count is expected, tested where counts may vary.

use std::collections::{BTreeMap, BTreeSet};

use super::counts::{self, Trend};
use super::{Pair, mixes, origins, words};
use crate::judge::Verdict;
use crate::report::schema::*;
use crate::report::words::number;
use crate::statistics::{ALPHA, mixes_differ};

/// What was found in a case before the p of its tests are corrected for all tests of the comparison.
pub(super) struct Tested {
    counts: Vec<CountComparison>,
    invariants: Vec<InvariantComparison>,
    mixes: Vec<MixComparison>,
    group_mixes: Vec<MixComparison>,
    mixes_test: Option<TestReport>,
    origins: Vec<OriginComparison>,
}

impl Tested {
    pub(super) fn new(pair: &Pair<'_>, seed: u64) -> Self {
        let (base, head) = (&pair.base.race, &pair.head.race);
        let counts = counts::counts(base, head, seed);
        let invariants = counts::invariants(base, head, seed);
        let mixes = mixes::of_rounds(base, head);
        let group_mixes = match (pair.base_groups, pair.head_groups) {
            (Some(base), Some(head)) => mixes::of_groups(base, head),
            _ => Vec::new(),
        };
        // Who wins may vary also where it is exact how many do; but broken rounds are tested by themselves.
        let broken = counts.iter().any(|count| count.changed || count.broken.is_some());
        let may_vary = counts.iter().any(|count| !count.exact) || group_mixes.len() > 1 && !broken;
        let sorts = if group_mixes.is_empty() { &mixes } else { &group_mixes };
        let sorts: Vec<(u64, u64)> = sorts.iter().map(|mix| (mix.base, mix.head)).collect();
        let p = may_vary.then(|| mixes_differ(&sorts, seed));
        let mixes_test = p.map(|p| TestReport { p, p_corrected: p });
        // What is said of a count need not be said of where it comes from.
        let mut origins = origins::origins(base, head, seed);
        origins.retain(|origin| !counts.iter().any(|count| count.outcome == origin.outcome && count.changed));
        Tested { counts, invariants, mixes, group_mixes, mixes_test, origins }
    }

    /// All tests, always in this order.
    pub(super) fn tests(&mut self) -> impl Iterator<Item = &mut TestReport> {
        let counts = self.counts.iter_mut().filter_map(|count| count.broken.as_mut());
        let invariants = self.invariants.iter_mut().filter_map(|invariant| invariant.broken.as_mut());
        let origins = self.origins.iter_mut().filter_map(|origin| origin.test.as_mut());
        counts.chain(invariants).chain(&mut self.mixes_test).chain(origins)
    }

    /// What the case comes to; `live` when its rounds were raced in turns.
    pub(super) fn compare(self, base: &CaseReport, head: &CaseReport, live: bool) -> OutcomeComparison {
        let controls = controls(base, head);
        let (before, after) = (Verdict::from(base.verdict), Verdict::from(head.verdict));
        let mut reasons = Vec::new();
        if before != after {
            let why =
                head.reasons.first().filter(|_| after > before).map(|why| format!(" ({why})")).unwrap_or_default();
            reasons.push(format!("verdict {before} became {after}{why}"));
        }
        let survivors =
            controls.iter().filter(|control| is_good(control.base) && control.head.is_some() && !is_good(control.head));
        let survivors: Vec<&str> = survivors.map(|control| control.name.as_str()).collect();
        reasons.extend(survivors.iter().map(|name| format!("control `{name}` is no longer caught")));
        let (trends, broken) = self.trends(base.race.rounds, head.race.rounds);
        reasons.extend(broken);
        let mixes = self.mixes_test.as_ref().filter(|test| test.p_corrected < ALPHA);
        reasons.extend(mixes.map(|test| {
            let p = words::p(test.p_corrected);
            format!("rounds end in other mixes of outcomes (p = {p}{})", if live { "" } else { "; sequential: weak" })
        }));
        let mixes_changed = mixes.is_some();
        let is_significant = |origin: &&OriginComparison| {
            origin.changed || origin.test.as_ref().is_some_and(|test| test.p_corrected < ALPHA)
        };
        let moved: Vec<&OriginComparison> = self.origins.iter().filter(is_significant).collect();
        reasons.extend(moved.iter().map(|origin| words::origin(origin, &base.race, &head.race)));
        let has_moved = moved.iter().any(|origin| origin.changed);
        let mut weak = false;
        let change = if after > before || !survivors.is_empty() {
            OutcomeChangeWord::Worse
        } else if after < before {
            OutcomeChangeWord::Better
        } else if trends.contains(&Trend::More) {
            OutcomeChangeWord::Changed
        } else if trends.contains(&Trend::Fewer) {
            OutcomeChangeWord::Better
        } else if has_moved {
            OutcomeChangeWord::Changed
        } else if mixes_changed || !moved.is_empty() {
            // Rounds of one run resemble each other more than those of another time.
            weak = !live;
            OutcomeChangeWord::Changed
        } else {
            OutcomeChangeWord::Same
        };
        OutcomeComparison {
            change,
            weak,
            reasons,
            base_verdict: base.verdict,
            head_verdict: head.verdict,
            counts: self.counts,
            invariants: self.invariants,
            mixes: self.mixes,
            group_mixes: self.group_mixes,
            p: self.mixes_test.as_ref().map(|test| test.p),
            p_corrected: self.mixes_test.as_ref().map(|test| test.p_corrected),
            origins: self.origins,
            controls,
        }
    }

    /// Where counts and invariants went, and what there is to say of those that changed.
    fn trends(&self, rounds: u64, head_rounds: u64) -> (BTreeSet<Trend>, Vec<String>) {
        let (mut trends, mut reasons) = (BTreeSet::new(), Vec::new());
        let mut note = |changed, test, (broke, breaks), told: &dyn Fn() -> String| {
            let trend = counts::trend(changed, test, (broke, rounds), (breaks, head_rounds));
            if trend != Trend::Same {
                trends.insert(trend);
                reasons.push(told());
            }
        };
        let share = |broke: u64, rounds: u64| format!("{broke} of {}", number(rounds, "round"));
        for count in &self.counts {
            let broken = |side: &Option<SideCount>| side.as_ref().map_or(0, |side| side.rounds_broken);
            let both = (broken(&count.base), broken(&count.head));
            note(count.changed, count.broken.as_ref(), both, &|| match &count.broken {
                Some(test) if !count.changed => words::broken_count(count, test, rounds, head_rounds),
                _ => counts::told(count, rounds, head_rounds),
            });
        }
        for invariant in &self.invariants {
            let both = (invariant.base.unwrap_or(0), invariant.head.unwrap_or(0));
            note(invariant.changed, invariant.broken.as_ref(), both, &|| {
                let (was, is) = (share(both.0, rounds), share(both.1, head_rounds));
                format!("invariant `{}` was broken in {was}, and is in {is}", invariant.name)
            });
        }
        (trends, reasons)
    }
}

/// The controls that ended otherwise, or that one side does not have.
fn controls(base: &CaseReport, head: &CaseReport) -> Vec<ControlComparison> {
    let verdicts = |case: &CaseReport| -> BTreeMap<String, ControlVerdictWord> {
        case.controls.iter().map(|control| (control.name.clone(), control.verdict)).collect()
    };
    let (before, after) = (verdicts(base), verdicts(head));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let compared = names.into_iter().map(|name| ControlComparison {
        name: name.clone(),
        base: before.get(name).copied(),
        head: after.get(name).copied(),
    });
    compared.filter(|control| control.base != control.head).collect()
}

fn is_good(verdict: Option<ControlVerdictWord>) -> bool {
    matches!(verdict, Some(ControlVerdictWord::Caught | ControlVerdictWord::AwaitsGrowth))
}
